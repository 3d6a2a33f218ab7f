//! Ports of the workspace's programs, and what else the agent tells about them.

use devgate_protocol::{Answer, Open};
use http::{Request, header};
use http_body_util::Full;
use serde_json::Value;

use crate::browser::request;
use crate::client::Workspace;

/// Listens on a port of the system's choice, prints it, and waits for a line.
const LISTEN: &str = "exec python3 -uc 'import socket, sys\n\
    s = socket.create_server((\"127.0.0.1\", 0))\n\
    print(s.getsockname()[1], \"port\")\n\
    sys.stdin.readline()'";

fn port_in(list: &Value, port: u64) -> Option<&Value> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["port"] == port)
}

#[tokio::test]
async fn a_port_comes_and_goes_with_its_program_and_nobody_elses_is_shown() {
    let workspace = Workspace::start().await;
    let other = Workspace::start().await;
    let follow = Request::get("/ports")
        .header(header::HOST, "agent")
        .header(header::ACCEPT, "text/event-stream")
        .body(Full::default())
        .unwrap();
    let mut events = request(&workspace, &Open::Http, follow).await;
    events
        .event(|list| list["items"] == serde_json::json!([]))
        .await;

    let mut session = workspace.session().await;
    session.exec(LISTEN).await;
    let text = session.until("port").await;
    let port: u64 = text.split_whitespace().next().unwrap().parse().unwrap();
    let list = events.event(|list| port_in(list, port).is_some()).await;
    let item = port_in(&list, port).unwrap();
    assert!(
        item["process"].as_str().unwrap().starts_with("python3"),
        "{item}"
    );
    assert_eq!(item["address"], "127.0.0.1");
    assert!(item["pid"].as_u64().unwrap() > 1);
    let listed = workspace.get("/ports").await;
    assert_eq!(port_in(&listed, port), Some(item));

    session.eof().await;
    events.event(|list| port_in(list, port).is_none()).await;
    drop((session, other));
}

#[tokio::test]
async fn a_forwarded_port_is_not_an_application() {
    let workspace = Workspace::start().await;
    let forward = Open::TcpipForward {
        address: "localhost".into(),
        port: 0,
    };
    let (_forward, answer) = workspace.open(&forward).await;
    let Answer::Listening { port } = answer else {
        panic!("{answer:?}");
    };
    let list = workspace.get("/ports").await;
    assert_eq!(port_in(&list, port.into()), None);
}

#[tokio::test]
async fn health_and_statistics_are_told() {
    let workspace = Workspace::start().await;
    let health = workspace.get("/health").await;
    assert_eq!(health["status"], "ok");
    let report = workspace.get("/statistics").await;
    assert_eq!(report["interval_seconds"], 10);
    for total in ["cpu_count", "memory_total", "disk_total"] {
        assert!(report[total].as_u64().unwrap() > 0, "{report}");
    }
    assert!(report["samples"].is_array());
    let report = workspace.get("/statistics?window=day").await;
    assert_eq!(report["interval_seconds"], 300);
}
