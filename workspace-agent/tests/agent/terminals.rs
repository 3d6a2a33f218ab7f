//! Terminals that outlive their clients.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::browser::Tab;
use crate::client::Workspace;

/// Most that a client may owe, in bytes.
const WINDOW: usize = 256 * 1024;

/// A shell without a profile, whose prompt is plain: a repaint writes no trailing space.
const SHELL: &str = "PS1='ready>' exec bash --norc --noprofile";

#[tokio::test]
async fn a_shell_and_its_screen_are_there_when_one_comes_back() {
    let workspace = Workspace::start().await;
    let id = workspace.terminal(json!({"command": SHELL})).await;
    let mut tab = workspace.attach(&id, "?columns=90&rows=30").await;
    tab.until("ready>").await;
    tab.send(b"variable=kept; stty size; printf '\\e]2;my title\\a'\r")
        .await;
    tab.until("30 90").await;
    assert_eq!(tab.told("title").await["title"], "my title");
    drop(tab);
    let list = workspace
        .until("/terminals", |list| list["items"][0]["attached"] == 0)
        .await;
    let terminal = &list["items"][0];
    assert_eq!(terminal["id"], id.as_str());
    assert_eq!(terminal["title"], "my title");
    assert_eq!(terminal["process"], "bash");
    assert_eq!(
        (&terminal["columns"], &terminal["rows"]),
        (&json!(90), &json!(30))
    );
    assert!(terminal["ends_at"].is_string());

    let mut tab = workspace.attach(&id, "").await;
    let repaint = tab.until("ready>").await;
    assert!(repaint.contains("30 90"), "{repaint}");
    assert_eq!(tab.told("title").await["title"], "my title");
    tab.send(b"echo again-$variable\r").await;
    tab.until("again-kept").await;
    tab.send(b"exit 7\r").await;
    assert_eq!(tab.told("exit").await["status"], 7);
    let list = workspace.get("/terminals").await;
    assert_eq!(list["items"][0]["state"], "exited");
    assert_eq!(list["items"][0]["exit_status"], 7);
    // The last screen stays.
    let mut late = workspace.attach(&id, "").await;
    late.until("again-kept").await;
    assert_eq!(late.told("exit").await["status"], 7);
}

#[tokio::test]
async fn vim_is_painted_again_as_it_was() {
    let workspace = Workspace::start().await;
    let file = workspace.home().join("text");
    fs::write(&file, "first line\nsecond line\n").unwrap();
    let id = workspace.terminal(json!({"command": SHELL})).await;
    let mut tab = workspace.attach(&id, "?columns=80&rows=24").await;
    tab.until("ready>").await;
    tab.send(b"vim -N -u NONE -i NONE --cmd 'set mouse=a ttymouse=sgr' text\r")
        .await;
    tab.until("second line").await;
    tab.send(b"jyypA changed\x1b").await;
    drop(tab);
    let (mut tab, repaint) = painted(&workspace, &id, "second line changed").await;
    let alternate = repaint.find("\x1b[?1049h").expect("the alternate screen");
    assert!(
        repaint[..alternate].contains("vim -N"),
        "the primary screen is below"
    );
    for expected in ["first line", "~", "\x1b[?1006h", "\x1b[?2004h", "\x1b[?1h"] {
        assert!(
            repaint[alternate..].contains(expected),
            "{expected:?} is not in {repaint:?}"
        );
    }
    assert_eq!(foreground(&workspace).await, "vim");
    tab.send(b":wq\r").await;
    tab.until("ready>").await;
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, "first line\nsecond line\nsecond line changed\n");
}

/// Attaches again and again until the screen holds a text.
async fn painted(workspace: &Workspace, id: &str, text: &str) -> (Tab, String) {
    let deadline = std::time::Instant::now() + crate::client::DEADLINE;
    loop {
        let mut tab = workspace.attach(id, "").await;
        let repaint = tab.first().await;
        if repaint.contains(text) {
            return (tab, repaint);
        }
        assert!(std::time::Instant::now() < deadline, "{repaint:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn foreground(workspace: &Workspace) -> String {
    let list = workspace.get("/terminals").await;
    let process = list.pointer("/items/0/process").unwrap();
    process.as_str().unwrap().to_owned()
}

/// Takes what comes, without acknowledging it, until the window is full.
async fn fill(tab: &mut Tab) -> usize {
    let mut owed = 0;
    while owed + 64 * 1024 <= WINDOW {
        owed += tab.receive().await.unwrap();
        assert!(owed <= WINDOW, "{owed}");
    }
    owed
}

/// Returns what a process has written so far.
fn written(pid: &str) -> u64 {
    let io = fs::read_to_string(Path::new("/proc").join(pid).join("io")).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_client_that_acknowledges_nothing_stalls_its_program_and_nothing_is_lost() {
    let workspace = Workspace::start().await;
    let command = "stty raw; echo pid $$.; read go; exec seq 100000000 100999999";
    let id = workspace.terminal(json!({"command": command})).await;
    let mut tab = workspace.attach(&id, "").await;
    let start = tab.until(".").await;
    let pid = start
        .split("pid ")
        .nth(1)
        .unwrap()
        .split('.')
        .next()
        .unwrap()
        .to_owned();
    tab.send(b"go\n").await;
    let mut owed = fill(&mut tab).await;
    // It is stalled once it has written no more for a while.
    let mut before = written(&pid);
    let mut still = 0;
    while still < 10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = written(&pid);
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
    assert!(before < 2 * 1024 * 1024, "{before} bytes were written");
    for _ in 0..40 {
        tab.ack(owed).await;
        owed = tab.receive().await.unwrap();
    }
    let shown = tab.until("1000").await;
    let numbers: Vec<u64> = shown
        .split('\n')
        .filter_map(|line| line.trim().parse().ok())
        .filter(|number| *number >= 100_000_000)
        .collect();
    assert!(numbers.len() > 10_000, "{}", numbers.len());
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    let (status, _) = workspace
        .http(Method::DELETE, &format!("/terminals/{id}"), Value::Null)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn one_that_lags_holds_up_nobody_and_is_painted_anew() {
    let workspace = Workspace::start().await;
    let command = "read go; yes | head -c 8000000; printf 'the\\40end'; read more";
    let id = workspace.terminal(json!({"command": command})).await;
    let mut slow = workspace.attach(&id, "").await;
    let mut fast = workspace.attach(&id, "").await;
    fast.send(b"go\r").await;
    fast.until("the end").await;
    let owed = slow.receive_all().await;
    assert!(owed <= WINDOW, "{owed}");
    slow.ack(owed).await;
    let repaint = slow.until("the end").await;
    assert!(repaint.contains("\x1bc"));
}

impl Tab {
    /// Takes all that the agent sent so far.
    async fn receive_all(&mut self) -> usize {
        let mut owed = 0;
        while let Ok(received) =
            tokio::time::timeout(Duration::from_millis(500), self.receive()).await
        {
            owed += received.unwrap();
        }
        owed
    }
}

#[tokio::test]
async fn without_a_client_the_program_runs_at_its_speed() {
    let workspace = Workspace::start().await;
    let command = "yes | head -c 8000000; echo done > finished";
    workspace.terminal(json!({"command": command})).await;
    workspace
        .until("/terminals", |list| list["items"][0]["state"] == "exited")
        .await;
    assert!(workspace.home().join("finished").exists());
}

#[tokio::test]
async fn a_client_that_vanishes_frees_the_program() {
    let workspace = Workspace::start().await;
    let command = "read go; yes | head -c 8000000; echo done > finished";
    let id = workspace.terminal(json!({"command": command})).await;
    let mut tab = workspace.attach(&id, "").await;
    tab.send(b"go\r").await;
    fill(&mut tab).await;
    drop(tab);
    workspace
        .until("/terminals", |list| list["items"][0]["state"] == "exited")
        .await;
    assert!(workspace.home().join("finished").exists());
}

#[tokio::test]
async fn the_size_is_the_smallest_of_all_clients() {
    let workspace = Workspace::start().await;
    let id = workspace.terminal(json!({"command": SHELL})).await;
    let mut large = workspace.attach(&id, "?columns=120&rows=40").await;
    let size = |columns: u16, rows: u16| json!({"type": "size", "columns": columns, "rows": rows});
    assert_eq!(large.told("size").await, size(120, 40));
    let mut small = workspace.attach(&id, "?columns=60&rows=50").await;
    assert_eq!(small.told("size").await, size(60, 40));
    assert_eq!(large.told("size").await, size(60, 40));
    small
        .say(json!({"type": "resize", "columns": 70, "rows": 20}))
        .await;
    assert_eq!(large.told("size").await, size(70, 20));
    large.send(b"stty size\r").await;
    large.until("20 70").await;
    drop(small);
    assert_eq!(large.told("size").await, size(120, 40));
    large.send(b"stty size\r").await;
    large.until("40 120").await;
}

#[tokio::test]
async fn a_paste_that_the_program_does_not_read_yet_arrives_whole() {
    let workspace = Workspace::start().await;
    let command = "stty raw -echo; echo rea''dy; read -n1 go; yes | head -c 2000000; \
                   head -c 1000000 | md5sum > sum; echo fin''ished; read more";
    let id = workspace.terminal(json!({"command": command})).await;
    let mut tab = workspace.attach(&id, "").await;
    tab.until("ready").await;
    tab.send(b"g").await;
    for _ in 0..20 {
        tab.send(&vec![b'p'; 50_000]).await;
    }
    tab.until("finished").await;
    let sum = fs::read_to_string(workspace.home().join("sum")).unwrap();
    let expected = workspace
        .run("head -c 1000000 /dev/zero | tr '\\0' p | md5sum")
        .await;
    assert_eq!(sum, expected.text());
}

#[tokio::test]
async fn a_terminal_that_is_ended_hangs_up_its_program_and_its_clients() {
    let workspace = Workspace::start().await;
    let id = workspace.terminal(json!({"command": "trap 'echo hung > up; exit' HUP; echo re''ady; while :; do read x; done"})).await;
    let mut tab = workspace.attach(&id, "").await;
    tab.until("ready").await;
    let path = format!("/terminals/{id}");
    let (status, _) = workspace.http(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    while tab.receive().await.is_some() {}
    let deadline = std::time::Instant::now() + crate::client::DEADLINE;
    while !workspace.home().join("up").exists() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, problem) = workspace.http(Method::GET, &path, Value::Null).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &json!("no-terminal"))
    );
}

#[tokio::test]
async fn a_terminal_that_nobody_looks_at_ends_in_time() {
    let workspace = Workspace::configured(BTreeMap::new(), |config| {
        config.terminals.keep = Duration::from_millis(300);
    })
    .await;
    let id = workspace.terminal(json!({"command": SHELL})).await;
    let mut tab = workspace.attach(&id, "").await;
    tab.until("ready>").await;
    drop(tab);
    workspace
        .until("/terminals", |list| list["items"] == json!([]))
        .await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let workspace = Workspace::start().await;
    for (method, path, body, status, code) in [
        (
            Method::GET,
            "/nothing",
            Value::Null,
            StatusCode::NOT_FOUND,
            "no-route",
        ),
        (
            Method::PUT,
            "/terminals",
            Value::Null,
            StatusCode::METHOD_NOT_ALLOWED,
            "no-method",
        ),
        (
            Method::POST,
            "/terminals",
            json!({"columns": "x"}),
            StatusCode::BAD_REQUEST,
            "bad-request",
        ),
        (
            Method::DELETE,
            "/terminals/none",
            Value::Null,
            StatusCode::NOT_FOUND,
            "no-terminal",
        ),
        (
            Method::GET,
            "/statistics?window=year",
            Value::Null,
            StatusCode::BAD_REQUEST,
            "bad-request",
        ),
    ] {
        let (got, problem) = workspace.http(method, path, body).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)));
        assert_eq!(problem["status"], status.as_u16());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_terminal_has_the_size_that_was_asked_for_or_is_refused() {
    let workspace = Workspace::start().await;
    for body in [
        json!({"columns": 0}),
        json!({"rows": 0}),
        json!({"columns": 1001}),
        json!({"columns": 80, "rows": 5000}),
        json!({"cwd": "nope"}),
    ] {
        let (status, problem) = workspace.http(Method::POST, "/terminals", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    }
    for (columns, rows) in [(1, 1), (600, 400), (1000, 1000)] {
        let body = json!({"columns": columns, "rows": rows, "command": SHELL});
        let id = workspace.terminal(body).await;
        let shown = workspace.get(&format!("/terminals/{id}")).await;
        assert_eq!(
            (&shown["columns"], &shown["rows"]),
            (&json!(columns), &json!(rows))
        );
        let path = format!("/terminals/{id}/attach?columns=0&rows=24");
        let (_, problem) = workspace.http(Method::GET, &path, Value::Null).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("1 to 1000"), "{detail}");
        let mut tab = workspace.attach(&id, "").await;
        tab.say(json!({"type": "resize", "columns": 0, "rows": 0}))
            .await;
        tab.say(json!({"type": "resize", "columns": 1, "rows": rows}))
            .await;
        // Wide characters that find no room.
        tab.send("echo '\u{4e2d}\u{6587}'; stty size\r".as_bytes())
            .await;
        tab.say(json!({"type": "resize", "columns": 90, "rows": 30}))
            .await;
        tab.send(b"stty size\r").await;
        tab.until("30 90").await;
    }
}
