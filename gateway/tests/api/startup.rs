//! The start-up of workspaces, and secrets.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Site;
use crate::home::Home;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

const FAILS: &str = "[startup]\nscript = \"echo oh no; exit 7\"\nsecrets = [\"NONE\"]\n";

/// Asks again and again until the answer is as wanted.
fn until(site: &Site<'_>, line: &str, token: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = site.send(line, &[token], None).json();
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "it stays {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_start_up_that_fails_is_shown_and_told_once_and_the_workspace_runs() {
    let home = Home::new();
    let site = Site::up_with(&home, FAILS);
    let token = site.token(&site.sign_in(), "admin");
    let new = json!({ "name": "api" });
    let made = site.send("POST /workspaces?wait=30", &[&token], Some(&new));
    assert_eq!(made.text("state"), "running");
    let id = made.text("id");
    let line = format!("GET /workspaces/{id}/startup");
    let shown = until(&site, &line, &token, |shown| shown["state"] == "failed");
    assert_eq!(shown["failure"]["step"], "script", "{shown}");
    assert_eq!(shown["failure"]["exit"], 7);
    assert_eq!(shown["failure"]["last_line"], "oh no");
    assert_eq!(shown["steps"][0]["state"], "failed");
    let workspace = site
        .send(&format!("GET /workspaces/{id}"), &[&token], None)
        .json();
    assert_eq!(workspace["startup"]["state"], "failed", "{workspace}");
    assert_eq!(workspace["state"], "running");
    let log = site.send(&format!("{line}/log"), &[&token], None);
    assert!(log.body.contains("[script] oh no"), "{log:?}");
    let mut lines = site.follow(&format!("/workspaces/{id}/startup/log"), &token);
    let mut text = String::new();
    while !text.contains("data: ") || !text.contains("[script] oh no") {
        assert_ne!(lines.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let mut changes = site.follow(&format!("/workspaces/{id}/startup"), &token);
    let mut text = String::new();
    while !text.contains("\"failed\"") {
        assert_ne!(changes.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let failed = |events: &Value| -> Vec<Value> {
        let events = events["items"].as_array().unwrap().iter();
        let ours = events.filter(|event| {
            event["kind"] == "startup-failed" && event["workspace"]["id"] == id.as_str()
        });
        ours.cloned().collect()
    };
    let told = until(&site, "GET /events", &token, |told| {
        !failed(told).is_empty()
    });
    let told = failed(&told);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["data"]["exit"], "7");
    assert_eq!(told[0]["data"]["line"], "oh no");
    let missing = |events: &Value| {
        let events = events["items"].as_array().unwrap().iter();
        events
            .filter(|event| event["kind"] == "secrets-missing")
            .any(|event| {
                event["workspace"]["id"] == id.as_str() && event["data"]["names"] == "NONE"
            })
    };
    until(&site, "GET /events", &token, missing);
    assert!(log.body.contains("there is no secret NONE"), "{log:?}");
    // A stopped one has nothing to tell, and its log is there.
    let stop = format!("POST /workspaces/{id}/stop?wait=30");
    assert_eq!(site.send(&stop, &[&token], None).status, 200);
    let shown = site.send(&line, &[&token], None).json();
    assert_eq!(shown["state"], "none");
    let log = site.send(&format!("{line}/log"), &[&token], None);
    assert!(log.body.contains("there is no secret NONE"), "{log:?}");
}

#[test]
fn a_start_up_is_nobody_elses() {
    let home = Home::new();
    let site = Site::up_with(&home, FAILS);
    let admin = site.token(&site.sign_in(), "admin");
    let eve = site.member(&admin, "eve");
    let listed = site.send("GET /workspaces", &[&admin], None).json();
    let id = listed["items"][0]["id"].as_str().unwrap();
    for path in ["startup", "startup/log"] {
        let line = format!("GET /workspaces/{id}/{path}");
        site.send(&line, &[&eve], None)
            .refused(404, "no-such-workspace");
        site.send(&line, &[], None).refused(401, "signed-out");
    }
}

#[test]
fn a_secret_goes_in_and_never_comes_out() {
    let home = Home::new();
    let site = Site::up(&home);
    let cookie = site.sign_in();
    let admin = site.token(&cookie, "admin");
    let (write, read) = (site.token(&cookie, "write"), site.token(&cookie, "read"));
    let eve = site.member(&admin, "eve");
    let value = "never-comes-out";
    let body = json!({ "value": value });
    site.send("PUT /secrets/TOKEN", &[&read], Some(&body))
        .refused(403, "scope-too-small");
    let set = site.send("PUT /secrets/TOKEN", &[&write], Some(&body));
    assert_eq!((set.status, set.body.as_str()), (204, ""), "{set:?}");
    let listed = site.send("GET /secrets", &[&read], None);
    assert_eq!(listed.json()["items"][0]["name"], "TOKEN", "{listed:?}");
    let shown = site.send("GET /secrets/TOKEN", &[&read], None);
    assert_eq!(shown.text("name"), "TOKEN");
    assert!(!listed.body.contains(value) && !shown.body.contains(value));
    // Somebody else's are their own.
    assert_eq!(
        site.send("GET /secrets", &[&eve], None).json()["items"],
        json!([])
    );
    site.send("GET /secrets/TOKEN", &[&eve], None)
        .refused(404, "no-such-secret");
    site.send("DELETE /secrets/TOKEN", &[&eve], None)
        .refused(404, "no-such-secret");
    // The installation's are for administrators.
    let line = "PUT /secrets/TOKEN?installation=true";
    site.send(line, &[&eve], Some(&body))
        .refused(403, "not-an-administrator");
    site.send(line, &[&write], Some(&body))
        .refused(403, "scope-too-small");
    assert_eq!(site.send(line, &[&admin], Some(&body)).status, 204);
    site.send("GET /secrets?installation=true", &[&eve], None)
        .refused(403, "not-an-administrator");
    for (name, status) in [("9A", 404), ("PATH", 404), ("A-B", 404)] {
        let line = format!("PUT /secrets/{name}");
        let refused = site.send(&line, &[&write], Some(&body));
        assert_eq!(refused.status, status, "{refused:?}");
    }
    for bad in [
        json!({}),
        json!({ "value": "" }),
        json!({ "value": "a\u{0}b" }),
    ] {
        let refused = site.send("PUT /secrets/BAD", &[&write], Some(&bad));
        assert_eq!(refused.status, 422, "{bad}: {refused:?}");
    }
    let long = json!({ "value": "x".repeat(32 * 1024 + 1) });
    site.send("PUT /secrets/BAD", &[&write], Some(&long))
        .refused(422, "invalid-secret");
    assert_eq!(
        site.send("DELETE /secrets/TOKEN", &[&write], None).status,
        204
    );
    site.send("DELETE /secrets/TOKEN", &[&write], None)
        .refused(404, "no-such-secret");
    assert!(!home.log().contains(value), "{}", home.log());
}
