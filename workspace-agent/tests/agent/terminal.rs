//! Programs on a terminal.

use std::path::Path;
use std::time::{Duration, Instant};

use devgate_protocol::frame::{Kind, Size, write_json};

use crate::client::{DEADLINE, Workspace};

/// Modes that make a terminal raw.
fn raw() -> Vec<(u8, u32)> {
    let off = [
        30, 31, 33, 34, 35, 36, 37, 38, 39, 40, 42, 50, 51, 53, 59, 70,
    ];
    off.map(|opcode| (opcode, 0)).to_vec()
}

#[tokio::test]
async fn all_byte_values_pass_a_raw_terminal_both_ways() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.pty(raw()).await;
    session.exec("printf go; exec head -c 25600").await;
    session.until("go").await;
    let sent: Vec<u8> = (0..100).flat_map(|_| 0..=255).collect();
    for piece in sent.chunks(1000) {
        session.send(Kind::Data, piece).await;
    }
    let outcome = session.outcome().await;
    assert!(outcome.stdout == sent, "{} bytes", outcome.stdout.len());
    assert_eq!(outcome.status, Some(0));
}

#[tokio::test]
async fn the_modes_of_the_rfc_reach_the_program() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    let modes = vec![
        (1, 7),    // VINTR
        (3, 8),    // VERASE
        (10, 255), // VSUSP, off
        (14, 22),  // VLNEXT
        (18, 15),  // VDISCARD
        (30, 1),   // IGNPAR
        (32, 1),   // INPCK
        (36, 0),   // ICRNL
        (38, 0),   // IXON
        (41, 1),   // IMAXBEL
        (42, 1),   // IUTF8
        (53, 0),   // ECHO
        (58, 1),   // TOSTOP
        (72, 0),   // ONLCR
        (93, 1),   // PARODD
        (128, 9600),
        (129, 9600),
    ];
    session.pty(modes).await;
    session
        .exec("stty -a; tty; echo $SSH_TTY; echo $TERM")
        .await;
    let text = session.outcome().await.text();
    for expected in [
        "speed 9600 baud",
        "rows 25",
        "columns 81",
        "intr = ^G",
        "erase = ^H",
        "susp = <undef>",
        "lnext = ^V",
        "discard = ^O",
        " ignpar",
        " inpck",
        "-icrnl",
        "-ixon",
        " imaxbel",
        " iutf8",
        "-echo ",
        " tostop",
        "-onlcr",
        "parodd",
        "xterm-256color",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    let terminals: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("/dev/pts/"))
        .collect();
    assert_eq!(terminals.len(), 2);
    assert_eq!(terminals[0], terminals[1]);
}

#[tokio::test]
async fn a_shell_is_a_login_shell_in_the_home_directory_and_is_resized() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.pty(vec![(53, 0)]).await;
    session.send(Kind::Shell, &[]).await;
    session
        .send(
            Kind::Data,
            b"shopt -q login_shell && echo log''in $0; pwd\n",
        )
        .await;
    let text = session.until("login -bash").await;
    drop(text);
    session
        .send(Kind::Data, b"trap 'stty size' WINCH; echo rea''dy\n")
        .await;
    session.until("ready").await;
    let size = Size {
        columns: 132,
        rows: 43,
        width: 0,
        height: 0,
    };
    write_json(&mut session.writer, Kind::WindowChange, &size)
        .await
        .unwrap();
    // bash runs its trap when its prompt returns.
    session.send(Kind::Data, b"\n").await;
    session.until("43 132").await;
    session.send(Kind::Data, b"exit 5\n").await;
    assert_eq!(session.outcome().await.status, Some(5));
}

#[tokio::test]
async fn an_interrupt_typed_or_sent_ends_the_foreground_job_only() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.pty(vec![(53, 0)]).await;
    session.send(Kind::Shell, &[]).await;
    for round in ["typed", "sent"] {
        let line = format!("sh -c 'echo st''arted {round}; sleep 300'; echo st''atus $? {round}\n");
        session.send(Kind::Data, line.as_bytes()).await;
        session.until(&format!("started {round}")).await;
        match round {
            "typed" => session.send(Kind::Data, &[3]).await,
            _ => session.send(Kind::Signal, b"INT").await,
        }
        session.until("\n").await;
        session
            .send(Kind::Data, format!("echo al''ive {round}\n").as_bytes())
            .await;
        session.until(&format!("alive {round}")).await;
    }
    session.send(Kind::Data, b"exit 0\n").await;
    assert_eq!(session.outcome().await.status, Some(0));
}

#[tokio::test]
async fn output_before_the_end_is_complete_on_a_terminal() {
    let workspace = Workspace::start().await;
    let lines: Vec<String> = (1..=5000).map(|number| number.to_string()).collect();
    let expected = lines.join("\n") + "\n";
    for _ in 0..20 {
        let mut session = workspace.session().await;
        session.pty(raw()).await;
        session.exec("seq 1 5000; exit 9").await;
        let outcome = session.outcome().await;
        assert!(outcome.text() == expected, "{}", outcome.stdout.len());
        assert_eq!(outcome.status, Some(9));
    }
}

#[tokio::test]
async fn closing_the_channel_hangs_up_the_terminal_but_not_what_left_it() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.pty(vec![(53, 0)]).await;
    session
        .exec("setsid sleep 300 & echo $!; echo $$ end; sleep 301")
        .await;
    let text = session.until("end").await;
    let pids: Vec<&str> = text.split_whitespace().take(2).collect();
    let (detached, shell) = (pids[0], pids[1]);
    drop(session);
    let deadline = Instant::now() + DEADLINE;
    while Path::new("/proc").join(shell).exists() {
        assert!(Instant::now() < deadline, "the shell is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(Path::new("/proc").join(detached).exists());
    workspace.run(&format!("kill -9 {detached}")).await;
}

#[tokio::test]
async fn a_job_in_the_background_of_a_terminal_does_not_keep_the_channel() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.pty(vec![]).await;
    session.exec("trap '' HUP; sleep 300 & echo pid $!.").await;
    let outcome = session.outcome().await;
    assert_eq!(outcome.status, Some(0));
    let text = outcome.text();
    let pid = text.trim().trim_start_matches("pid ").trim_end_matches('.');
    workspace.run(&format!("kill -9 {pid}")).await;
}

#[tokio::test]
async fn stderr_of_a_terminal_is_its_output() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    session.pty(vec![]).await;
    session.exec("echo err >&2").await;
    let outcome = session.outcome().await;
    assert_eq!(outcome.text(), "err\r\n");
    assert_eq!(outcome.stderr, b"");
}
