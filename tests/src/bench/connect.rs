//! Connecting and running `true`.

use std::process::Stdio;
use std::time::Instant;

use super::peers::{Kind, Peer};
use super::report::{Better, quantile};
use super::shared::Ending;
use super::{Aim, Bench, Row};

pub(super) fn measure(bench: &mut Bench) {
    let rounds = bench.rounds(30);
    eprintln!("connect …");
    let mut taken = Row::new(
        "connect, run true, p50",
        "ms",
        Better::Lower,
        Aim::against_sshd(0.1),
    );
    let mut slow = Row::new(
        "connect, run true, p95",
        "ms",
        Better::Lower,
        Aim::against_sshd(0.15),
    );
    let mut all = Kind::ALL.map(|kind| (kind, Vec::new()));
    for _ in 0..rounds {
        for (peer, (_, times)) in bench.peers.iter().zip(&mut all) {
            times.push(once(peer));
        }
    }
    for (kind, times) in all {
        slow.add(kind, [quantile(&times, 0.95)]);
        taken.add(kind, times);
    }
    bench.report.add(taken);
    bench.report.add(slow);
}

fn once(peer: &Peer) -> f64 {
    let start = Instant::now();
    let mut command = peer.ssh(&[], "true");
    Ending::spawn(command.stdin(Stdio::null())).succeed("ssh true");
    start.elapsed().as_secs_f64() * 1e3
}
