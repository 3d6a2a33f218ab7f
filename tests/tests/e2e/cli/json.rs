//! What commands say with `--json`.

use std::fs;

use e2e::keys;
use serde_json::{Value, json};

use super::Machine;

/// Runs a command with `--json`, and returns what it says.
#[track_caller]
fn say(machine: &Machine, args: &str) -> Value {
    let mut args: Vec<_> = args.split(' ').collect();
    args.push("--json");
    let said = machine.ok(&args);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
}

/// Asserts what commands say: in the whole of it, or where that pointer leads.
#[track_caller]
fn all_say(machine: &Machine, rows: &[(&str, &str, Value)]) {
    for (args, place, expected) in rows {
        let said = say(machine, args);
        assert_eq!(said.pointer(place), Some(expected), "{args}: {said}");
    }
}

/// Makes a file and returns its path.
#[track_caller]
fn file(machine: &Machine, name: &str, text: &str) -> String {
    let path = machine.folder().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn what_removes_something_says_what() {
    let machine = Machine::start();
    let key = keys::public(&keys::generate(machine.folder(), "another"));
    let added = say(&machine, &format!("keys add {}", key.display()));
    let key = added[0]["fingerprint"].as_str().unwrap();
    let token = say(&machine, "tokens create robot");
    let token = token["id"].as_str().unwrap();
    let lease = say(&machine, "keep-awake default 1h");
    let lease = lease["id"].as_str().unwrap();
    let value = file(&machine, "value", "secret");
    let small = file(&machine, "small.toml", "description = \"small\"\n");

    let [set, check, add] = [
        format!("secrets set A --file {value}"),
        format!("templates check {small}"),
        format!("templates add small {small}"),
    ];
    let made = [
        (set.as_str(), "", json!({ "set": ["A"] })),
        (&check, "/description", json!("small")),
        (&add, "/name", json!("small")),
        ("users add bob", "/name", json!("bob")),
        ("snapshots create default one", "/name", json!("one")),
    ];
    all_say(&machine, &made);

    for (args, done, what) in [
        (format!("keys remove {key}"), "removed", key),
        (format!("tokens delete {token}"), "deleted", token),
        (format!("keep-awake default --end {lease}"), "ended", lease),
        ("secrets remove A".into(), "removed", "A"),
        ("users remove bob --yes".into(), "removed", "bob"),
        ("templates remove small --yes".into(), "removed", "small"),
        ("snapshots delete one --yes".into(), "deleted", "one"),
    ] {
        assert_eq!(say(&machine, &args), json!({ done: [what] }), "{args}");
    }
}

#[test]
fn what_deletes_workspaces_says_what_became_of_them() {
    let machine = Machine::start();
    let purged = json!("purged");
    let rows = [
        ("create api --no-start", "/state", json!("created")),
        ("create web --no-start", "/state", json!("created")),
        ("delete api --yes", "/deleted/0/state", json!("deleted")),
        ("purge api --yes", "/purged/0/state", purged.clone()),
        ("delete web --purge --yes", "/deleted/0/state", purged),
        ("list --deleted", "", json!([])),
        (
            "delete default --yes --no-wait",
            "/deleted/0",
            json!({
                "id": say(&machine, "status default")["id"],
                "name": "default",
                "owner": say(&machine, "list")[0]["owner"],
                "state": "deleting",
            }),
        ),
    ];
    all_say(&machine, &rows);
}

#[test]
fn what_changes_this_machine_says_how() {
    let machine = Machine::start();
    let config = machine.folder().join("config").display().to_string();
    let own = machine.home.join(".config/devgate/ssh/localhost.conf");
    let own = own.display().to_string();
    let line = format!("config-ssh --file {config}");
    let (dry, remove) = (format!("{line} --dry-run"), format!("{line} --remove"));
    let files = |dry_run: bool, written: &[&str], removed: &[&str]| json!({ "dry_run": dry_run, "written": written, "removed": removed });
    let signed_out = |token: &str| json!({ "context": "localhost", "token": token });
    let rows = [
        (dry.as_str(), "", files(true, &[&own, &config], &[])),
        (&line, "", files(false, &[&own, &config], &[])),
        (&line, "", files(false, &[], &[])),
        (&remove, "", files(false, &[&config], &[&own])),
        ("context use local", "", json!({ "current": "local" })),
        ("context use localhost", "/current", json!("localhost")),
        ("logout", "", signed_out("ended")),
        ("logout", "", signed_out("none")),
        ("context remove localhost", "/removed", json!(["localhost"])),
    ];
    all_say(&machine, &rows);
}

#[test]
fn nobody_is_asked_off_a_terminal_and_nothing_is_done() {
    let machine = Machine::start();
    for command in [
        "delete default",
        "purge default",
        "rebuild default",
        "snapshots delete one",
        "templates remove small",
    ] {
        let mut args: Vec<_> = command.split(' ').collect();
        args.push("--json");
        let said = machine.run(&args);
        assert_ne!(said.code(), 0, "{command}: {said:?}");
        assert_eq!(said.out(), "", "{command}");
    }
    machine.fails(&["delete", "default", "--json"], 2, &["--yes"]);
    assert_eq!(say(&machine, "list")[0]["state"], "running");
}
