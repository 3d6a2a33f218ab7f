//! Deleting and restoring, names and owners, limits.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::client::Site;
use crate::home::Home;

#[test]
fn a_deleted_workspace_is_seen_restored_and_purged_by_its_owner() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let bob = site.member(&admin, "bob");
    let eve = site.member(&admin, "eve");
    let new = json!({ "name": "api", "start": false });
    let id = site
        .send("POST /workspaces", &[&bob], Some(&new))
        .text("id");
    let grace = site.send("GET /connection", &[&bob], None).json();
    assert_eq!(grace["delete_grace_seconds"], 7 * 24 * 3600);
    let deleted = site.send(&format!("DELETE /workspaces/{id}?wait=30"), &[&bob], None);
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let deleted = deleted.json();
    assert!(deleted["restorable_until"].as_str() > deleted["deleted_at"].as_str());
    assert_eq!(deleted["may_enter"], false);

    let list = |query: &str, whose: &str| {
        let page = site.send(&format!("GET /workspaces{query}"), &[whose], None);
        page.json()["items"].as_array().unwrap().len()
    };
    assert_eq!((list("", &bob), list("?deleted=true", &bob)), (0, 1));
    assert_eq!(list("?deleted=true", &eve), 0);
    assert_eq!(list("?deleted=true&owner=bob", &admin), 1);
    for (what, code) in [
        ("start", "workspace-deleted"),
        ("stop", "workspace-deleted"),
    ] {
        site.send(&format!("POST /workspaces/{id}/{what}"), &[&bob], None)
            .refused(409, code);
    }
    site.send(&format!("GET /workspaces/{id}/ports"), &[&bob], None)
        .refused(404, "no-such-workspace");
    let restore = format!("POST /workspaces/{id}/restore?wait=30");
    let nothing = json!({});
    site.send(&restore, &[&eve], Some(&nothing))
        .refused(404, "no-such-workspace");
    site.send("POST /workspaces", &[&bob], Some(&new)).json();
    site.send(&restore, &[&bob], Some(&nothing))
        .refused(409, "workspace-exists");
    let other = json!({ "name": "old" });
    let restored = site.send(&restore, &[&bob], Some(&other));
    assert_eq!(
        (restored.status, restored.text("state").as_str()),
        (200, "stopped")
    );
    site.send(&restore, &[&bob], Some(&other))
        .refused(409, "workspace-not-deleted");
    let purge = format!("DELETE /workspaces/{id}?purge=true&wait=30");
    assert_eq!(site.send(&purge, &[&bob], None).status, 204);
    assert_eq!(list("?deleted=true", &bob), 0);
}

#[test]
fn names_are_the_owners_to_change_and_owners_the_administrators() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let bob = site.member(&admin, "bob");
    let eve = site.member(&admin, "eve");
    let new = json!({ "name": "api", "start": false });
    let id = site
        .send("POST /workspaces", &[&bob], Some(&new))
        .text("id");
    let change = format!("PATCH /workspaces/{id}");
    let web = json!({ "name": "web" });
    let renamed = site.send(&change, &[&bob], Some(&web));
    assert_eq!(
        (renamed.status, renamed.text("name").as_str()),
        (200, "web")
    );
    assert!(renamed.text("ssh").contains(" web@"), "{renamed:?}");
    site.send(&change, &[&eve], Some(&web))
        .refused(404, "no-such-workspace");
    for bad in [json!({ "name": "-x" }), json!(["web", null])] {
        site.send(&change, &[&bob], Some(&bad))
            .refused(422, "invalid-request");
    }
    // Nobody is given what they don't want.
    let to_eve = json!({ "owner": "eve" });
    site.send(&change, &[&bob], Some(&to_eve))
        .refused(403, "not-an-administrator");
    site.send(&change, &[&admin], Some(&json!({ "owner": "nobody" })))
        .refused(404, "no-such-user");
    let given = site.send(&change, &[&admin], Some(&to_eve));
    assert_eq!((given.status, given.text("owner").as_str()), (200, "eve"));
    site.send(&format!("GET /workspaces/{id}"), &[&bob], None)
        .refused(404, "no-such-workspace");
    let seen = site.send(&format!("GET /workspaces/{id}"), &[&eve], None);
    assert_eq!(seen.status, 200, "{seen:?}");
    // Told to both of them, a moment later.
    let deadline = Instant::now() + Duration::from_mins(1);
    for whose in [&bob, &eve] {
        loop {
            let events = site.send("GET /events?limit=50", &[whose], None).json();
            let told = events["items"].as_array().unwrap().iter();
            let told = told.filter(|event| event["kind"] == "workspace-transferred");
            if told.count() == 1 {
                break;
            }
            assert!(Instant::now() < deadline, "{events}");
        }
    }
}

#[test]
fn people_see_their_own_limits_and_administrators_everybodys() {
    let home = Home::new();
    let site = Site::up(&home);
    let admin = site.token(&site.sign_in(), "admin");
    let bob = site.member(&admin, "bob");
    let own = site.send("GET /limits", &[&bob], None).json();
    assert_eq!(own["user"], "bob");
    assert!(own["total"].is_null(), "{own}");
    assert_eq!(
        own["own"]["workspaces"],
        json!({ "limit": null, "used": 0 })
    );
    site.send("GET /limits?user=root", &[&bob], None)
        .refused(403, "not-an-administrator");
    let seen = site.send("GET /limits?user=bob", &[&admin], None).json();
    assert_eq!(seen["user"], "bob");
    assert!(
        seen["total"]["workspaces"]["used"].as_u64() >= Some(1),
        "{seen}"
    );
    site.send("GET /limits?user=nobody", &[&admin], None)
        .refused(404, "no-such-user");
}

#[test]
fn an_agent_that_is_killed_again_and_again_is_told_in_the_status_the_log_and_the_event() {
    let home = Home::new();
    let site = Site::up(&home);
    let token = site.token(&site.sign_in(), "write");
    let new = json!({ "name": "api" });
    let made = site.send("POST /workspaces?wait=30", &[&token], Some(&new));
    let id = made.text("id");
    let file = home
        .data()
        .join("workspaces")
        .join(&id)
        .join("run/agent.pid");
    let pid = || {
        let text = std::fs::read(&file).ok()?;
        let written: serde_json::Value = serde_json::from_slice(&text).ok()?;
        Some(Pid::from_raw(written["pid"].as_i64()?.try_into().ok()?))
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    let shown = loop {
        assert!(Instant::now() < deadline);
        let shown = site.send(&format!("GET /workspaces/{id}?wait=5"), &[&token], None);
        if shown.text("state") == "failed" {
            break shown.json();
        }
        if let Some(pid) = pid() {
            // It may have ended a moment ago.
            let _ = kill(pid, Signal::SIGKILL);
        }
    };
    assert_eq!(shown["reason"]["code"], "crash-loop", "{shown}");
    let detail = shown["reason"]["detail"].as_str().unwrap();
    assert!(detail.contains("signal 9"), "{detail}");
    let log = home.log();
    assert!(
        log.contains("workspace failed") && log.contains("signal 9"),
        "{log}"
    );
    // They are written down a moment later.
    let told = loop {
        let events = site.send("GET /events?limit=5", &[&token], None).json();
        let last = events["items"][0].clone();
        if last["data"]["state"] == "failed" {
            break last;
        }
        assert!(Instant::now() < deadline, "{events}");
    };
    assert_eq!(told["data"]["detail"], detail);
}
