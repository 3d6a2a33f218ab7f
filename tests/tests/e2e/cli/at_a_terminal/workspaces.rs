//! Workspaces, and what they are made from.

use std::fs;

use super::super::Machine;
use super::super::terminal::owner;
use super::{Session, value};

/// What is run here.
pub(super) const COMMANDS: &[&str] = &[
    "clone",
    "extend",
    "history",
    "keep-awake",
    "purge",
    "rebuild",
    "rename",
    "restore",
    "schedule",
    "templates add",
    "templates check",
    "templates list",
    "templates remove",
    "templates show",
    "transfer",
    "why",
];

#[test]
fn workspaces_go_from_hand_to_hand_and_away() {
    let machine = Machine::start();
    let owner = owner(&machine);
    let session = Session::on(&machine, COMMANDS);
    session.asks(
        "rebuild default",
        "Rebuild default? What runs there ends, and all but the home is lost.",
        &[&format!("default.{owner} is running")],
        &|| machine.target.gateway().agent().to_string(),
    );
    let renamed = session.run("rename default main", 0);
    assert_eq!(renamed, format!("default.{owner} is main.{owner} now"));
    session.says("history main", &["TIME ", "asked for: rebuild", "created"]);
    session.says("why main", &["main is running"]);
    let keep = "keep-awake main 2h --reason building";
    session.says(keep, &["main stays awake until ", "(lease "]);
    session.says("keep-awake main --list", &["BY ", "building"]);
    session.says("why main", &["building"]);
    session.says(
        "schedule main --stop '0 20 * * *' --time-zone Europe/Berlin",
        &["by the clock of Europe/Berlin", "0 20 * * *"],
    );
    session.says("schedule main --remove", &["main has no schedule"]);

    let cloned = session.run("clone main --name copy", 0);
    assert_eq!(cloned, format!("copy-1.{owner} is running"));
    machine.ok(&["users", "add", "bob"]);
    let given = session.run("transfer copy-1 bob --as theirs", 0);
    let is_given = given.starts_with(&format!("copy-1.{owner} is theirs.bob now"));
    assert!(
        is_given && given.contains("devgate restart theirs.bob"),
        "{given}"
    );

    machine.ok(&["delete", "main", "theirs.bob", "--yes"]);
    let restored = session.run("restore main", 0);
    let stopped = format!("main.{owner} is restored, and stopped: devgate start main.{owner}");
    assert_eq!(restored, stopped);
    session.asks(
        "purge theirs.bob",
        "Delete theirs.bob and all files in it for good?",
        &["theirs.bob is deleted for good"],
        &|| value(&machine, "list --deleted", "/0/name"),
    );

    let file = machine.folder().join("short.toml");
    fs::write(&file, "time-to-live = \"2h\"\n").unwrap();
    let file = file.display();
    session.says(&format!("templates check {file}"), &["can be used"]);
    session.says(
        &format!("templates add short {file}"),
        &["short is there", "devgate create --template short NAME"],
    );
    session.says("templates list", &["NAME ", "short "]);
    session.says("templates show short", &["time-to-live = \"2h\""]);
    machine.ok(&["create", "brief", "--template", "short", "--no-start"]);
    session.says("extend brief", &[&format!("brief.{owner} lives until ")]);
    session.asks(
        "templates remove short",
        "Remove the templates short?",
        &["short is removed"],
        &|| value(&machine, "templates list", "/0/name"),
    );
    session.end();
}
