//! The round trip of one byte, idle and beside a transfer on the same connection.

use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::peers::Peer;
use super::report::{Better, quantile};
use super::shared::{Ending, Master, drain};
use super::{Aim, Bench, Row};

/// Between two keystrokes. People are slower, but this shows the same.
const PAUSE: Duration = Duration::from_millis(2);

/// Keystrokes before it counts: windows and buffers find their sizes.
const WARM: u32 = 100;

const GCM: &[&str] = &["-o", "Ciphers=aes128-gcm@openssh.com"];

/// What else the connection does.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    Download,
    Upload,
}

pub(super) fn measure(bench: &mut Bench) {
    for (label, beside, limits) in [
        ("idle", Beside::Nothing, (Some(1.5), None)),
        (
            "beside a download",
            Beside::Download,
            (Some(2.0), Some(2.0)),
        ),
        ("beside an upload", Beside::Upload, (Some(2.0), Some(2.0))),
    ] {
        echoes(bench, label, beside, limits);
    }
}

fn echoes(
    bench: &mut Bench,
    label: &str,
    beside: Beside,
    (middle, tail): (Option<f64>, Option<f64>),
) {
    let (count, rounds) = (bench.size(1000), bench.rounds(5));
    eprintln!("echo {label} …");
    let aims = |limit: Option<f64>| limit.map(Aim::against_sshd).unwrap_or_default();
    let row = |share: &str, limit| {
        let name = format!("echo {label}, {share}");
        Row::new(name, "µs", Better::Lower, aims(limit))
    };
    let (mut p50, mut p99) = (row("p50", middle), row("p99", tail));
    let mut rate = Row::new(format!("… {label}"), "MB/s", Better::Higher, Vec::new());
    for _ in 0..rounds {
        for peer in &bench.peers {
            let (times, speed) = once(peer, beside, count);
            p50.add(peer.kind(), [quantile(&times, 0.5)]);
            p99.add(peer.kind(), [quantile(&times, 0.99)]);
            rate.add(peer.kind(), speed);
        }
    }
    bench.report.add(p50);
    bench.report.add(p99);
    if matches!(beside, Beside::Download) {
        bench.report.add(rate);
    }
}

/// The times of `count` echoes in microseconds, and the speed of the download.
fn once(peer: &Peer, beside: Beside, count: u32) -> (Vec<f64>, Option<f64>) {
    let master = Master::start(peer, GCM);
    let mut transfer = match beside {
        Beside::Nothing => None,
        Beside::Download => {
            let mut command = master.ssh("exec dd if=/dev/zero bs=256k 2>/dev/null");
            Some(Ending::spawn(
                command.stdin(Stdio::null()).stdout(Stdio::piped()),
            ))
        }
        Beside::Upload => {
            let zero = std::fs::File::open("/dev/zero").expect("/dev/zero is there");
            let mut command = master.ssh("exec cat > /dev/null");
            Some(Ending::spawn(command.stdin(zero).stdout(Stdio::null())))
        }
    };
    let download = transfer
        .as_mut()
        .filter(|_| matches!(beside, Beside::Download))
        .map(Ending::stdout);
    thread::scope(|scope| {
        let started = Instant::now();
        let read = download.map(|stdout| scope.spawn(|| drain(stdout)));
        let times = keystrokes(&master, count);
        // Reading ends with the client.
        drop(transfer);
        let speed = read.and_then(|read| {
            let bytes = read.join().ok()?.ok()?;
            let megabytes = u32::try_from(bytes / 1_000_000).ok()?;
            Some(f64::from(megabytes) / started.elapsed().as_secs_f64())
        });
        (times, speed)
    })
}

fn keystrokes(master: &Master<'_>, count: u32) -> Vec<f64> {
    let mut command = master.ssh("exec cat");
    let mut typing = Ending::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let (mut stdin, mut stdout) = (typing.stdin(), typing.stdout());
    let mut times = Vec::new();
    for number in 0..WARM + count {
        let start = Instant::now();
        stdin.write_all(b"x").expect("the client reads");
        stdout.read_exact(&mut [0]).expect("the byte comes back");
        if number >= WARM {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        thread::sleep(PAUSE);
    }
    times
}
