//! People, their keys and their tokens.

use e2e::keys;

use super::super::Machine;
use super::super::terminal::owner;
use super::{Session, value};

/// What is run here.
pub(super) const COMMANDS: &[&str] = &[
    "keys add",
    "keys list",
    "keys remove",
    "limits",
    "tokens create",
    "tokens delete",
    "tokens list",
    "users add",
    "users link",
    "users list",
    "users remove",
];

#[test]
fn people_come_and_go_with_their_keys_and_tokens() {
    let machine = Machine::start();
    let owner = owner(&machine);
    let session = Session::on(&machine, COMMANDS);
    let key = keys::public(&keys::generate(machine.folder(), "bobs"));
    session.says("users add bob", &["bob is added"]);
    session.says("users list", &["NAME ", "bob  "]);
    session.says(
        "users link bob",
        &["/sign-in#link=", "It signs bob in once"],
    );
    session.says("limits bob", &["USER ", "bob "]);

    // Elsewhere than on the server's own machine keys and tokens are one's own.
    let added = session.run(&format!("keys add {}", key.display()), 0);
    let (_, key) = added.rsplit_once(' ').unwrap();
    assert_eq!(added, format!("{owner} may connect with {key}"));
    session.says("keys list", &["USER ", key]);
    let removed = session.run(&format!("keys remove {key}"), 0);
    assert_eq!(removed, format!("{key} is removed"));
    assert!(!session.run("keys list", 0).contains(key));

    let token = session.run("tokens create robot", 0);
    assert!(token.starts_with("dgt_"), "{token}");
    assert_eq!(token.lines().count(), 1, "{token}");
    let listed = session.run("tokens list", 0);
    assert!(!listed.contains(&token), "{listed}");
    let robot = listed.lines().find(|line| line.contains(" robot "));
    let id = robot.unwrap().split(' ').next().unwrap();
    let deleted = session.run(&format!("tokens delete {id}"), 0);
    assert_eq!(deleted, format!("{id} is deleted"));

    session.asks(
        "users remove bob",
        "Remove bob and their keys?",
        &["bob is removed"],
        &|| value(&machine, "users list", "/1/name"),
    );
    session.end();
}
