//! The SSH port, and the keys that are known of it.

use std::fs;
use std::net::SocketAddr;

use e2e::servers::greeter;

use super::Said;
use super::proxies::carry;
use crate::cli::Machine;

/// The key of no server.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

#[test]
fn ssh_that_is_not_reached_or_shows_another_key() {
    let machine = Machine::start();
    let ssh = machine.target.gateway().ready().ssh.port();
    let known = machine.home.join(".ssh/known_hosts");
    fs::create_dir_all(known.parent().unwrap()).unwrap();
    fs::write(&known, format!("[127.0.0.1]:{ssh} {KEY}\n")).unwrap();
    let said = Said::of(&machine.run(&["doctor", "--json"]));
    said.only(
        "ssh-host-key",
        &["known_hosts", &format!("ssh-keygen -R '[127.0.0.1]:{ssh}'")],
    );

    let unknown = Machine::start_with(&[("DEVGATE_HTTP_NAMES", "nowhere.invalid")]);
    let said = Said::of(&unknown.run(&["doctor", "--json"]));
    said.only("ssh-port", &["nowhere.invalid", "devgate ssh"]);

    // Somebody has the server's port at the address that it names.
    let between = Machine::start_with(&[("DEVGATE_HTTP_NAMES", "127.0.0.2")]);
    let port = between.target.gateway().ready().ssh.port();
    let other = machine.target.gateway().ready().ssh;
    carry(SocketAddr::from(([127, 0, 0, 2], port)), other);
    let said = Said::of(&between.run(&["doctor", "--json"]));
    said.only(
        "ssh-host-key",
        &["isn't the server's", "somebody is in between"],
    );
}

#[test]
fn something_else_that_has_the_ssh_port() {
    // At the address that the server names.
    let machine = Machine::start_with(&[("DEVGATE_HTTP_NAMES", "127.0.0.2")]);
    let port = machine.target.gateway().ready().ssh.port();
    let greeting = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    greeter(&format!("127.0.0.2:{port}"), greeting);
    let said = Said::of(&machine.run(&["doctor", "--json"]));
    let at = format!("no SSH server at 127.0.0.2 port {port}");
    said.only("ssh-port", &[&at, "ssh.listen"]);
}

#[test]
fn pinned_keys_that_are_not_the_server_s_any_more() {
    let machine = Machine::start();
    machine.ok(&["config-ssh"]);
    let file = machine.home.join(".config/devgate/localhost.known_hosts");
    let pinned = fs::read_to_string(&file).unwrap();
    let (authority, keys): (Vec<_>, Vec<_>) = pinned
        .lines()
        .partition(|line| line.starts_with("@cert-authority "));
    assert_eq!((authority.len(), keys.is_empty()), (1, false), "{pinned}");
    let host = keys[0].split_once(' ').unwrap().0;
    let look = |lines: &str| {
        fs::write(&file, lines).unwrap();
        Said::of(&machine.run(&["doctor", "--json"]))
    };
    let stale = format!("{host} {KEY}\n@cert-authority {host} {KEY}\n");
    look(&stale).only("ssh-host-key", &["pinned", "devgate config-ssh"]);
    // New keys are taken from the authority that signs for them.
    let renewed = format!("{}\n{host} {KEY}\n", authority[0]);
    look(&renewed).is("ssh-host-key", "ok");
    // What the remedy names mends it.
    fs::write(&file, stale).unwrap();
    machine.ok(&["config-ssh"]);
    let said = Said::of(&machine.run(&["doctor", "--json"]));
    said.is("ssh-host-key", "ok");
}
