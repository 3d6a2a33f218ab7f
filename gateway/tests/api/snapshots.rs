//! Snapshots, clones, and what happened to a workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Answer, Site};
use crate::home::Home;

fn create(site: &Site, token: &str, body: &Value) -> Answer {
    let made = site.send("POST /workspaces?wait=30", &[token], Some(body));
    assert_eq!((made.status, made.text("state").as_str()), (200, "running"));
    made
}

fn file(workspace: &Answer) -> PathBuf {
    Path::new(&workspace.text("home")).join("file")
}

fn take(site: &Site, token: &str, id: &str, name: &str) -> Answer {
    let line = format!("POST /workspaces/{id}/snapshots?wait=30");
    let asked = json!({ "name": name, "description": "before the change" });
    site.send(&line, &[token], Some(&asked))
}

#[test]
fn a_workspace_is_taken_restored_and_cloned_and_its_history_tells_who_asked() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let api = create(&site, &token, &json!({ "name": "api" }));
    let (id, owner) = (api.text("id"), api.text("owner"));
    fs::write(file(&api), "then").unwrap();
    let first = take(&site, &token, &id, "first");
    assert_eq!((first.status, first.text("state").as_str()), (200, "ready"));
    assert_eq!(first.json()["size"], 4);
    assert_eq!(first.json()["workspace"]["name"], "api");
    take(&site, &token, &id, "first").refused(409, "snapshot-exists");
    fs::write(file(&api), "now").unwrap();

    let snapshot = first.text("id");
    let line = format!("POST /snapshots/{snapshot}/restore?wait=30");
    let back = site.send(&line, &[&token], Some(&json!({})));
    assert_eq!((back.status, back.text("state").as_str()), (200, "running"));
    assert_eq!(fs::read_to_string(file(&api)).unwrap(), "then");
    let other = json!({ "name": "other", "snapshot": snapshot });
    let other = create(&site, &token, &other);
    assert_eq!(fs::read_to_string(file(&other)).unwrap(), "then");

    let line = format!("POST /workspaces/{id}/clones");
    let asked = json!({ "count": 2, "prefix": "copy" });
    let clones = site.send(&line, &[&token], Some(&asked));
    assert_eq!(clones.status, 202, "{clones:?}");
    for clone in clones.json()["workspaces"].as_array().unwrap() {
        let id = clone["id"].as_str().unwrap();
        let up = site.send(&format!("GET /workspaces/{id}?wait=30"), &[&token], None);
        assert_eq!(up.text("state"), "running", "{up:?}");
        assert_eq!(fs::read_to_string(file(&up)).unwrap(), "then");
    }
    site.send(&line, &[&token], Some(&asked))
        .refused(409, "workspace-exists");
    site.send(&line, &[&token], Some(&json!({ "count": 0 })))
        .refused(422, "too-many");

    let line = format!("GET /workspaces/{id}/history?limit=200");
    let history = site.send(&line, &[&token], None).json();
    let asked: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "workspace-command")
        .map(|event| {
            assert_eq!(event["data"]["by"], owner.as_str());
            event["data"]["command"].as_str().unwrap()
        })
        .collect();
    assert_eq!(asked, ["clone", "restore", "snapshot", "create"]);

    let line = format!("DELETE /snapshots/{snapshot}");
    assert_eq!(site.send(&line, &[&token], None).status, 204);
    site.send(&line, &[&token], None)
        .refused(404, "no-such-snapshot");
    let listed = site.send("GET /snapshots", &[&token], None).json();
    assert_eq!(listed["items"], json!([]));
    // All homes are in their places, so that nothing needs a copy any more.
    let left = || fs::read_dir(home.data().join("snapshots")).unwrap().count();
    let deadline = Instant::now() + Duration::from_secs(30);
    while left() > 0 {
        assert!(Instant::now() < deadline, "copies are left");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_in_a_snapshot_reaches_nobody_but_its_owner() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let bob = site.member(&admin, "bob");
    let theirs = create(&site, &bob, &json!({ "name": "api" }));
    fs::write(file(&theirs), "secret").unwrap();
    let first = take(&site, &bob, &theirs.text("id"), "first");
    let snapshot = first.text("id");

    // Another member sees nothing of it.
    let eve = site.member(&admin, "eve");
    let line = format!("/snapshots/{snapshot}");
    for (method, body) in [("GET", None), ("DELETE", None)] {
        site.send(&format!("{method} {line}"), &[&eve], body)
            .refused(404, "no-such-snapshot");
    }
    let new = json!({ "name": "mine", "snapshot": snapshot });
    let refused = site.send("POST /workspaces", &[&eve], Some(&new));
    refused.refused(404, "no-such-snapshot");
    take(&site, &eve, &theirs.text("id"), "second").refused(404, "no-such-workspace");
    let line = format!("GET /workspaces/{}/history", theirs.text("id"));
    site.send(&line, &[&eve], None)
        .refused(404, "no-such-workspace");

    // An administrator sees that it is there, and gets nothing out of it.
    let listed = site.send("GET /snapshots", &[&admin], None).json();
    assert_eq!(listed["items"][0]["owner"], "bob");
    let refused = site.send("POST /workspaces", &[&admin], Some(&new));
    refused.refused(404, "no-such-snapshot");
    let own = create(&site, &admin, &json!({ "name": "own" }));
    let into = json!({ "workspace": own.text("id") });
    let line = format!("POST /snapshots/{snapshot}/restore");
    site.send(&line, &[&admin], Some(&into))
        .refused(404, "no-such-snapshot");
    let to = json!({ "to": "127.0.0.1:1/api:1" });
    let line = format!("POST /snapshots/{snapshot}/push");
    site.send(&line, &[&admin], Some(&to))
        .refused(404, "no-such-snapshot");
    site.send(&line, &[&bob], Some(&to))
        .refused(403, "not-an-administrator");
    let for_them = json!({ "name": "more", "snapshot": snapshot, "owner": "bob" });
    let made = site.send("POST /workspaces?wait=30", &[&admin], Some(&for_them));
    assert_eq!((made.status, made.text("owner").as_str()), (200, "bob"));
    assert_eq!(made.json()["may_enter"], false);
    // With workspaces or snapshots left nobody is removed.
    site.send("DELETE /users/bob", &[&admin], None)
        .refused(409, "user-has-workspaces");
    for id in [theirs.text("id"), made.text("id")] {
        let line = format!("DELETE /workspaces/{id}?purge=true&wait=30");
        assert_eq!(site.send(&line, &[&admin], None).status, 204);
    }
    site.send("DELETE /users/bob", &[&admin], None)
        .refused(409, "user-has-snapshots");
    let line = format!("DELETE /snapshots/{snapshot}");
    assert_eq!(site.send(&line, &[&admin], None).status, 204);
    assert_eq!(site.send("DELETE /users/bob", &[&admin], None).status, 204);
}

#[test]
fn processes_have_no_image_to_push_and_what_is_no_reference_is_refused() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "admin");
    let api = create(&site, &token, &json!({ "name": "api" }));
    let first = take(&site, &token, &api.text("id"), "first");
    let line = format!("POST /snapshots/{}/push?wait=30", first.text("id"));
    for to in ["", "api", "no space/api:1", "host:1/api@sha256:0"] {
        site.send(&line, &[&token], Some(&json!({ "to": to })))
            .refused(422, "no-image-reference");
    }
    let pushed = site.send(&line, &[&token], Some(&json!({ "to": "host:1/api:1" })));
    assert_eq!(pushed.status, 200, "{pushed:?}");
    let transfer = &pushed.json()["transfer"];
    assert_eq!(transfer["state"], "failed", "{transfer}");
    let long = json!({ "name": "second", "description": "x".repeat(501) });
    let line = format!("POST /workspaces/{}/snapshots", api.text("id"));
    site.send(&line, &[&token], Some(&long))
        .refused(422, "description");
}
