//! `devgate exec`, with a token alone.

use std::process::Command;
use std::time::Duration;

use e2e::component::program;
use e2e::process::{Running, run};
use e2e::tmux::Terminal;
use e2e::wait::{SOON, until};
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
    // Who reads no more ends it.
    let line = machine.line("exec default -- yes");
    let mut head = Command::new(program("bash"));
    head.args(["-c", &format!("{line} | head -c 100000 | wc -c")]);
    assert_eq!(run(&mut head, b"", LIMIT).ok().out().trim(), "100000");
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
    command
        .stdout(std::process::Stdio::piped())
        .stdin(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let count = || {
        std::fs::read_to_string(&written)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let mut last = String::new();
    until(LIMIT, "a command that waits", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = count();
        let waits = !now.is_empty() && now == last;
        last = now;
        waits
    });
    assert_ne!(last, "3000", "all of it was taken");
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
    terminal.line("echo asleep; sleep 600");
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
