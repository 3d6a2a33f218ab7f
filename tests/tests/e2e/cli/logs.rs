//! `devgate logs` of an agent.

use e2e::wait::SOON;
use nix::sys::signal::Signal;

use super::{LIMIT, Machine};

#[test]
fn a_log_that_is_followed_goes_on_through_a_restart_until_it_is_ended() {
    let machine = Machine::start();
    let log = machine.start_running(&["logs", "-f", "default"]);
    log.wait_for("agent ready", SOON);
    machine.ok(&["restart", "default"]);
    log.wait_for_bytes(LIMIT, "the next agent", |said| {
        String::from_utf8_lossy(said).matches("agent ready").count() == 2
    });
    log.signal(Signal::SIGINT);
    let ended = log.finish(LIMIT);
    assert_eq!((ended.code(), ended.err().as_str()), (130, ""), "{ended:?}");

    // Without -f it ends by itself.
    let last = machine.ok(&["logs", "-n", "1", "default"]);
    assert_eq!(last.lines().count(), 1, "{last}");
    assert_eq!(machine.ok(&["logs", "-n", "0", "default"]), "");
}
