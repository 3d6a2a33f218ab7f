//! Memory of the servers' processes per connection that is open and idle.

use std::process::Stdio;
use std::thread;

use crate::wait::{SOON, until};

use super::peers::{Kind, Peer};
use super::report::Better;
use super::shared::Ending;
use super::{Aim, Bench, Row};

/// Clients that connect at once: sshd drops more.
const AT_ONCE: u32 = 8;

pub(super) fn measure(bench: &mut Bench) {
    let count = bench.size(200);
    let name = format!("memory per idle connection, of {count}");
    let mut row = Row::new(name, "KiB", Better::Lower, Aim::against_sshd(0.2));
    for kind in Kind::ALL {
        eprintln!("{} of {} …", row.name(), kind.label());
        row.add(kind, [per_connection(kind, count)]);
    }
    bench.report.add(row);
}

/// Connects to servers of its own: what others left in their memory isn't counted.
fn per_connection(kind: Kind, count: u32) -> f64 {
    let peer = Peer::start(kind);
    // What the first connection brings with it isn't one connection's.
    let first = connect(&peer);
    let before = kib(&peer);
    let mut open = Vec::new();
    while u32::try_from(open.len()).is_ok_and(|len| len < count) {
        let batch = AT_ONCE.min(count - u32::try_from(open.len()).unwrap_or(count));
        open.extend(thread::scope(|scope| {
            let connecting: Vec<_> = (0..batch).map(|_| scope.spawn(|| connect(&peer))).collect();
            connecting
                .into_iter()
                .map(|client| client.join().expect("connected"))
                .collect::<Vec<_>>()
        }));
    }
    let after = kib(&peer);
    drop((first, open));
    (after - before) / f64::from(count)
}

/// A connection with a program that says it is there and then does nothing.
fn connect(peer: &Peer) -> Ending {
    let mut command = peer.ssh(&[], "echo; exec sleep 600");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut client = Ending::spawn(&mut command);
    std::io::Read::read_exact(&mut client.stdout(), &mut [0]).expect("connected");
    client
}

/// What the servers use once it no longer changes much.
fn kib(peer: &Peer) -> f64 {
    let mut last = 0;
    until(SOON, "memory in use stands still", || {
        let now = peer.memory_kib();
        let still = now.abs_diff(last) < now / 200;
        last = now;
        if !still {
            thread::sleep(std::time::Duration::from_millis(300));
        }
        still
    });
    f64::from(u32::try_from(last).unwrap_or(u32::MAX))
}
