//! Snapshots of workspaces.

use std::fs;

use super::super::Machine;
use super::super::terminal::owner;
use super::{Session, value};

/// What is run here.
pub(super) const COMMANDS: &[&str] = &[
    "snapshots create",
    "snapshots delete",
    "snapshots list",
    "snapshots pull",
    "snapshots push",
    "snapshots restore",
    "snapshots show",
];

#[test]
fn a_snapshot_is_taken_restored_and_deleted() {
    let machine = Machine::start();
    let owner = owner(&machine);
    let session = Session::on(&machine, COMMANDS);
    let file = machine.target.gateway().home().join("file");
    fs::write(&file, "before").unwrap();
    let taken = session.run("snapshots create default first -d ours", 0);
    assert_eq!(taken, format!("first.{owner} is ready"));
    session.says("snapshots list", &["NAME ", "first ", "ours"]);
    session.says("snapshots show first", &["NAME ", "default ", "ours"]);
    fs::write(&file, "since").unwrap();
    session.asks(
        "snapshots restore first",
        "Make default anew from first? What runs there ends, and what was changed since is lost.",
        &[&format!("default.{owner} is running")],
        &|| fs::read_to_string(&file).unwrap(),
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    // What only containers can.
    for command in [
        "snapshots push first registry.invalid/first:1",
        "snapshots pull registry.invalid/first:1 second",
    ] {
        let refused = session.run(command, 1);
        assert!(refused.contains("no image to push"), "{command}: {refused}");
    }
    session.asks(
        "snapshots delete first",
        "Delete the snapshots first?",
        &["first is deleted"],
        &|| value(&machine, "snapshots list", "/0/name"),
    );
    session.end();
}
