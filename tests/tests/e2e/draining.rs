//! A gateway that is asked to end, and the one that comes after it.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use e2e::component::built;
use e2e::over_both_reaches;
use e2e::process::{Running, signal};
use e2e::reach::Reach;
use e2e::survivors::Folder;
use e2e::target::Target;
use e2e::wait::{SOON, until};

/// Asks the gateway to end, and waits until it accepts nobody.
fn begin_draining(target: &Target) {
    signal(target.gateway().ready().pid, Signal::SIGTERM);
    let address = target.access().address;
    until(SOON, "that nothing new is accepted", || {
        TcpStream::connect(address).is_err()
    });
}

over_both_reaches! {
    fn sigterm_drains_and_ends_with_0(target: &mut Target) {
        let agent = target.gateway().agent();
        let mut open = target.ssh().start("echo up; read line; echo got-$line");
        open.wait_for("up", SOON);
        begin_draining(target);
        // The open connection may finish what it does.
        open.write(b"it\n");
        let done = open.finish(SOON).ok();
        assert_eq!(done.out(), "up\ngot-it\n");
        assert_eq!(target.gateway_mut().ended(), 0);
        assert!(!fs::exists(target.gateway().data().join("admin.sock")).unwrap());

        target.gateway_mut().start_again();
        assert_eq!(target.ssh().run("echo again").ok().out(), "again\n");
        assert_eq!(target.gateway().agent(), agent, "the agent wasn't adopted");
    }
}

#[test]
fn an_agent_that_dials_finds_a_gateway_that_starts_again_on_port_0() {
    let mut target = Target::devgate(Reach::Dial);
    let (agent, before) = (target.gateway().agent(), target.gateway().ready().clone());
    assert_eq!(target.ssh().run("echo kept > file").ok().out(), "");
    target.gateway_mut().kill();
    target.gateway_mut().start_again_on_port_0();
    let after = target.gateway().ready();
    assert_eq!((after.ssh, after.http), (before.ssh, before.http));
    assert_eq!(target.ssh().run("cat file").ok().out(), "kept\n");
    assert_eq!(target.gateway().agent(), agent);
}

#[test]
fn a_gateway_that_drains_sends_its_dialled_agents_away_and_keeps_their_streams() {
    let mut target = Target::devgate(Reach::Dial);
    let socket = target.path("control");
    let control = format!("ControlPath={}", socket.display());
    let mut open = target
        .ssh()
        .option(&control)
        .option("ControlMaster=yes")
        .start("echo up; cat");
    open.wait_for("up", SOON);
    begin_draining(&target);
    until(SOON, "that the agent has left", || {
        let log = target.gateway().log();
        log.contains("an agent is disconnected")
    });
    // A new channel is told so at once, and the old one doesn't notice.
    let late = target
        .ssh()
        .option(&control)
        .within(Duration::from_secs(20))
        .run("echo never");
    assert_eq!((late.code(), late.out().as_str()), (255, ""), "{late:?}");
    assert!(late.err().contains("shutting down"), "{late:?}");
    open.write(b"still here\n");
    open.wait_for("still here", SOON);
    open.end_input();
    assert_eq!(open.finish(SOON).code(), 0);
    assert_eq!(target.gateway_mut().ended(), 0);
}

#[test]
fn a_log_in_json_is_json_to_the_end() {
    let folder = Folder::new();
    let ready = folder.path().join("ready.json");
    let mut command = Command::new(built("devgate"));
    command
        .args(["up", "--ssh-listen", "127.0.0.1:0"])
        .args(["--http-listen", "127.0.0.1:0", "--ready-file"])
        .arg(&ready)
        .env("DEVGATE_DATA_DIR", folder.path().join("data"))
        .env("DEVGATE_LOG_FORMAT", "json")
        .env("HOME", folder.path());
    let gateway = Running::start(&mut command);
    let is_ready = || ready.metadata().is_ok_and(|file| file.len() > 0);
    until(Duration::from_mins(1), "devgate's ready file", is_ready);
    gateway.signal(Signal::SIGTERM);
    let said = gateway.finish(Duration::from_mins(1)).ok().err();
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    let other: Vec<_> = said.lines().filter(|line| !is_json(line)).collect();
    assert_eq!(other, Vec::<&str>::new());
    let words = "waiting for open connections";
    assert!(said.lines().any(|line| line.contains(words)), "{said}");
}
