//! Names, ports, clocks, and who answers.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use e2e::component::program;
use e2e::ports;
use e2e::process::{Running, run};
use e2e::wait::{SOON, eventually};

use super::proxies::{caddy, nginx_as};
use super::{look, look_with, own_ca};
use crate::cli::{LIMIT, Machine};

#[test]
fn names_ports_and_tokens_that_are_wrong() {
    let machine = Machine::start();
    look(&machine, "https://nowhere.invalid:8443", None).only("dns", &["nowhere.invalid", "VPN"]);
    let closed = format!("https://localhost:{}", ports::free());
    look(&machine, &closed, None).only("port", &["http.listen", "HTTPS_PROXY"]);
    let ca = own_ca(&machine);
    let gone = look_with(&machine, &machine.url, Some(&ca), "dgt_gone");
    gone.only("token", &["devgate login https://localhost"]);
    // An SSH server speaks no TLS.
    let ssh = machine.target.gateway().ready().ssh.port();
    look(&machine, &format!("https://localhost:{ssh}"), Some(&ca)).only("tls", &["HTTPS port"]);
}

#[test]
fn a_clock_that_is_off() {
    let machine = Machine::start();
    let (url, _caddy) = caddy(&machine, "Tue, 01 Jan 2030 00:00:00 GMT");
    look(&machine, &url, None).only("clock", &["2030-01-01", "NTP"]);
}

#[test]
fn a_clock_that_is_a_little_off_is_a_warning() {
    let machine = Machine::start();
    // A slow machine makes it more, and up to five minutes are a little.
    let mut date = Command::new(program("date"));
    date.args(["-u", "-d", "45 seconds ago", "+%a, %d %b %Y %H:%M:%S GMT"]);
    let date = run(date.env("LC_ALL", "C"), b"", LIMIT).ok().out();
    let (url, _caddy) = caddy(&machine, date.trim());
    let said = look(&machine, &url, None);
    said.is("clock", "warning");
    assert_eq!(said.code, 0, "{:#?}", said.findings);
}

#[test]
fn something_else_that_answers() {
    let machine = Machine::start();
    let folder = machine.target.make_folder("site");
    let port = ports::free();
    let mut site = Command::new(program("python3"));
    site.args([
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        &port.to_string(),
    ]);
    site.current_dir(&folder).stdin(Stdio::null());
    let _site = Running::start(&mut site);
    eventually(SOON, "a site", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let said = look(&machine, &format!("http://127.0.0.1:{port}"), None);
    said.only("server", &["something else than devgate"]);
}

#[test]
fn a_host_that_a_proxy_does_not_hand_on() {
    let machine = Machine::start();
    let (address, _proxy) = nginx_as(&machine, "other.example.com", "");
    let said = look(&machine, &format!("http://{address}"), None);
    said.only("server", &["other.example.com", "pass Host on"]);
}
