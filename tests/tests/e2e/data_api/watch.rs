//! Watches of folders.

use e2e::caller::{Caller, Client, Said};
use e2e::docker::{BUSYBOX, Containers};
use e2e::reach::Reach;
use e2e::target::Target;
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// How many files are made while the gateway is gone and comes back.
const FILES: usize = 600;

/// Events as they come, over one connection.
struct Events {
    body: hyper::body::Incoming,
    text: String,
}

impl Events {
    async fn open(client: &Client, path: &str, last: Option<u64>) -> Self {
        let last = last.map(|last| last.to_string());
        let mut headers = vec![("accept", "text/event-stream")];
        if let Some(last) = &last {
            headers.push(("last-event-id", last));
        }
        let answer = client.open(path, &headers).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            body: answer.into_body(),
            text: String::new(),
        }
    }

    /// Returns the next one; `None` where the connection is gone.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                };
                let data = field("data").map(|data| -> Value {
                    let data: Value = serde_json::from_str(data).unwrap();
                    assert_eq!(field("event"), Some("change"));
                    assert_eq!(field("id"), Some(data["sequence"].to_string().as_str()));
                    data
                });
                let rest = rest.to_owned();
                self.text = rest;
                if data.is_some() {
                    return data;
                }
            }
            let frame = self.body.frame().await?.ok()?;
            let data = frame.into_data().ok()?;
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

fn watched(caller: &Caller) {
    let made = caller.post(
        "/processes?wait=true",
        &json!({ "script": "mkdir -p project/node_modules; pwd" }),
    );
    let home = made.expect(200).json()["stdout"]
        .as_str()
        .unwrap()
        .trim()
        .to_owned();
    let request = json!({ "path": "project", "exclude": ["node_modules"] });
    let watch = caller.post("/watches", &request).expect(201).json();
    assert_eq!(watch["sequence"], 0);
    assert_eq!(watch["path"], format!("{home}/project"));
    assert!(watch["expires_at"].is_string());
    let id = watch["id"].as_str().unwrap();
    let script = "cd project; mkdir -p a/b/c; echo 1 > a/b/c/file; mv a/b/c/file a/x; \
                  echo 1 > node_modules/hidden; rm a/x; echo > last";
    let _ = caller
        .post("/processes?wait=true", &json!({ "script": script }))
        .expect(200);
    let client = caller.client();
    let events = format!("/watches/{id}/events");
    let told = caller.run(async {
        let mut events = Events::open(&client, &events, None).await;
        let mut told = Vec::new();
        loop {
            let event = events.next().await.unwrap();
            assert_eq!(event["sequence"], told.len() + 1);
            let path = event["path"].as_str().unwrap().to_owned();
            told.push(event);
            if path.ends_with("/last") {
                return told;
            }
        }
    });
    let created = told.iter().filter(|event| event["kind"] == "created");
    let created: Vec<_> = created
        .map(|event| event["path"].as_str().unwrap())
        .collect();
    for path in ["a", "a/b", "a/b/c", "last"] {
        let path = format!("{home}/project/{path}");
        assert_eq!(
            created.iter().filter(|made| **made == path).count(),
            1,
            "{path} {told:?}"
        );
    }
    assert!(
        told.iter()
            .any(|event| event["kind"] == "removed"
                && event["path"] == format!("{home}/project/a/x"))
    );
    assert!(
        !told
            .iter()
            .any(|event| event["path"].as_str().unwrap().contains("hidden"))
    );

    caller.run(async {
        // Who reconnects by themselves ask for the same, and say what they have seen since.
        let again = format!("{events}?since=1");
        let mut again = Events::open(&client, &again, Some(3)).await;
        assert_eq!(again.next().await.unwrap(), told[3]);
        // The same by WebSocket, from the middle.
        let mut socket = client.socket(&format!("{events}?since=2")).await;
        assert_eq!(socket.text().await, told[2]);
        assert_eq!(socket.text().await, told[3]);
        // And for as long as a connection lasts.
        let mut own = client.socket("/watch?path=project&include=*.txt").await;
        let script = json!({ "script": "echo > project/no; echo > project/yes.txt" });
        let _ = client
            .post("/processes?wait=true", &script)
            .await
            .expect(200);
        let event = own.text().await;
        assert_eq!(event["path"], format!("{home}/project/yes.txt"));
    });
    let _ = caller.delete(&format!("/watches/{id}")).expect(204);
    let gone = caller.get(&format!("/watches/{id}")).expect(404).json();
    assert_eq!(gone["code"], "no-watch");
    let missing = caller
        .post("/watches", &json!({ "path": "missing" }))
        .expect(404);
    assert_eq!(missing.json()["code"], "no-file");
    let bad = caller.post("/watches", &json!({ "path": ".", "include": ["[a"] }));
    assert_eq!(bad.expect(400).json()["code"], "bad-pattern");
}

/// Follows a watch while the gateway is killed and comes back, twice.
fn across_a_restart(target: &mut Target) {
    let mut caller = Caller::of(target.gateway());
    let client = caller.client();
    let made = json!({ "script": "mkdir made" });
    let _ = caller.post("/processes?wait=true", &made).expect(200);
    let request = json!({ "path": "made", "keep_seconds": 300 });
    let watch = caller.post("/watches", &request).expect(201).json();
    let path = format!("/watches/{}/events", watch["id"].as_str().unwrap());
    let script = format!(
        "for i in $(seq {FILES}); do mkdir made/d$i; : > made/d$i/f$i; sleep 0.01; done; : > made/end"
    );
    let _ = caller
        .post("/processes", &json!({ "script": script }))
        .expect(201);
    let mut told: Vec<Value> = Vec::new();
    let mut follow = |caller: &Caller, client: &Client, until: usize| {
        caller.run(async {
            let last = told.last().map(|event| event["sequence"].as_u64().unwrap());
            let mut events = Events::open(client, &path, last).await;
            while told.len() < until {
                let event = events.next().await.unwrap();
                let ends = event["path"].as_str().unwrap().ends_with("/end");
                told.push(event);
                if ends {
                    break;
                }
            }
        });
    };
    follow(&caller, &client, 50);
    for until in [400, usize::MAX] {
        target.gateway_mut().kill();
        target.gateway_mut().start_again();
        caller.moved_to(target.gateway());
        follow(&caller, &caller.client(), until);
    }
    let numbers: Vec<_> = told
        .iter()
        .map(|event| event["sequence"].as_u64().unwrap())
        .collect();
    let wanted: Vec<_> = (1..=u64::try_from(told.len()).unwrap()).collect();
    assert_eq!(numbers, wanted, "none lost, none twice");
    assert_eq!(told.len(), 2 * FILES + 1);
    assert!(told.iter().all(|event| event["kind"] == "created"));
    let mut paths: Vec<_> = told
        .iter()
        .map(|event| event["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), told.len());
}

#[test]
fn a_folder_is_watched() {
    let target = Target::devgate(Reach::Unix);
    watched(&Caller::of(target.gateway()));
}

#[test]
fn a_watch_goes_on_across_a_restart_of_the_gateway() {
    across_a_restart(&mut Target::devgate(Reach::Unix));
}

#[test]
fn a_watch_goes_on_across_a_cut_tunnel() {
    across_a_restart(&mut Target::devgate(Reach::Dial));
}

#[test]
fn a_watch_ends_what_follows_it() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let watch = caller
        .post("/watches", &json!({ "path": "." }))
        .expect(201)
        .json();
    let path = format!("/watches/{}", watch["id"].as_str().unwrap());
    let client = caller.client();
    let mut socket = caller.run(client.socket(&format!("{path}/events")));
    let _ = caller.delete(&path).expect(204);
    let said = caller.run(async {
        loop {
            match socket.next().await {
                Said::Closed(code) => return code,
                Said::Text(_) => {}
                Said::Data(..) => panic!("events are text"),
            }
        }
    });
    assert_eq!(said, Some(1000));
}

mod docker {
    use super::*;

    #[test]
    fn a_folder_is_watched_in_a_container() {
        let mut it = Containers::start(BUSYBOX, &[]);
        watched(&Caller::of(it.target().gateway()));
        across_a_restart(it.target_mut());
    }
}
