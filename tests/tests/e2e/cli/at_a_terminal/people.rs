//! People, their keys and their tokens.

use e2e::keys;

use super::super::Machine;
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
    let session = Session::on(&machine, COMMANDS);
    let key = keys::public(&keys::generate(machine.folder(), "bobs"));
    session.says(
        "users add bob",
        &["bob is added; add a key with: devgate keys add --user bob"],
    );
    session.says("users list", &["NAME ", "bob  "]);
    session.says("users link bob", &["/sign-in#link=", "It signs bob in once"]);
    session.says("limits bob", &["USER ", "bob "]);

    let add = format!("keys add --user bob {}", key.display());
    session.says(&add, &["bob may connect with SHA256:"]);
    let key = value(&machine, "keys list --user bob", "/0/fingerprint");
    session.says("keys list --user bob", &["USER ", &key]);
    let removed = session.run(&format!("keys remove {key}"), 0);
    assert_eq!(removed, format!("{key} is removed"));
    session.says("keys list --user bob", &["No keys."]);

    let token = session.run("tokens create robot --user bob", 0);
    assert!(token.starts_with("dgt_"), "{token}");
    assert_eq!(token.lines().count(), 1, "{token}");
    let listed = session.run("tokens list --user bob", 0);
    assert!(listed.contains("robot"), "{listed}");
    assert!(!listed.contains(&token), "{listed}");
    let id = value(&machine, "tokens list --user bob", "/0/id");
    let deleted = session.run(&format!("tokens delete {id} --user bob"), 0);
    assert_eq!(deleted, format!("{id} is deleted"));

    session.asks(
        "users remove bob",
        "Remove bob and their keys?",
        &["bob is removed"],
        &|| value(&machine, "users list", "/1/name"),
    );
    session.end();
}
