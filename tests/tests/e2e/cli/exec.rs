//! `devgate exec`, with a token alone.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use e2e::component::program;
use e2e::process::{Running, run, signal};
use e2e::tmux::Terminal;
use e2e::wait::{SOON, stands_still, until};
use nix::sys::signal::Signal;

use super::{LIMIT, Machine, noise};

fn exec<'a>(more: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "default"], more, &["--"], command].concat()
}

#[test]
fn output_comes_on_its_own_stream_and_the_exit_code_is_the_commands() {
    let machine = Machine::start();
    let script = "echo out; echo err >&2; exit 7";
    let said = machine.run(&exec(&[], &["sh", "-c", script]));
    assert_eq!(
        (said.code(), said.out(), said.err()),
        (7, "out\n".into(), "err\n".into())
    );
    assert_eq!(machine.ok(&exec(&[], &["printf", "%s", "a  b"])), "a  b");
    // Nobody's stdin is read unless it is said.
    assert_eq!(machine.ok(&exec(&[], &["cat"])), "");

    let killed = machine.run(&exec(&[], &["sh", "-c", "kill -9 $$"]));
    assert_eq!(killed.code(), 137, "{killed:?}");
    let late = machine.run(&exec(&["--timeout", "1s"], &["sleep", "600"]));
    assert_eq!(late.code(), 124, "{late:?}");
    let missing = machine.run(&exec(&[], &["not-there-at-all"]));
    assert_eq!(missing.code(), 127, "{missing:?}");
    assert!(missing.err().contains("not-there-at-all"), "{missing:?}");
    machine.fails(&["exec", "nothing", "--", "true"], 255, &["devgate list"]);

    let with = ["--cwd", "/tmp", "--env", "A=b c", "-e", "B=d=e"];
    let shown = machine.ok(&exec(&with, &["sh", "-c", "pwd; echo $A $B"]));
    assert_eq!(shown, "/tmp\nb c d=e\n");
}

#[test]
fn bytes_are_exact_both_ways_and_the_end_of_stdin_is_handed_on() {
    let machine = Machine::start();
    let sent = noise(&machine.folder().join("noise"), 20 << 20);
    let mut cat = machine.command(&exec(&["-i"], &["cat"]));
    let back = run(&mut cat, &sent, LIMIT).ok();
    assert!(back.stdout == sent, "{} bytes came back", back.stdout.len());
    let mut late = machine.command(&exec(&["-i"], &["sh", "-c", "cat; sleep 1; echo done"]));
    assert_eq!(run(&mut late, b"x", LIMIT).ok().out(), "xdone\n");
}

#[test]
fn who_reads_no_more_ends_it_and_it_does_not_look_done() {
    let machine = Machine::start();
    let line = machine.line("exec default -- yes");
    let mut head = Command::new(program("bash"));
    let line = format!("{line} | head -c 100000 | wc -c; echo ${{PIPESTATUS[0]}}");
    head.args(["-c", &line]);
    let ended = run(&mut head, b"", LIMIT).ok();
    let words: Vec<_> = ended.out().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["100000", "141"], "{ended:?}");
    assert_eq!(ended.err(), "");
}

#[test]
fn who_reads_slowly_slows_the_command() {
    let machine = Machine::start();
    let written = machine.folder().join("written");
    let script = format!(
        "i=0; while [ $i -lt 3000 ]; do head -c 100000 /dev/zero; i=$((i+1)); echo $i >'{}'; done",
        written.display()
    );
    let mut command = machine.command(&exec(&[], &["sh", "-c", &script]));
    // A pipe that nobody reads.
    command.stdout(Stdio::piped()).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let count = || {
        std::fs::read_to_string(&written)
            .ok()
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0)
    };
    // Each is more than a pipe holds.
    let last = stands_still(LIMIT, "a command that waits", 1, count);
    assert!(last < 3000, "all of it was taken");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn signals_are_handed_on() {
    let machine = Machine::start();
    let script = "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let command = &mut machine.command(&exec(&[], &["sh", "-c", script]));
    let running = Running::start(command);
    running.wait_for("ready", SOON);
    running.signal(Signal::SIGTERM);
    let ended = running.finish(LIMIT);
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert!(ended.out().ends_with("got\n"), "{ended:?}");
}

#[test]
fn a_signal_passes_stdin_that_nobody_reads() {
    let machine = Machine::start();
    let script = "trap 'echo got; exit 5' INT; echo ready; while :; do sleep 0.1; done";
    let mut command = machine.command(&exec(&["-i"], &["sh", "-c", script]));
    let (stdin, mut pipe) = std::io::pipe().unwrap();
    command.stdin(stdin).stdout(Stdio::piped());
    let running = Running::start_as_it_is(&mut command);
    drop(command);
    let given = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&given);
    thread::spawn(move || {
        while pipe.write_all(&[0; 1000]).is_ok() {
            count.fetch_add(1000, Ordering::Relaxed);
        }
    });
    running.wait_for("ready", SOON);
    // More than the pipe before the client holds.
    let taken = || given.load(Ordering::Relaxed);
    let last = stands_still(LIMIT, "a stdin that is full", 100_000, taken);
    assert!(last < 4 << 20, "{last} bytes are under way");
    running.signal(Signal::SIGINT);
    let ended = running.finish(LIMIT);
    assert_eq!(ended.code(), 5, "{ended:?}");
    assert!(ended.out().ends_with("got\n"), "{ended:?}");
}

/// Sends a signal until it ends, and returns its exit code.
fn insist(mut running: Running, kind: Signal) -> i32 {
    until(LIMIT, "its end", || {
        running.signal(kind);
        running.ended().is_some()
    });
    let ended = running.finish(LIMIT);
    assert!(ended.err().contains(kind.as_str()), "{ended:?}");
    ended.code()
}

/// An agent that does nothing until this is dropped.
struct Hanging(u32);

impl Hanging {
    fn begin(machine: &Machine) -> Self {
        let agent = machine.target.gateway().agent();
        signal(agent, Signal::SIGSTOP);
        Self(agent)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        signal(self.0, Signal::SIGCONT);
    }
}

#[test]
fn who_insists_leaves_a_command_that_does_not_end() {
    let machine = Machine::start();
    let script = "trap 'echo got' INT TERM; echo ready; while :; do sleep 0.1; done";
    for (kind, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let running = machine.start_running(&exec(&[], &["sh", "-c", script]));
        running.wait_for("ready", SOON);
        running.signal(kind);
        running.wait_for("got", SOON);
        assert_eq!(insist(running, kind), code);
    }
}

#[test]
fn a_server_that_hangs_can_be_left_and_one_that_goes_is_told() {
    let mut machine = Machine::start();
    let command = ["sh", "-c", "echo ready; sleep 600"];
    let running = machine.start_running(&exec(&[], &command));
    running.wait_for("ready", SOON);
    let hanging = Hanging::begin(&machine);
    assert_eq!(insist(running, Signal::SIGTERM), 143);
    drop(hanging);

    let running = machine.start_running(&exec(&[], &command));
    running.wait_for("ready", SOON);
    machine.target.gateway_mut().kill();
    let ended = running.finish(LIMIT);
    assert_eq!(ended.code(), 255, "{ended:?}");
    assert!(ended.err().contains("connection"), "{ended:?}");
}

#[test]
fn on_a_terminal_a_tilde_and_a_dot_leave_a_server_that_hangs() {
    let machine = Machine::start();
    let line = machine.line("exec default -t -- sh -c 'echo ready; exec cat'");
    let line = format!("{line}; echo code $?; stty -a | grep -o -- '-*icanon'");
    let terminal = Terminal::start(machine.folder(), &line, 90, 25);
    terminal.wait_for_line("ready");
    terminal.line("a~.b");
    terminal.line("~~c");
    terminal.wait("what was typed", |screen| {
        let typed = |text| screen.lines().filter(|line| *line == text).count();
        // Its echo, and cat's.
        typed("a~.b") == 2 && typed("~c") == 2
    });
    let _hanging = Hanging::begin(&machine);
    for _ in 0..40 {
        terminal.line("nobody hears this");
    }
    terminal.keys(&["~", "."]);
    terminal.wait_for_line("code 255");
    // The terminal is as it was.
    terminal.wait_for_line("icanon");
}

#[test]
fn a_terminal_that_is_resized_while_the_workspace_starts_has_its_new_size_there() {
    let settings = [
        (
            "DEVGATE_STARTUP_SCRIPT",
            "while test -e hold; do sleep 0.05; done",
        ),
        ("DEVGATE_STARTUP_WAIT", "true"),
    ];
    let machine = Machine::start_with(&settings);
    machine.ok(&["stop", "default"]);
    let hold = machine.target.gateway().home().join("hold");
    fs::write(&hold, "").unwrap();
    let script = "while :; do stty size; sleep 0.1; done";
    let line = machine.line(&format!("exec default -t -- sh -c '{script}'"));
    let terminal = Terminal::start(machine.folder(), &line, 90, 25);
    terminal.wait("its start", |screen| !screen.trim().is_empty());
    terminal.resize(70, 20);
    fs::remove_file(hold).unwrap();
    terminal.wait_for_line("20 70");
}

#[test]
fn on_a_terminal_it_has_one_there_with_its_size() {
    let machine = Machine::start();
    let line = machine.line("exec default -t -- bash --norc --noprofile");
    let line = format!("{line}; stty -a | grep -o -- '-*icanon'");
    let terminal = Terminal::start(machine.folder(), &line, 90, 25);
    terminal.wait("prompt", |screen| screen.contains("bash-"));
    terminal.line("PS1='> '; clear");
    terminal.wait("cleared", |screen| screen.starts_with('>'));
    terminal.line("stty size; tty >/dev/null && echo terminal $TERM");
    terminal.wait_for_line("25 90");
    terminal.wait("its kind", |screen| screen.contains("terminal "));
    terminal.resize(70, 20);
    terminal.line("stty size");
    terminal.wait_for_line("20 70");
    // What is typed reaches the program, and not this one.
    terminal.line("sh -c 'echo as''leep; exec sleep 600'");
    terminal.wait_for_line("asleep");
    terminal.keys(&["C-c"]);
    terminal.wait("its prompt", |screen| screen.trim_end().ends_with("\n>"));
    terminal.line("echo code $?");
    terminal.wait_for_line("code 130");
    terminal.line("exit 4");
    // The terminal is as it was.
    terminal.wait_for_line("icanon");
    machine.fails(&exec(&["-t"], &["true"]), 2, &["-t"]);
}
