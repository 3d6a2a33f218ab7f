//! Commands: their output, their end, their environment.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use e2e::everywhere;
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, stands_still, until};

/// Bytes that compress badly and differ at every offset, from a fixed seed.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(count)
    .collect()
}

everywhere! {
    fn every_exit_status_is_passed_on(target: &Target) {
        for status in [0, 1, 2, 42, 126, 127, 128, 254, 255] {
            let done = target.ssh().run(format!("exit {status}"));
            assert_eq!(done.code(), status, "{done:?}");
        }
        let done = target.ssh().run("/no/such/program");
        assert_eq!(done.code(), 127, "{done:?}");
        let done = target.ssh().run("/etc/passwd");
        assert_eq!(done.code(), 126, "{done:?}");
    }

    fn every_exit_status_is_passed_on_with_a_terminal(target: &Target) {
        for status in [0, 1, 42, 255] {
            let done = target.ssh().args(["-tt"]).run(format!("exit {status}"));
            assert_eq!(done.code(), status, "{done:?}");
        }
    }

    fn a_command_killed_by_a_signal_is_no_success(target: &Target) {
        for signal in ["TERM", "KILL", "SEGV", "HUP"] {
            let done = target.ssh().option("LogLevel=DEBUG1").run(format!("kill -{signal} $$"));
            // OpenSSH's client makes 255 of every exit-signal.
            assert_eq!(done.code(), 255, "{signal}: {done:?}");
            assert!(done.err().contains("rtype exit-signal"), "{signal}: {done:?}");
            assert!(!done.err().contains("rtype exit-status"), "{signal}: {done:?}");
        }
    }

    fn a_reader_that_leaves_ends_the_program(target: &Target) {
        let (output, theirs) = std::io::pipe().unwrap();
        // The client's stdin stays open, so that only the output's end can end it.
        let (stdin, _open) = std::io::pipe().unwrap();
        let (from, to) = (File::from(OwnedFd::from(stdin)), File::from(OwnedFd::from(theirs)));
        let file = target.path("status");
        // The client may lose what comes to its stderr together with the end.
        let script = format!("yes; echo $? > {}", file.display());
        let ssh = target.ssh().start_between(&script, from, to);
        let mut lines = BufReader::new(output);
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert_eq!(first, "y\n");
        drop(lines);
        let done = ssh.finish(SOON);
        assert_eq!(done.code(), 0, "{done:?}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "141\n");
    }

    fn a_reader_that_reads_nothing_and_leaves_ends_the_program(target: &Target) {
        let (output, theirs) = std::io::pipe().unwrap();
        let (count, end) = (target.path("count"), target.path("end"));
        let script = format!(
            "n=0; while head -c 65536 /dev/zero; do n=$((n + 1)); echo $n > {}; done; echo no > {}",
            count.display(), end.display(),
        );
        let ssh = target.ssh().start_between(&script, std::process::Stdio::null(), theirs);
        // The client takes no more: its window is full.
        stands_still(SOON, "what the program has written", 10, || {
            std::fs::read_to_string(&count).ok().and_then(|it| it.trim().parse().ok()).unwrap_or(0)
        });
        drop(output);
        let done = ssh.finish(SOON);
        assert_eq!(done.code(), 0, "{done:?}");
        assert_eq!(std::fs::read_to_string(end).unwrap(), "no\n");
    }

    fn stderr_is_apart_from_stdout(target: &Target) {
        let done = target.ssh().run("echo to-out; echo to-err >&2; exit 3");
        assert_eq!((done.out().as_str(), done.err().as_str(), done.code()), ("to-out\n", "to-err\n", 3));
    }

    fn nothing_is_added_to_what_a_command_prints(target: &Target) {
        let done = target.ssh().run("true").ok();
        assert_eq!((done.out().as_str(), done.err().as_str()), ("", ""));
        let done = target.ssh().args(["-T"]).input("printf x; exit 4\n").run("sh");
        assert_eq!((done.out().as_str(), done.err().as_str(), done.code()), ("x", "", 4));
    }

    fn the_input_can_end_before_the_output(target: &Target) {
        let done = target.ssh().input("x").run("cat; sleep 1; echo done").ok();
        assert_eq!(done.out(), "xdone\n");
        let done = target.ssh().input(noise(1_000_000, 3)).run("wc -c; echo after").ok();
        assert_eq!(done.out(), "1000000\nafter\n");
    }

    fn the_output_can_end_before_the_input(target: &Target) {
        let done = target.ssh().input(noise(3_000_000, 4)).run("head -c 10 > /dev/null; exit 6");
        assert_eq!(done.code(), 6, "{done:?}");
        let done = target.ssh().input(noise(3_000_000, 5)).run("exec >&-; cat > /dev/null; exit 9");
        assert_eq!(done.code(), 9, "{done:?}");
    }

    fn a_status_arrives_though_both_directions_have_ended_before(target: &Target) {
        // OpenSSH's client closes the channel by itself once it has sent and got EOF.
        for _ in 0..3 {
            let done = target.ssh().run("exec >&- 2>&-; sleep 0.5; exit 9");
            assert_eq!(done.code(), 9, "{done:?}");
        }
    }

    fn bytes_pass_unchanged_both_ways(target: &Target) {
        let mut bytes: Vec<u8> = (0..=255).collect();
        bytes.extend(noise(2_000_000, 7));
        let done = target.ssh().input(bytes.clone()).run("cat").ok();
        assert!(done.stdout == bytes, "{} of {} bytes", done.stdout.len(), bytes.len());
    }

    fn bytes_pass_unchanged_through_a_raw_terminal(target: &Target) {
        let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
        let mut ssh = target.ssh().args(["-tt", "-e", "none"])
            .start("stty raw -echo && echo go && head -c 4096 | od -An -v -tu1 -w16");
        ssh.wait_for("go", SOON);
        ssh.write(&bytes);
        let done = ssh.finish(SOON).ok();
        let out = done.out();
        let (_, dump) = out.split_once("go").expect("it said go");
        let seen: Vec<u8> = dump.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert!(seen == bytes, "{} bytes: {dump}", seen.len());
    }

    fn three_hundred_short_commands_lose_nothing(target: &Target) {
        let connections = 6;
        thread::scope(|scope| {
            for worker in 0..connections {
                scope.spawn(move || {
                    for round in 0..300 / connections {
                        let done = target.ssh().run(format!("echo out-{worker}-{round}; echo err >&2; exit {round}"));
                        assert_eq!(done.out(), format!("out-{worker}-{round}\n"), "{done:?}");
                        assert_eq!((done.err().as_str(), done.code()), ("err\n", round), "{done:?}");
                    }
                });
            }
        });
    }

    fn eight_commands_of_five_megabytes_in_parallel_are_exact(target: &Target) {
        let size = 5_000_000;
        thread::scope(|scope| {
            for worker in 0..8 {
                scope.spawn(move || {
                    let bytes = noise(size, worker);
                    let file = target.path(&format!("noise-{worker}"));
                    std::fs::write(&file, &bytes).unwrap();
                    let done = target.ssh().run(format!("cat {}", file.display())).ok();
                    assert!(done.stdout == bytes, "{worker}: {} of {size} bytes", done.stdout.len());
                });
            }
        });
    }

    fn a_command_line_of_sixty_kilobytes_is_taken_as_it_is(target: &Target) {
        let text = "0123456789abcdef".repeat(60 * 1024 / 16);
        let done = target.ssh().run(format!("printf %s {text} | wc -c")).ok();
        assert_eq!(done.out().trim(), "61440");
        let done = target.ssh().run(r#"printf '%s|' "a  b" '$HOME' \\ "tab	here" 'ä' "#).ok();
        assert_eq!(done.out(), "a  b|$HOME|\\|tab\there|ä|");
    }

    fn a_command_starts_at_home_with_the_users_environment(target: &Target) {
        let done = target.ssh().option("SetEnv=LC_TEST=from-the-client").run(
            r#"pwd; for v in HOME USER LOGNAME SHELL PATH LANG SSH_CONNECTION SSH_CLIENT LC_TEST; do
                 eval "printf '%s=%s\n' $v \"\$$v\""; done; echo "tty=$SSH_TTY""#,
        ).ok();
        let out = done.out();
        let mut lines = out.lines();
        let home = lines.next().expect("pwd printed a line");
        let value = |name: &str| {
            let line = out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {name}: {out}"))
        };
        assert_eq!(value("HOME"), home);
        assert!(!value("USER").is_empty() && value("USER") == value("LOGNAME"), "{out}");
        assert!(value("SHELL").starts_with('/') && value("PATH").contains("/usr/bin"), "{out}");
        // As sshd has it, which knows no default.
        assert!(!value("LANG").is_empty() || !target.is_devgate(), "{out}");
        assert_eq!(value("LC_TEST"), "from-the-client");
        assert_eq!(value("tty"), "");
        let address = target.access().address;
        let ends: Vec<_> = value("SSH_CONNECTION").split(' ').collect();
        assert_eq!(ends.len(), 4, "{out}");
        assert_eq!((ends[0], ends[2], ends[3]), ("127.0.0.1", "127.0.0.1", address.port().to_string().as_str()));
        assert_eq!(value("SSH_CLIENT"), format!("{} {} {}", ends[0], ends[1], ends[3]));
    }

    fn a_variable_that_is_no_text_harms_nothing(target: &Target) {
        let name = OsStr::from_bytes(b"caf\xe9");
        let done = target.ssh().env("LC_NAME", name).option("SendEnv=LC_NAME").run("echo in").ok();
        assert_eq!(done.out(), "in\n");
    }

    fn a_signal_from_the_client_reaches_the_command(target: &Target) {
        // What OpenSSH's client sends itself: SIGHUP's effect when it dies. With a
        // terminal, the foreground job ends with its connection.
        let file = target.path("hung-up");
        let mut ssh = target.ssh().args(["-tt"]).start(format!(
            "trap 'echo hup > {}; exit' HUP; echo armed; while :; do sleep 0.1; done", file.display()
        ));
        ssh.wait_for("armed", SOON);
        ssh.signal(Signal::SIGKILL);
        until(SOON, "SIGHUP at the foreground job", || file.exists());
        assert!(ssh.ended().is_some());
    }

    fn keepalive_requests_are_answered(target: &Target) {
        // Without an answer the client gives up after two seconds.
        let done = target.ssh()
            .option("ServerAliveInterval=1").option("ServerAliveCountMax=2")
            .run("sleep 5; echo alive").ok();
        assert_eq!(done.out(), "alive\n");
    }

    fn a_script_on_stdin_runs_line_by_line_for_as_long_as_stdin_is_open(target: &Target) {
        let mut ssh = target.ssh().args(["-T"]).start("bash");
        let mut expected = String::new();
        for line in 0..20 {
            ssh.write(format!("echo line-{line}\n").as_bytes());
            writeln!(expected, "line-{line}").unwrap();
            assert_eq!(ssh.wait_for(&format!("line-{line}\n"), SOON), expected);
        }
        ssh.end_input();
        assert_eq!(ssh.finish(SOON).code(), 0);
    }

    fn a_background_process_outlives_its_channel_and_its_connection(target: &Target) {
        let done = target.ssh().run("nohup sleep 600 > /dev/null 2>&1 < /dev/null & echo $!").ok();
        let pid = done.out().trim().to_owned();
        let lives = |pid: &str| target.ssh().run(format!("kill -0 {pid}")).code() == 0;
        assert!(lives(&pid), "the background process is gone");
        assert_eq!(target.ssh().run(format!("kill -9 {pid}")).code(), 0);
        until(SOON, "its end", || !lives(&pid));
    }

    fn a_channel_closes_when_its_command_exits_though_a_child_holds_its_pipes(target: &Target) {
        if !target.is_devgate() {
            return; // sshd waits for the pipes: this is what a gateway does better
        }
        let started = Instant::now();
        let done = target.ssh().run("sleep 600 & echo $!; exit 8");
        let elapsed = started.elapsed();
        assert_eq!(done.code(), 8, "{done:?}");
        assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
        let pid = done.out().trim().to_owned();
        let ended = target.ssh().run(format!("kill -9 {pid}"));
        assert_eq!(ended.code(), 0, "the child is not to be killed: {ended:?}");
    }

    fn a_filter_that_outlives_its_command_is_heard_to_its_end(target: &Target) {
        let filter = "while read l; do sleep 0.5; echo \"[$l]\"; done";
        let script = format!("for i in $(seq 14); do echo $i; done > >({filter})");
        let done = target.ssh().run(format!("exec bash -c '{script}'")).ok();
        let expected: Vec<_> = (1..=14).map(|line| format!("[{line}]\n")).collect();
        assert_eq!(done.out(), expected.concat());
    }

    fn a_very_large_output_is_complete(target: &Target) {
        let out = target.path("out");
        let done = target.ssh().run_between(
            "yes 0123456789abcdef | head -c 100000000",
            std::fs::File::open("/dev/null").unwrap(),
            e2e::gateway::file(&out),
        ).ok();
        assert_eq!(done.err(), "");
        assert_eq!(std::fs::metadata(&out).unwrap().len(), 100_000_000);
    }
}

#[test]
fn the_configured_environment_reaches_every_program() {
    let settings = [("DEVGATE_PROCESS_ENVIRONMENT", "MARK=a=b,EDITOR=vim")];
    for reach in [Reach::Unix, Reach::Dial] {
        let target = Target::devgate_with(reach, &settings);
        let done = target.ssh().run("echo $MARK $EDITOR").ok();
        assert_eq!(done.out(), "a=b vim\n");
        let shell = target.ssh().args(["-tt"]).input("echo \"<$MARK>\"; exit\n");
        let done = shell.run("exec sh -i").ok();
        assert!(done.out().contains("<a=b>"), "{done:?}");
    }
}
