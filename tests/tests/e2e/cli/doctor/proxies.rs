//! What stands between a machine and a server, and what that does to it.

use std::fs;
use std::io::{Read as _, Write as _, copy, sink};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use e2e::component::program;
use e2e::ports;
use e2e::process::Running;
use e2e::wait::{SOON, eventually};

use crate::cli::Machine;

/// What nginx needs, to let a WebSocket through.
pub(super) const UPGRADE: &str = "proxy_http_version 1.1;\n\
    proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;";

/// What becomes of a WebSocket once it is open.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It breaks.
    Broken,
    /// Nothing of it is handed on.
    Kept,
}

/// A proxy of plain HTTP in front of a gateway, on this machine; returns its address.
#[track_caller]
pub(super) fn nginx(machine: &Machine, more: &str) -> (SocketAddr, Running) {
    let gateway = machine.target.gateway().ready().http;
    nginx_as(machine, &format!("localhost:{}", gateway.port()), more)
}

/// Such a proxy that names a host to the gateway.
#[track_caller]
pub(super) fn nginx_as(machine: &Machine, host: &str, more: &str) -> (SocketAddr, Running) {
    let folder = machine.target.make_folder("nginx");
    let own = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let at = folder.display();
    let gateway = machine.target.gateway().ready().http;
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        temporary += &[kind, "_temp_path ", &at.to_string(), "/", kind, ";\n"].concat();
    }
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}server {{\nlisten {own};\nlocation / {{\n\
         proxy_pass https://{gateway};\nproxy_set_header Host {host};\n{more}\n}}\n}}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program("nginx"));
    command
        .arg("-e")
        .arg(folder.join("error.log"))
        .arg("-c")
        .arg(&file);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let nginx = Running::start_as_it_is(&mut command);
    eventually(SOON, "nginx", || TcpStream::connect(own).ok());
    (own, nginx)
}

/// A proxy of plain HTTP in front of a gateway that names another time; returns its URL.
#[track_caller]
pub(super) fn caddy(machine: &Machine, date: &str) -> (String, Running) {
    let folder = machine.target.make_folder("caddy");
    let port = ports::free();
    let gateway = machine.target.gateway().ready().http;
    let text = format!(
        "{{\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\
         \treverse_proxy https://{gateway} {{\n\t\theader_up Host localhost:{}\n\
         \t\theader_down Date \"{date}\"\n\
         \t\ttransport http {{\n\t\t\ttls_insecure_skip_verify\n\t\t}}\n\t}}\n}}\n",
        gateway.port()
    );
    let file = folder.join("Caddyfile");
    fs::write(&file, text).unwrap();
    let mut caddy = Command::new(program("caddy"));
    caddy
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(&file)
        .env("HOME", &folder)
        .env("XDG_DATA_HOME", &folder)
        .env("XDG_CONFIG_HOME", &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let caddy = Running::start_as_it_is(&mut caddy);
    eventually(SOON, "Caddy", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (format!("http://127.0.0.1:{port}"), caddy)
}

/// Carries connections from one address to another, for as long as the test runs.
#[track_caller]
pub(super) fn carry(from: SocketAddr, to: SocketAddr) {
    let listener = TcpListener::bind(from).unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(to).unwrap();
            let ends = [&client, &server, &server, &client].map(|end| end.try_clone().unwrap());
            let [mut a, mut b, mut c, mut d] = ends;
            thread::spawn(move || copy(&mut a, &mut b));
            thread::spawn(move || copy(&mut c, &mut d));
        }
    });
}

/// Hands on plain HTTP, and every WebSocket with this fate; returns its URL.
#[track_caller]
pub(super) fn spoil(to: SocketAddr, fate: Fate) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(to).unwrap();
            let [mut from, mut to] = [&client, &server].map(|end| end.try_clone().unwrap());
            thread::spawn(move || {
                copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Write).ok();
            });
            thread::spawn(move || answer(server, client, fate));
        }
    });
    format!("http://{own}")
}

fn answer(mut server: TcpStream, mut client: TcpStream, fate: Fate) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && matches!(server.read(&mut byte), Ok(1)) {
        head.extend(byte);
    }
    client.write_all(&head).ok();
    let is_open = head.starts_with(b"HTTP/1.1 101 ");
    match fate {
        _ if !is_open => copy(&mut server, &mut client).ok(),
        Fate::Broken => None,
        Fate::Kept => copy(&mut server, &mut sink()).ok(),
    };
    client.shutdown(Shutdown::Both).ok();
}
