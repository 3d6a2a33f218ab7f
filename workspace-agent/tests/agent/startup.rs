//! What is done when the agent starts, with the real shell and the real git.

mod clone;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command as Program;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use devgate_protocol::config::{
    AgentConfig, Command, Credentials, OnFailure, Readiness, Repository, Runs, Single, Startup,
    Step,
};
use devgate_protocol::control::{self, FromAgent, FromGateway, Told};
use devgate_protocol::frame::Kind;
use devgate_protocol::{Answer, Open, Secret};
use http::{Request, header};
use http_body_util::Full;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;

use crate::browser::request;
use crate::client::{Workspace, within};

/// A step that runs a command line.
pub(crate) fn step(name: &str, line: &str) -> Step {
    Step {
        name: name.to_owned(),
        command: Command::Shell(line.to_owned()),
        directory: None,
        environment: BTreeMap::new(),
        timeout: Duration::ZERO,
        runs: Runs::Always,
        on_failure: OnFailure::Stop,
        wait: false,
    }
}

async fn started(change: impl FnOnce(&mut AgentConfig)) -> Workspace {
    Workspace::configured(BTreeMap::new(), change).await
}

fn with(startup: Startup) -> impl FnOnce(&mut AgentConfig) {
    |config| config.startup = startup
}

fn steps(steps: Vec<Step>) -> Startup {
    Startup {
        steps,
        ..Startup::default()
    }
}

/// Waits until the start-up is over, however it went.
async fn over(workspace: &Workspace) -> Value {
    let over = |status: &Value| status["state"] == "done" || status["state"] == "failed";
    workspace.until("/startup", over).await
}

/// Returns the states of the steps.
fn states(status: &Value) -> Vec<&str> {
    let steps = status["steps"].as_array().unwrap().iter();
    steps.map(|step| step["state"].as_str().unwrap()).collect()
}

async fn log(workspace: &Workspace) -> String {
    let wanted = Request::builder()
        .uri("/startup/log?tail=1000")
        .header(header::HOST, "agent")
        .body(Full::default())
        .unwrap();
    request(workspace, &Open::Http, wanted).await.text().await
}

/// Says welcome as a gateway does.
async fn welcome(workspace: &Workspace, secrets: Vec<Told>, missing: Vec<String>) -> UnixStream {
    let (mut stream, answer) = workspace.open(&Open::Control).await;
    assert_eq!(answer, Answer::Opened);
    let hello: FromAgent = within(control::read(&mut stream)).await.unwrap().unwrap();
    let FromAgent::Hello { features, .. } = hello else {
        panic!("{hello:?}");
    };
    for feature in ["startup", "secrets"] {
        assert!(features.iter().any(|name| name == feature), "{features:?}");
    }
    let welcome = FromGateway::Welcome {
        protocol: devgate_protocol::VERSION,
        version: "test".into(),
        features: Vec::new(),
        environment: BTreeMap::new(),
        secrets,
        missing,
        authority: None,
    };
    control::write(&mut stream, &welcome).await.unwrap();
    stream
}

fn told(name: &str, variable: Option<&str>, value: &str) -> Told {
    Told {
        name: name.to_owned(),
        variable: variable.map(str::to_owned),
        value: Secret::new(value.to_owned()),
    }
}

#[tokio::test]
async fn without_anything_to_do_there_is_nothing_to_wait_for() {
    let workspace = Workspace::start().await;
    let status = workspace.get("/startup").await;
    assert_eq!(status["state"], "none");
    assert_eq!(status["ready"], true);
    assert_eq!(log(&workspace).await, "");
}

#[tokio::test]
async fn steps_run_in_order_where_and_with_what_they_are_told() {
    let mut second = step(
        "second",
        "echo $COLOUR in $(pwd); cat ../first; echo oops >&2",
    );
    second.directory = Some("folder".into());
    second.environment.insert("COLOUR".into(), "blue".into());
    let mut third = step("third", "");
    third.command = Command::Argv(vec!["printf".into(), "%s|".into(), "a b".into()]);
    let mut fourth = step("fourth", "");
    fourth.command = Command::Parallel(
        [
            (
                "one".to_owned(),
                Single::Shell("until test -e two; do sleep 0.01; done".into()),
            ),
            (
                "two".to_owned(),
                Single::Argv(vec!["touch".into(), "two".into()]),
            ),
        ]
        .into(),
    );
    let first = step("first", "mkdir folder; echo $HOME > first");
    let workspace = started(with(steps(vec![first, second, third, fourth]))).await;
    let status = over(&workspace).await;
    let log = log(&workspace).await;
    assert_eq!(status["state"], "done", "{status}\n{log}");
    assert_eq!(states(&status), ["done"; 4]);
    let home = fs::canonicalize(workspace.home()).unwrap();
    let text = format!("[second] blue in {}\n", home.join("folder").display());
    assert!(log.contains(&text), "{log}");
    assert!(log.contains("[second] oops\n"), "{log}");
    assert!(log.contains("[third] a b|\n"), "{log}");
    let line = log.lines().next().unwrap();
    let time = line.split(' ').next().unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(time, format).unwrap();
    let file = workspace.home().join(".local/state/devgate/startup.log");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_step_that_fails_stops_those_after_it_unless_told_otherwise() {
    let mut harmless = step("harmless", "exit 4");
    harmless.on_failure = OnFailure::GoOn;
    let bad = step("bad", "echo it is broken; exit 3");
    let workspace = started(with(steps(vec![
        harmless,
        bad,
        step("never", "touch never"),
    ])))
    .await;
    let status = over(&workspace).await;
    assert_eq!(status["state"], "failed");
    assert_eq!(states(&status), ["failed", "failed", "skipped"]);
    assert_eq!(status["steps"][0]["exit"], 4);
    assert_eq!(status["failure"]["step"], "bad");
    assert_eq!(status["failure"]["exit"], 3);
    assert_eq!(status["failure"]["last_line"], "it is broken");
    assert!(!workspace.home().join("never").exists());
    // People get in all the same.
    assert_eq!(workspace.run("echo in").await.text(), "in\n");
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended_with_all_that_it_started() {
    let mut slow = step("slow", "sleep 300 & echo $! > child; echo started; wait");
    slow.timeout = Duration::from_secs(1);
    let workspace = started(with(steps(vec![slow]))).await;
    let status = over(&workspace).await;
    assert_eq!(status["state"], "failed");
    assert!(
        status["detail"]
            .as_str()
            .unwrap()
            .contains("longer than 1 s"),
        "{status}"
    );
    assert_eq!(status["failure"]["exit"], Value::Null);
    let child = fs::read_to_string(workspace.home().join("child")).unwrap();
    let gone = format!(
        "while kill -0 {} 2> /dev/null; do sleep 0.01; done; echo gone",
        child.trim()
    );
    assert_eq!(workspace.run(&gone).await.text(), "gone\n");
}

#[tokio::test]
async fn a_step_may_leave_something_in_the_background() {
    let leaves = step(
        "leaves",
        "(sleep 0.3; echo later; sleep 300) & echo $! > child",
    );
    let workspace = started(with(steps(vec![leaves, step("next", "true")]))).await;
    let status = over(&workspace).await;
    assert_eq!(states(&status), ["done", "done"], "{status}");
    let deadline = std::time::Instant::now() + crate::client::DEADLINE;
    while !log(&workspace).await.contains("[leaves] later") {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done = workspace.run("kill $(cat child) && echo lived").await;
    assert_eq!(done.text(), "lived\n");
}

#[tokio::test]
async fn what_runs_once_is_not_repeated_and_what_failed_is() {
    let count = |name: &str, runs| {
        let mut step = step(name, &format!("echo x >> {name}"));
        step.runs = runs;
        step
    };
    let mut flaky = step("flaky", "echo x >> flaky; test -e fixed");
    flaky.runs = Runs::OncePerHome;
    flaky.on_failure = OnFailure::GoOn;
    let all = steps(vec![
        count("always", Runs::Always),
        count("container", Runs::OncePerContainer),
        count("home", Runs::OncePerHome),
        flaky,
    ]);
    let in_container = |startup: &Startup, name: &str| {
        let (startup, name) = (startup.clone(), name.to_owned());
        move |config: &mut AgentConfig| {
            let folder = config.home.with_file_name(name);
            config.startup = Startup {
                state_folder: Some(folder),
                ..startup
            };
        }
    };
    let mut workspace = started(in_container(&all, "first")).await;
    over(&workspace).await;
    // The agent's next start in the same container, and then one in another.
    for (container, skipped) in [("first", 2), ("second", 1)] {
        fs::write(workspace.home().join("fixed"), "").unwrap();
        workspace = workspace.again(in_container(&all, container)).await;
        let status = over(&workspace).await;
        let all = states(&status);
        let count = all.iter().filter(|state| **state == "skipped").count();
        let flaky = usize::from(container == "second");
        assert_eq!(count, skipped + flaky, "{container}: {all:?}");
    }
    let lines = |name: &str| {
        let text = fs::read_to_string(workspace.home().join(name)).unwrap();
        text.lines().count()
    };
    let found = ["always", "container", "home", "flaky"].map(lines);
    assert_eq!(found, [3, 2, 1, 2]);
}

#[tokio::test]
async fn a_workspace_is_ready_once_what_it_waits_for_is_over_and_its_port_answers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut waited = step("waited", "until test -e go; do sleep 0.01; done");
    waited.wait = true;
    let startup = Startup {
        steps: vec![
            waited,
            step("other", "until test -e end; do sleep 0.01; done"),
        ],
        readiness: Some(Readiness {
            command: None,
            port: Some(port),
            timeout: Duration::ZERO,
        }),
        ..Startup::default()
    };
    let workspace = started(with(startup)).await;
    let running = |status: &Value| status["step"] == "waited";
    let status = workspace.until("/startup", running).await;
    assert_eq!(status["ready"], false);
    assert_eq!(status["detail"], "running waited (1 of 2)");
    fs::write(workspace.home().join("go"), "").unwrap();
    let running = |status: &Value| status["step"] == "other";
    let status = workspace.until("/startup", running).await;
    assert_eq!(status["ready"], false, "{status}");
    let _listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let ready = |status: &Value| status["ready"] == true;
    let status = workspace.until("/startup", ready).await;
    assert_eq!(status["state"], "running");
    fs::write(workspace.home().join("end"), "").unwrap();
    assert_eq!(over(&workspace).await["state"], "done");
}

#[tokio::test]
async fn a_workspace_that_does_not_become_ready_says_so() {
    let startup = Startup {
        readiness: Some(Readiness {
            command: Some("test -e never".into()),
            port: None,
            timeout: Duration::from_secs(1),
        }),
        ..Startup::default()
    };
    let workspace = started(with(startup)).await;
    let status = over(&workspace).await;
    assert_eq!(status["state"], "failed");
    assert_eq!(status["ready"], false);
    assert!(
        status["detail"].as_str().unwrap().contains("after 1 s"),
        "{status}"
    );
}

#[tokio::test]
async fn changes_are_told_to_whoever_follows() {
    let workspace = started(with(steps(vec![
        step("first", "until test -e go; do sleep 0.01; done; echo went"),
        step("second", "true"),
    ])))
    .await;
    let follow = |path: &'static str| {
        Request::builder()
            .uri(path)
            .header(header::HOST, "agent")
            .header(header::ACCEPT, "text/event-stream")
            .body(Full::default())
            .unwrap()
    };
    let mut events = request(&workspace, &Open::Http, follow("/startup")).await;
    events.event(|status| status["step"] == "first").await;
    fs::write(workspace.home().join("go"), "").unwrap();
    let last = events.event(|status| status["state"] == "done").await;
    assert_eq!(states(&last), ["done", "done"]);
    let lines = request(&workspace, &Open::Http, follow("/startup/log?tail=100")).await;
    let kind = lines.response.headers().get(header::CONTENT_TYPE).unwrap();
    assert_eq!(kind, "text/event-stream");
}

#[tokio::test]
async fn secrets_reach_steps_and_sessions_and_no_file() {
    const VALUE: &str = "s3cr3t-value-of-the-test";
    let shown = step("shown", "echo the token is $TOKEN; test -n \"$TOKEN\"");
    let startup = Startup {
        secrets: vec!["TOKEN".into(), "OTHER".into()],
        ..steps(vec![shown])
    };
    let workspace = started(with(startup)).await;
    let waiting = |status: &Value| status["detail"] == "waiting for the secrets";
    workspace.until("/startup", waiting).await;
    let secrets = vec![told("TOKEN", Some("TOKEN"), VALUE)];
    let _gateway = welcome(&workspace, secrets, vec!["OTHER".into()]).await;
    let status = over(&workspace).await;
    let log = log(&workspace).await;
    assert_eq!(status["state"], "done", "{log}");
    assert!(log.contains("the token is ***"), "{log}");
    assert!(log.contains("there is no secret OTHER"), "{log}");
    assert_eq!(
        workspace.run("echo $TOKEN").await.text(),
        format!("{VALUE}\n")
    );
    let found = Program::new("grep")
        .args(["-r", "-l", "--devices=skip", VALUE])
        .arg(workspace.folder.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    // The next gateway tells others.
    let _gateway = welcome(&workspace, Vec::new(), Vec::new()).await;
    let mut text = String::new();
    while text != "gone\n" {
        text = workspace.run("echo ${TOKEN-gone}").await.text();
    }
}

#[tokio::test]
async fn what_a_gateway_tells_anew_is_what_the_next_program_finds() {
    let configured = BTreeMap::from([("OWNER".to_owned(), "nobody".to_owned())]);
    let workspace = Workspace::configured(configured, |_| {}).await;
    let mut gateway = welcome(&workspace, Vec::new(), Vec::new()).await;
    let tell = FromGateway::Tell {
        number: 7,
        environment: BTreeMap::from([("OWNER".to_owned(), "ada".to_owned())]),
        secrets: vec![told("TOKEN", Some("TOKEN"), "value")],
        missing: Vec::new(),
        authority: None,
    };
    control::write(&mut gateway, &tell).await.unwrap();
    let known: FromAgent = within(control::read(&mut gateway)).await.unwrap().unwrap();
    assert_eq!(known, FromAgent::Known { number: 7 });
    let found = workspace.run("echo $OWNER $TOKEN").await.text();
    assert_eq!(found, "ada value\n");
}
