//! `devgate exec` while the server ends.

use std::net::TcpStream;

use e2e::process::signal;
use e2e::wait::{SOON, until};
use nix::sys::signal::Signal;

use super::{LIMIT, Machine};

/// Asks the server to end, and waits until it accepts nobody.
fn begin_draining(machine: &Machine) {
    let ready = machine.target.gateway().ready();
    signal(ready.pid, Signal::SIGTERM);
    until(SOON, "that nothing new is accepted", || {
        TcpStream::connect(ready.ssh).is_err()
    });
}

#[test]
fn a_command_runs_to_its_end_while_the_server_waits() {
    let mut machine = Machine::start();
    let script = "echo up; read line; echo got-$line";
    let mut running = machine.start_running(&["exec", "-i", "default", "--", "sh", "-c", script]);
    running.wait_for("up", SOON);
    begin_draining(&machine);
    let list = machine.target.gateway().cli(&["list"]);
    assert_eq!(list.code(), 4, "{list:?}");
    assert!(list.err().contains("ending"), "{list:?}");
    running.write(b"it\n");
    let ended = running.finish(LIMIT).ok();
    assert_eq!(ended.out(), "up\ngot-it\n");
    assert_eq!(machine.target.gateway_mut().ended(), 0);
}

#[test]
fn a_command_that_outlasts_the_wait_is_told_that_the_server_ended() {
    let mut machine = Machine::start_with(&[("DEVGATE_DRAIN_TIMEOUT", "100ms")]);
    let script = "echo up; while :; do seq 1000; done";
    let busy = machine.start_running(&["exec", "default", "--", "sh", "-c", script]);
    let silent =
        machine.start_running(&["exec", "default", "--", "sh", "-c", "echo up; sleep 600"]);
    for running in [&busy, &silent] {
        running.wait_for("up", SOON);
    }
    signal(machine.target.gateway().ready().pid, Signal::SIGTERM);
    for running in [busy, silent] {
        let ended = running.finish(LIMIT);
        assert_eq!(ended.code(), 255, "{}", ended.err());
        let said = ended.err();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("the server ended"), "{said}");
    }
    assert_eq!(machine.target.gateway_mut().ended(), 0);
}
