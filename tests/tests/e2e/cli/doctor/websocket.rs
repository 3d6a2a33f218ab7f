//! The WebSocket, and the proxies that it doesn't come through.

use super::proxies::{Fate, UPGRADE, nginx, spoil};
use super::{Said, look};
use crate::cli::Machine;

#[test]
fn a_proxy_that_eats_web_sockets() {
    let machine = Machine::start();
    // As it comes, nginx hands no upgrade on.
    let (address, proxy) = nginx(&machine, "");
    let said = look(&machine, &format!("http://{address}"), None);
    said.only("websocket", &["upgrade", "proxy_http_version 1.1"]);
    drop(proxy);
    let (address, _proxy) = nginx(&machine, UPGRADE);
    let said = look(&machine, &format!("http://{address}"), None);
    said.is("websocket", "ok");
    assert_eq!(said.code, 0, "{:#?}", said.findings);
}

#[test]
fn a_proxy_that_breaks_web_sockets_once_they_are_open() {
    let machine = Machine::start();
    let (address, _proxy) = nginx(&machine, UPGRADE);
    let said = look(&machine, &spoil(address, Fate::Broken), None);
    said.only(
        "websocket",
        &["breaks at once", "lets no WebSockets through"],
    );
}

#[test]
fn a_proxy_that_hands_nothing_of_a_web_socket_on() {
    let machine = Machine::start();
    let (address, _proxy) = nginx(&machine, UPGRADE);
    let said = look(&machine, &spoil(address, Fate::Kept), None);
    said.only(
        "websocket",
        &["nothing comes through", "proxy_buffering off"],
    );
}

#[test]
fn a_workspace_that_one_may_not_enter_is_not_the_proxy_s_fault() {
    let machine = Machine::start();
    let gateway = machine.target.gateway();
    let _ = gateway.cli(&["users", "add", "bob"]).ok();
    let _ = gateway.cli(&["create", "api", "--owner", "bob"]).ok();
    let said = Said::of(&machine.run(&["doctor", "api.bob", "--json"]));
    said.is("workspace", "ok");
    said.is("websocket", "skipped");
    assert_eq!(said.code, 0, "{:#?}", said.findings);
}
