//! What becomes of what is under way when a program, or its channel, ends.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use devgate_protocol::frame::{Frame, Kind};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::client::{DEADLINE, Workspace, within};
use crate::exec::with_pipes;

/// Waits until a file is there.
async fn appears(path: &Path) {
    let deadline = Instant::now() + DEADLINE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "there is no {}", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A command that leaves a child behind, which writes more than a pipe holds to stdout
/// and to stderr once it is told to, and says so.
const LEAVES_A_CHILD: &str = "(while [ ! -e go ]; do sleep 0.05; done; \
    head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2; echo late; touch alive) & \
    echo left";

#[tokio::test]
async fn a_child_that_a_program_leaves_behind_may_write_as_long_as_it_lives() {
    let workspace = Workspace::start().await;
    let outcome = workspace.run(LEAVES_A_CHILD).await;
    assert_eq!(
        (outcome.text().as_str(), outcome.status),
        ("left\n", Some(0))
    );
    std::fs::write(workspace.home().join("go"), "").unwrap();
    appears(&workspace.home().join("alive")).await;
}

#[tokio::test]
async fn so_may_one_whose_stdout_the_gateway_has_read() {
    let workspace = Workspace::start().await;
    let (mut session, to_stdin, from_stdout) = with_pipes(&workspace).await;
    session.exec(LEAVES_A_CHILD).await;
    drop(to_stdin);
    assert_eq!(session.outcome_beside_pipes().await.status, Some(0));
    drop(from_stdout);
    std::fs::write(workspace.home().join("go"), "").unwrap();
    appears(&workspace.home().join("alive")).await;
}

#[tokio::test]
async fn what_the_gateway_reads_of_a_child_is_its_alone_as_long_as_the_stream_lasts() {
    let workspace = Workspace::start().await;
    let (mut session, to_stdin, mut from_stdout) = with_pipes(&workspace).await;
    session.exec(LEAVES_A_CHILD).await;
    drop(to_stdin);
    while !matches!(session.frame().await, Some(Frame::ExitStatus(0))) {}
    std::fs::write(workspace.home().join("go"), "").unwrap();
    let reading = spawn_blocking(move || {
        let mut output = Vec::new();
        from_stdout.read_to_end(&mut output).map(|_| output)
    });
    let rest = async { while session.frame().await.is_some() {} };
    let (output, ()) = tokio::join!(within(reading), rest);
    let output = output.unwrap().unwrap();
    assert_eq!(output.len(), "left\n".len() + 200_000 + "late\n".len());
}

#[tokio::test]
async fn so_may_one_that_a_process_of_the_api_leaves_behind() {
    let workspace = Workspace::start().await;
    let asked = json!({ "script": LEAVES_A_CHILD });
    let (status, done) = workspace
        .http(Method::POST, "/processes?wait=true", asked)
        .await;
    assert_eq!(
        (status, &done["stdout"]),
        (StatusCode::OK, &json!("left\n"))
    );
    std::fs::write(workspace.home().join("go"), "").unwrap();
    appears(&workspace.home().join("alive")).await;
}

#[tokio::test]
async fn what_was_sent_before_a_close_is_still_the_programs() {
    let workspace = Workspace::start().await;
    let mut session = workspace.session().await;
    let line = "echo ready; while [ ! -e go ]; do sleep 0.05; done; cat > f; touch done";
    session.exec(line).await;
    session.until("ready\n").await;
    // More than the pipe holds.
    let sent = vec![b'x'; 240_000];
    session.send(Kind::Data, &sent).await;
    session.eof().await;
    drop(session);
    // The agent has noticed meanwhile.
    workspace.run("true").await;
    let at = |name: &str| workspace.home().join(name);
    std::fs::write(at("go"), "").unwrap();
    appears(&at("done")).await;
    assert!(std::fs::read(at("f")).unwrap() == sent);
}
