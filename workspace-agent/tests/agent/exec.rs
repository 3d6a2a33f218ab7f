//! Commands without a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devgate_protocol::config::AgentConfig;
use devgate_protocol::frame::{Frame, Kind, Variable, write, write_json};
use devgate_protocol::{Answer, Open, SessionOpen, descriptor};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::task::JoinSet;

use crate::client::{DEADLINE, Session, Workspace, within};

#[tokio::test]
async fn every_exit_status_arrives() {
    let workspace = Workspace::start().await;
    for status in [0, 1, 2, 42, 127, 128, 255] {
        let outcome = workspace.run(&format!("exit {status}")).await;
        assert_eq!(outcome.status, Some(status));
        assert!(outcome.eof);
    }
}

#[tokio::test]
async fn a_program_that_a_signal_ends_has_an_exit_signal() {
    let workspace = Workspace::start().await;
    for signal in ["TERM", "KILL", "HUP", "INT", "USR1", "PIPE"] {
        let outcome = workspace.run(&format!("kill -{signal} $$")).await;
        let ended = outcome.signal.expect("an exit-signal");
        assert_eq!(ended.signal, signal);
        assert!(!ended.core_dumped);
        assert_eq!(outcome.status, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_short_commands_are_byte_exact() {
    let workspace = Arc::new(Workspace::start().await);
    let mut runs = JoinSet::new();
    for number in 0..300 {
        let workspace = Arc::clone(&workspace);
        runs.spawn(async move {
            let line = format!("echo out {number}; echo err {number} >&2; exit $(({number} % 7))");
            let outcome = workspace.run(&line).await;
            assert_eq!(outcome.text(), format!("out {number}\n"));
            assert_eq!(outcome.stderr, format!("err {number}\n").into_bytes());
            assert_eq!(outcome.status, Some(number % 7));
        });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_times_five_megabytes_in_parallel_are_byte_exact_both_ways() {
    let workspace = Arc::new(Workspace::start().await);
    let mut runs = JoinSet::new();
    for number in 0..8u8 {
        let workspace = Arc::clone(&workspace);
        runs.spawn(async move {
            let sent: Vec<u8> = (0..5_000_000u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0] ^ number)
                .collect();
            let mut session = workspace.session().await;
            session.exec("cat").await;
            let mut writer = session.writer;
            let upload = sent.clone();
            let mut uploads = JoinSet::new();
            uploads.spawn(async move {
                for piece in upload.chunks(40_000) {
                    write(&mut writer, Kind::Data, piece).await.unwrap();
                }
                write(&mut writer, Kind::Eof, &[]).await.unwrap();
                writer
            });
            let mut received = Vec::new();
            let mut status = None;
            while let Some(frame) = within(session.reader.next()).await.unwrap() {
                match frame {
                    Frame::Data(bytes) => received.extend_from_slice(&bytes),
                    Frame::ExitStatus(exit) => status = Some(exit),
                    Frame::Eof => {}
                    other => panic!("an unexpected {other:?}"),
                }
            }
            assert!(received == sent, "{} bytes arrived", received.len());
            assert_eq!(status, Some(0));
        });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
}

#[tokio::test]
async fn a_half_close_ends_stdin_and_nothing_else() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.exec("cat; echo done").await;
    session.send(Kind::Data, b"x").await;
    session.until("x").await;
    session.eof().await;
    assert_eq!(session.outcome().await.text(), "done\n");
}

#[tokio::test]
async fn an_eof_that_precedes_the_command_is_not_lost() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.eof().await;
    session.exec("cat; echo done").await;
    assert_eq!(session.outcome().await.text(), "done\n");
}

#[tokio::test]
async fn a_background_child_keeps_neither_the_channel_nor_loses_its_life() {
    let workspace = Workspace::start().await;
    let outcome = within(workspace.run("sleep 300 & echo $!")).await;
    assert_eq!(outcome.status, Some(0));
    let pid = outcome.text().trim().to_owned();
    assert!(Path::new("/proc").join(&pid).exists());
    workspace.run(&format!("kill -9 {pid}")).await;
}

#[tokio::test]
async fn a_filter_that_outlives_the_command_is_still_heard() {
    let workspace = Workspace::start().await;
    let line = "exec > >(sleep 0.3; cat); echo heard";
    assert_eq!(workspace.run(line).await.text(), "heard\n");
}

#[tokio::test]
async fn a_filter_is_heard_to_its_end_as_long_as_it_writes() {
    let workspace = Workspace::start().await;
    let filter = "exec > >(while read l; do sleep 0.5; echo \"[$l]\"; done)";
    let line = format!("{filter}; for i in $(seq 14); do echo $i; done");
    let lines: Vec<_> = (1..=14).map(|line| format!("[{line}]\n")).collect();
    let text = lines.concat();
    assert_eq!(workspace.run(&line).await.text(), text);
}

#[tokio::test]
async fn the_environment_is_the_users_with_what_everybody_adds() {
    let configured = BTreeMap::from([("CONFIGURED".to_owned(), "yes".to_owned())]);
    let workspace = Workspace::with_environment(configured).await;
    let mut session = workspace.session().await;
    for (name, value) in [
        ("LC_CTYPE", "de_DE.UTF-8"),
        ("GIT_PROTOCOL", "version=2"),
        ("LD_PRELOAD", "/nowhere.so"),
        ("HOME", "/nowhere"),
    ] {
        let variable = Variable {
            name: name.into(),
            value: value.into(),
        };
        write_json(&mut session.writer, Kind::Environment, &variable)
            .await
            .unwrap();
    }
    session.exec("env; pwd").await;
    let text = session.outcome().await.text();
    let home = workspace.home();
    let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    has(&format!("HOME={}", home.display()));
    has(&home.display().to_string());
    has("SHELL=/bin/bash");
    has("CONFIGURED=yes");
    has("FROM_GATEWAY=yes");
    has("LC_CTYPE=de_DE.UTF-8");
    has("GIT_PROTOCOL=version=2");
    has("SSH_CLIENT=192.0.2.7 50022 22");
    has("SSH_CONNECTION=192.0.2.7 50022 192.0.2.1 22");
    for name in [
        "USER=",
        "LOGNAME=",
        "PATH=",
        "LANG=",
        "DEVGATE_WORKSPACE_ID=",
    ] {
        assert!(text.lines().any(|l| l.starts_with(name)), "{name}");
    }
    assert!(!text.contains("LD_PRELOAD"));
    assert!(!text.contains("SSH_TTY"));
    assert!(!text.contains("CARGO"));
}

#[tokio::test]
async fn a_command_line_is_passed_as_it_is_and_may_be_long() {
    let workspace = Workspace::start().await;
    let outcome = workspace.run("printf '%s|' \"$0\" 'a  b' $'\\xff'").await;
    assert_eq!(outcome.stdout, b"bash|a  b|\xff|");
    for length in [60_000, 131_071, 131_072, 900_000] {
        let mut line = "x='".to_owned();
        let rest = "'; echo ${#x} $0; cat; exit 3";
        let filling = length - line.len() - rest.len();
        let _ = write!(line, "{}{rest}", "y".repeat(filling));
        assert_eq!(line.len(), length);
        let outcome = workspace.run(&line).await;
        assert_eq!(outcome.text(), format!("{filling} bash\n"));
        assert_eq!(outcome.status, Some(3));
    }
}

#[tokio::test]
async fn a_signal_reaches_the_whole_process_group() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session
        .exec("sleep 300 | sleep 301 & echo ready; wait; echo over")
        .await;
    session.until("ready").await;
    session.send(Kind::Signal, b"TERM").await;
    let outcome = session.outcome().await;
    assert_eq!(outcome.signal.unwrap().signal, "TERM");
    assert_eq!(outcome.stdout, b"");
}

#[tokio::test]
async fn a_signal_is_noticed_while_the_program_does_not_read() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.exec("sleep 300").await;
    // More than the pipe holds, less than what is queued beside it.
    session.send(Kind::Data, &vec![b'x'; 200_000]).await;
    session.send(Kind::Signal, b"KILL").await;
    assert_eq!(session.outcome().await.signal.unwrap().signal, "KILL");
}

#[tokio::test]
async fn a_stream_that_closes_while_stdin_is_full_closes_the_pipes() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    // It neither reads nor writes, but notices that nobody reads its stdout any more.
    let script =
        "import select; p = select.poll(); p.register(1, 0); p.poll(); open('closed', 'w')";
    session
        .exec(&format!("echo ready; exec python3 -c \"{script}\""))
        .await;
    session.until("ready").await;
    let piece = vec![0; 60_000];
    let stuffing = async { while write(&mut session.writer, Kind::Data, &piece).await.is_ok() {} };
    // Nothing more fits anywhere.
    let stuffed = tokio::time::timeout(Duration::from_secs(1), stuffing).await;
    assert!(stuffed.is_err());
    drop(session);
    let closed = workspace.home().join("closed");
    let deadline = Instant::now() + DEADLINE;
    while !closed.exists() {
        assert!(Instant::now() < deadline, "the pipes are still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_shell_that_does_not_exist_is_named_in_the_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = crate::client::config(folder.path(), BTreeMap::new());
    config.shell = Some("/bin/nosuchshell".into());
    let agent = devgate_agent::Agent::start(config, devgate_agent::Orphans::Leave).unwrap();
    let (near, far) = tokio::net::UnixStream::pair().unwrap();
    let mut serving = JoinSet::new();
    let open = devgate_protocol::Open::Session(devgate_protocol::SessionOpen::default());
    serving.spawn(devgate_agent::serve_opened(agent, far.into(), open));
    let mut near = near;
    devgate_protocol::handshake::read_answer(&mut near)
        .await
        .unwrap();
    let mut session = crate::client::Session::over(near);
    session.exec("true").await;
    let failure = session.outcome().await.failure.unwrap();
    assert!(failure.contains("/bin/nosuchshell"), "{failure}");
    assert!(failure.contains("No such file"), "{failure}");
}

#[tokio::test]
async fn an_unknown_subsystem_is_refused() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.send(Kind::Subsystem, b"netconf").await;
    let failure = session.outcome().await.failure.unwrap();
    assert!(failure.contains("netconf"), "{failure}");
}

/// A session whose program has pipes of ours: the session, our end of its stdin, and
/// that of its stdout.
pub(crate) async fn with_pipes(workspace: &Workspace) -> (Session, File, File) {
    let open = Open::Session(SessionOpen {
        pipes: true,
        ..SessionOpen::default()
    });
    let (stream, answer) = workspace.open(&open).await;
    assert_eq!(answer, Answer::TakesPipes);
    let (stdin, to_stdin) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (from_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let theirs = [stdin.as_fd(), stdout.as_fd()];
    descriptor::give(&stream, &theirs).await.unwrap();
    (Session::over(stream), to_stdin.into(), from_stdout.into())
}

#[tokio::test]
async fn what_goes_through_pipes_of_the_gateways_is_not_framed() {
    let workspace = Workspace::start().await;
    let (mut session, mut to_stdin, mut from_stdout) = with_pipes(&workspace).await;
    let line = "cat; echo more > /dev/stdout; echo less >&2; exit 3";
    session.exec(line).await;
    to_stdin.write_all(b"through\n").unwrap();
    drop(to_stdin);
    let outcome = session.outcome_beside_pipes().await;
    assert_eq!(outcome.status, Some(3));
    assert!(outcome.eof && outcome.stdout.is_empty(), "{outcome:?}");
    assert_eq!(outcome.stderr, b"less\n");
    let mut output = String::new();
    from_stdout.read_to_string(&mut output).unwrap();
    assert_eq!(output, "through\nmore\n");
}

#[tokio::test]
async fn a_program_that_can_not_be_started_keeps_no_pipes() {
    let nowhere = |config: &mut AgentConfig| config.shell = Some("/nowhere/shell".into());
    let workspace = Workspace::configured(BTreeMap::new(), nowhere).await;
    let (mut session, mut to_stdin, mut from_stdout) = with_pipes(&workspace).await;
    session.exec("true").await;
    assert!(session.outcome().await.failure.is_some());
    assert_eq!(from_stdout.read(&mut [0]).unwrap(), 0);
    let error = to_stdin.write(b"x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}
