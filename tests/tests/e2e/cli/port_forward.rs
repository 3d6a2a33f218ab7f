//! `devgate port-forward`, with a token alone.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use e2e::component::program;
use e2e::ports;
use e2e::process::{Running, run};
use e2e::servers;
use e2e::tmux::Terminal;
use e2e::wait::SOON;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{LIMIT, Machine, lines, noise};

/// Waits until a report of an event is there about a port, and returns where it is here.
#[track_caller]
fn local(forwarding: &Running, event: &str, port: u16) -> SocketAddr {
    let found = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let about = |line: &Value| line["event"] == event && line["port"] == port;
        lines(whole).into_iter().rfind(about)
    };
    let what = format!("{event} {port}");
    let output = forwarding.wait_for_bytes(SOON, &what, |bytes| found(bytes).is_some());
    let line = found(output.as_bytes()).unwrap();
    line["local"].as_str().unwrap().parse().unwrap()
}

/// Sends bytes, ends its direction, and returns what comes back.
fn exchange(address: SocketAddr, bytes: Vec<u8>) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&bytes).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    back
}

#[test]
fn bytes_go_both_ways_with_half_close_and_a_refused_dial_is_told() {
    let machine = Machine::start();
    let echo = servers::echo("127.0.0.1:0").port();
    let closed = ports::free();
    let args = [
        "port-forward",
        "default",
        &format!("0:{echo}"),
        &format!("0:127.0.0.1:{closed}"),
        "--json",
    ];
    let forwarding = machine.start_running(&args);
    let open = local(&forwarding, "forwarding", echo);
    let sent = noise(&machine.folder().join("noise"), 8 << 20);
    let all: Vec<_> = (0..4)
        .map(|_| {
            let sent = sent.clone();
            thread::spawn(move || exchange(open, sent.clone()) == sent)
        })
        .collect();
    for one in all {
        assert!(one.join().unwrap(), "other bytes came back");
    }

    let nowhere = local(&forwarding, "forwarding", closed);
    let mut refused = TcpStream::connect(nowhere).unwrap();
    let error = refused.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    forwarding.wait_for("Connection refused", SOON);

    // What breaks there looks broken here.
    let broken = servers::resetter("127.0.0.1:0", 100_000).port();
    let again =
        machine.start_running(&["port-forward", "default", &format!("0:{broken}"), "--json"]);
    let mut stream = TcpStream::connect(local(&again, "forwarding", broken)).unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    forwarding.signal(Signal::SIGINT);
    assert_eq!(forwarding.finish(LIMIT).code(), 0);
    assert!(TcpStream::connect(open).is_err());
}

#[test]
fn all_ports_come_and_go_and_one_that_is_taken_leads_from_the_next() {
    let machine = Machine::start();
    let port = ports::free();
    let forwarding = machine.start_running(&["port-forward", "default", "--all", "--json"]);
    let python = program("python3");
    let serve = format!(
        "exec {} -m http.server --bind 127.0.0.1 {port}",
        python.display()
    );
    let serving = machine.target.ssh().start(serve);
    // On this machine, which is the workspace's as well, it is taken.
    let here = local(&forwarding, "forwarding", port);
    assert_ne!(here.port(), port);
    let mut curl = std::process::Command::new(program("curl"));
    curl.args(["--silent", "--fail", &format!("http://{here}/")]);
    assert!(run(&mut curl, b"", LIMIT).ok().out().contains("<title>"));
    drop(serving);
    let kill = format!("pkill -f 'http.server --bind 127.0.0.1 {port}'");
    let _ = machine.target.ssh().run(kill);
    assert_eq!(local(&forwarding, "ended", port), here);
    TcpListener::bind(here).unwrap();
}

#[test]
fn another_hosts_port_does_not_stand_for_the_workspaces_own() {
    let machine = Machine::start();
    let port = ports::free();
    let python = program("python3");
    let serve = format!(
        "exec {} -m http.server --bind 127.0.0.1 {port}",
        python.display()
    );
    let _serving = machine.target.ssh().start(serve);
    let other = format!("0:db.invalid:{port}");
    let args = ["port-forward", "default", &other, "--all", "--json"];
    let forwarding = machine.start_running(&args);
    let own = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let own = |line: &Value| line["port"] == port && line["host"] == "localhost";
        lines(whole).iter().any(own)
    };
    forwarding.wait_for_bytes(SOON, "the workspace's own port", own);
}

#[test]
fn it_listens_on_the_address_that_is_said_or_named() {
    let machine = Machine::start();
    let echo = servers::echo("127.0.0.1:0").port();
    let to = format!("0:{echo}");
    for (address, here) in [("::1", "::1"), ("localhost", "127.0.0.1")] {
        let args = [
            "port-forward",
            "default",
            &to,
            "--address",
            address,
            "--json",
        ];
        let forwarding = machine.start_running(&args);
        let open = local(&forwarding, "forwarding", echo);
        assert_eq!(open.ip().to_string(), here);
        assert_eq!(exchange(open, b"sent".to_vec()), b"sent");
        let again = format!("{}:{echo}", open.port());
        let args = ["port-forward", "default", &again, "--address", address];
        machine.fails(&args, 1, &[&open.to_string(), "listens there already"]);
    }
    let nowhere = ["port-forward", "default", &to, "--address", "no.invalid"];
    machine.fails(&nowhere, 2, &["no.invalid"]);
}

#[test]
fn it_goes_on_through_a_restart_of_the_gateway() {
    let mut machine = Machine::start();
    let echo = servers::echo("127.0.0.1:0").port();
    let args = ["port-forward", "default", &format!("0:{echo}"), "--json"];
    let forwarding = machine.start_running(&args);
    let open = local(&forwarding, "forwarding", echo);
    assert_eq!(exchange(open, b"before".to_vec()), b"before");
    machine.target.gateway_mut().terminate();
    // It waits for the server, which isn't there.
    let waiting = thread::spawn(move || exchange(open, b"after".to_vec()));
    machine.target.gateway_mut().start_again();
    assert_eq!(waiting.join().unwrap(), b"after");
}

#[test]
fn what_can_not_be_forwarded_is_said_at_once() {
    let machine = Machine::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    machine.fails(
        &["port-forward", "default", &taken],
        1,
        &["0:", "listens there already"],
    );
    machine.fails(&["port-forward", "default", "0"], 2, &["LOCAL:HOST:PORT"]);
    machine.fails(&["port-forward", "nothing", "80"], 3, &["devgate list"]);
    let here = machine
        .target
        .gateway()
        .cli(&["port-forward", "default", "80"]);
    assert_eq!(here.code(), 2, "{here:?}");
    assert!(here.err().contains("devgate login https://"), "{here:?}");
}

#[test]
fn a_token_that_only_reads_forwards_nothing_and_one_that_ends_ends_it() {
    let machine = Machine::start();
    let echo = servers::echo("127.0.0.1:0").port();
    let args = ["port-forward", "default", &format!("0:{echo}"), "--json"];
    let forwarding = machine.start_running(&args);
    let open = local(&forwarding, "forwarding", echo);
    let mut carried = TcpStream::connect(open).unwrap();
    carried.write_all(b"x").unwrap();
    carried.read_exact(&mut [0]).unwrap();
    machine.ok(&["logout"]);
    // What is open ends, and the next connection tells why.
    assert!(matches!(carried.read(&mut [0]), Ok(0) | Err(_)));
    let _ = TcpStream::connect(open);
    let ended = forwarding.finish(LIMIT);
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert!(ended.err().contains("devgate login"), "{ended:?}");

    let reading = machine.token("read");
    machine.sign_in(&machine.url, &reading);
    let forwarding = machine.start_running(&args);
    let open = local(&forwarding, "forwarding", echo);
    let _ = TcpStream::connect(open);
    let ended = forwarding.finish(LIMIT);
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert!(ended.err().contains("--scope write"), "{ended:?}");
}

#[test]
fn on_a_terminal_ctrl_c_ends_it_and_a_stopped_workspace_is_started() {
    let machine = Machine::start();
    machine.ok(&["stop", "default"]);
    let echo = servers::echo("127.0.0.1:0").port();
    let free = ports::free();
    let line = machine.line(&format!("port-forward default {free}:{echo}"));
    let terminal = Terminal::start(machine.folder(), &line, 100, 20);
    terminal.wait_for_line(&format!("127.0.0.1:{free} leads to port {echo}"));
    let here = SocketAddr::from(([127, 0, 0, 1], free));
    assert_eq!(exchange(here, b"typed".to_vec()), b"typed");
    terminal.keys(&["C-c"]);
    assert_eq!(terminal.wait_for_end(), 0);
}
