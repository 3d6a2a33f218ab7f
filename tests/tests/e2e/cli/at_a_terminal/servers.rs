//! Servers, here and elsewhere.

use std::fs;

use e2e::keys;

use super::super::Machine;
use super::{Session, value};

/// What is run here.
pub(super) const COMMANDS: &[&str] = &[
    "config check",
    "config print",
    "context list",
    "context remove",
    "context use",
    "logout",
    "man",
    "proxy",
    "serve",
    "ssh-certificate get",
    "ssh-certificate list",
    "ssh-certificate renew",
    "ssh-certificate revoke",
    "up",
];

#[test]
fn servers_are_started_here_and_left_elsewhere() {
    let machine = Machine::start();
    let session = Session::on(&machine, COMMANDS);
    session.says(
        "context list",
        &["SERVER ", "localhost  https://localhost:"],
    );
    session.says("context use local", &["local"]);
    session.says("context use localhost", &["localhost"]);

    session.says(
        "ssh-certificate get",
        &["ssh needs no registered key until "],
    );
    assert_eq!(session.run("ssh-certificate renew", 0), "");
    session.says("ssh-certificate list", &["SERIAL ", "counts"]);
    let serial = value(&machine, "ssh-certificate list", "/0/serial");
    let revoked = session.run(&format!("ssh-certificate revoke {serial}"), 0);
    assert_eq!(revoked, format!("{serial} is revoked"));
    session.says("ssh-certificate list", &["revoked"]);
    session.interrupts("proxy default", "SSH-2.0-", 130);

    session.says("logout", &["localhost: signed out"]);
    session.says("context remove localhost", &["localhost is removed"]);
    let refused = session.run("logout", 2);
    assert!(refused.contains("devgate context list"), "{refused}");

    session.says("man", &[".SH NAME"]);
    session.says("config print", &["listen = ", "data-dir = "]);
    assert_eq!(session.run("config check", 0), "");
    let own = machine.folder().join("own");
    keys::prepare_host_key(&own);
    let (own, file) = (own.display(), machine.folder().join("config.toml"));
    fs::write(&file, "").unwrap();
    let ports = format!("--data-dir {own} --ssh-listen 127.0.0.1:0 --http-listen 127.0.0.1:0");
    session.interrupts(&format!("up {ports}"), "authority ", 0);
    let serve = format!("serve --config {} {ports}", file.display());
    session.interrupts(&serve, "serves SSH on ", 0);
    session.end();
}
