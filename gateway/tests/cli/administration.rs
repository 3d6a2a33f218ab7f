//! The commands that ask a running server.

use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::KEYS;
use crate::home::{Home, Said};

fn names(listed: &Value) -> Vec<&str> {
    let entries = listed.as_array().unwrap().iter();
    entries
        .map(|entry| entry["name"].as_str().unwrap())
        .collect()
}

/// Runs a command whose stdout nobody reads.
fn unread(mut command: Command) -> Said {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    let code = child.wait().unwrap().code();
    Said {
        code,
        out: String::new(),
        err,
    }
}

#[test]
fn a_workspace_goes_through_its_life() {
    let home = Home::new();
    let _server = home.up(&[]);
    let created = home.json(&["create", "api"]);
    assert_eq!(created["state"], "running", "{created}");
    assert_eq!(home.json(&["stop", "api"])["state"], "stopped");
    assert_eq!(home.json(&["start", "api"])["state"], "running");
    assert_eq!(home.json(&["restart", "api"])["state"], "running");
    assert_eq!(home.json(&["status", "api"])["id"], created["id"]);
    let logs = home.run(&["logs", "api"]);
    assert_eq!(logs.code, Some(0), "{logs:?}");

    let table = home.run(&["list"]);
    assert!(table.out.starts_with("NAME "), "{table:?}");
    assert!(table.out.contains("running"), "{table:?}");

    let deleted = home.run(&["delete", "--yes", "api"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    assert_eq!(names(&home.json(&["list"])), ["default"]);
    home.run(&["status", "api"]).failed(3, &["api"]);
}

#[test]
fn one_command_takes_several_workspaces_and_need_not_wait() {
    let home = Home::new();
    let _server = home.up(&["--workspace", "one"]);
    let two = home.json(&["create", "two", "--no-start"]);
    assert_eq!(two["state"], "created");
    let started = home.json(&["start", "one", "two", "--no-wait"]);
    assert_eq!(names(&started), ["one", "two"]);
    let started = home.json(&["start", "one", "two"]);
    for workspace in started.as_array().unwrap() {
        assert_eq!(workspace["state"], "running", "{started}");
    }
}

#[test]
fn users_and_their_keys_come_and_go() {
    let home = Home::new();
    let _server = home.up(&[]);
    let (one, two) = (
        home.write("one.pub", KEYS[0]),
        home.write("two.pub", KEYS[1]),
    );
    let bob = home.json(&["users", "add", "bob", "--key", &one]);
    assert_eq!((&bob["role"], &bob["keys"]), (&"member".into(), &1.into()));
    home.run(&["users", "add", "bob"]).failed(1, &["bob"]);
    home.run(&["users", "add", "eve", "--key", &one])
        .failed(1, &["another user"]);
    assert_eq!(home.json(&["users", "list"]).as_array().unwrap().len(), 2);

    let added = home.json(&["keys", "add", "--user", "bob", &two]);
    let fingerprint = added[0]["fingerprint"].as_str().unwrap().to_owned();
    assert!(fingerprint.starts_with("SHA256:"));
    assert_eq!(
        home.json(&["keys", "list", "--user", "bob"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(home.run(&["keys", "remove", &fingerprint]).code, Some(0));
    home.run(&["keys", "remove", &fingerprint])
        .failed(3, &["devgate keys list"]);
    assert_eq!(home.json(&["keys", "list"]).as_array().unwrap().len(), 1);

    let created = home.json(&["create", "api", "--owner", "bob", "--no-start"]);
    assert_eq!(created["owner"], "bob");
    home.run(&["users", "remove", "--yes", "bob"])
        .failed(1, &["workspaces"]);
    assert_eq!(home.run(&["delete", "--yes", "api.bob"]).code, Some(0));
    home.run(&["users", "remove", "--yes", "bob"])
        .failed(1, &["devgate purge --owner bob"]);
    let purged = home.run(&["purge", "--owner", "bob", "--yes"]);
    assert_eq!(purged.code, Some(0), "{purged:?}");
    assert_eq!(home.run(&["users", "remove", "--yes", "bob"]).code, Some(0));
    home.run(&["users", "remove", "--yes", "bob"])
        .failed(3, &["bob"]);
}

#[test]
fn users_are_removed_all_or_none() {
    let home = Home::new();
    let _server = home.up(&[]);
    for name in ["bob", "eve"] {
        assert_eq!(home.run(&["users", "add", name]).code, Some(0));
    }
    // Nobody is asked, though nobody could be, as long as one of them isn't there.
    home.run(&["users", "remove", "nobody"])
        .failed(3, &["nobody"]);
    home.run(&["users", "remove", "bob", "nobody", "--yes"])
        .failed(3, &["nobody"]);
    home.json(&["create", "api", "--owner", "eve", "--no-start"]);
    home.run(&["users", "remove", "bob", "eve", "--yes"])
        .failed(1, &["eve", "workspaces"]);
    home.run(&["users", "remove", "bob"]).failed(2, &["--yes"]);
    assert_eq!(home.json(&["users", "list"]).as_array().unwrap().len(), 3);
}

#[test]
fn of_several_with_a_name_ones_own_is_meant_and_else_the_owner_is_asked_for() {
    let home = Home::new();
    let _server = home.up(&["--workspace", "api"]);
    for name in ["bob", "eve"] {
        assert_eq!(home.run(&["users", "add", name]).code, Some(0));
    }
    let own = home.json(&["status", "api"]);
    home.json(&["create", "api", "--owner", "bob", "--no-start"]);
    assert_eq!(home.json(&["status", "api"])["id"], own["id"]);
    assert_eq!(home.json(&["status", "api.bob"])["owner"], "bob");
    for owner in ["bob", "eve"] {
        home.json(&["create", "web", "--owner", owner, "--no-start"]);
    }
    home.run(&["status", "web"])
        .failed(1, &["web.bob", "web.eve"]);
}

#[test]
fn a_token_is_for_the_workspace_of_that_name_of_whose_it_is() {
    let home = Home::new();
    let _server = home.up(&[]);
    let own = home.json(&["status", "default"]);
    let mut theirs = Vec::new();
    for user in ["bob", "carol"] {
        assert_eq!(home.run(&["users", "add", user]).code, Some(0));
        theirs.push(home.json(&["create", "default", "--owner", user, "--no-start"]));
    }
    let narrowed = |args: &[&str]| {
        let all = [&["tokens", "create", "one"], args].concat();
        home.json(&all)["narrowed_to"]["workspace"].clone()
    };
    assert_eq!(
        narrowed(&["--user", "bob", "--workspace", "default"]),
        theirs[0]["id"]
    );
    let id = theirs[0]["id"].as_str().unwrap();
    assert_eq!(
        narrowed(&["--user", "bob", "--workspace", id]),
        theirs[0]["id"]
    );
    assert_eq!(narrowed(&["--workspace", "default"]), own["id"]);
}

#[test]
fn a_wait_that_is_too_short_says_what_goes_on() {
    let home = Home::new();
    let _server = home.up(&[]);
    home.run(&["restart", "default", "--timeout", "0s"]).failed(
        5,
        &["restarting default.", "longer than 0s", "devgate status"],
    );
}

#[test]
fn the_servers_status_tells_where_it_listens() {
    let home = Home::new();
    let server = home.up(&[]);
    let status = home.json(&["status"]);
    assert_eq!(status["pid"], server.pid());
    assert_eq!(status["data_dir"], home.data().to_str().unwrap());
    assert_eq!(status["host_keys"].as_array().unwrap().len(), 3);
    let text = home.run(&["status"]);
    assert!(
        text.out.contains(status["ssh"].as_str().unwrap()),
        "{text:?}"
    );
}

#[test]
fn what_is_wrong_is_one_line_with_its_exit_code() {
    let home = Home::new();
    home.run(&["list"]).failed(4, &["devgate up"]);
    let _server = home.up(&[]);
    home.run(&["start", "nowhere"])
        .failed(3, &["nowhere", "devgate list"]);
    home.run(&["create", "default"]).failed(1, &["default"]);
    home.run(&["create", "x", "--owner", "nobody"])
        .failed(3, &["nobody"]);
    home.run(&["delete", "default"]).failed(2, &["--yes"]);
    home.run(&["rebuild", "default"]).failed(2, &["--yes"]);
    // What isn't there is said before anybody is asked.
    for command in [
        ["rebuild", "nope"].as_slice(),
        &["delete", "nope"],
        &["purge", "nope"],
        &["templates", "remove", "nope"],
        &["snapshots", "delete", "nope"],
        &["snapshots", "restore", "nope"],
        &["users", "remove", "nope"],
    ] {
        home.run(command).failed(3, &["nope"]);
    }
    for id in ["nope", "tttttttttttttttttttt", "a b"] {
        home.run(&["tokens", "delete", id])
            .failed(3, &["no such token"]);
    }
    for name in ["../etc", "a b", "", &"x".repeat(300)] {
        assert_eq!(home.run(&["create", name]).code, Some(2), "{name}");
    }
    assert_eq!(names(&home.json(&["list"])), ["default"]);
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let home = Home::new();
    let _server = home.up(&[]);
    let said = unread(home.command(&["list"]));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
}
