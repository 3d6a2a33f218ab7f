//! One large transfer on one channel.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Instant;

use super::peers::{Kind, Peer};
use super::report::Better;
use super::shared::{Ending, drain, pour, speed};
use super::{Aim, Bench, Row};

/// The client's choice, and the two that are the fastest.
const CIPHERS: &[(&str, Option<&str>)] = &[
    ("client's cipher", None),
    ("aes128-gcm", Some("aes128-gcm@openssh.com")),
    ("aes256-gcm", Some("aes256-gcm@openssh.com")),
];

pub(super) fn measure(bench: &mut Bench) {
    let (size, rounds) = (bench.size(1024), bench.rounds(5));
    for (label, cipher) in CIPHERS {
        let options = cipher.map(|cipher| format!("Ciphers={cipher}"));
        let options: Vec<_> = options
            .iter()
            .flat_map(|option| ["-o", option.as_str()])
            .collect();
        let row = |way| {
            Row::new(
                format!("{way}, {label}"),
                "MB/s",
                Better::Higher,
                aims(*cipher),
            )
        };
        bench.compare(row("down"), rounds, |peer| down(peer, &options, size));
        bench.compare(row("up"), rounds, |peer| up(peer, &options, size));
    }
}

fn aims(cipher: Option<&str>) -> Vec<Aim> {
    let aim = |of, against, limit| Aim {
        of,
        against: Some(against),
        limit,
    };
    match cipher {
        None => Aim::against_sshd(1.8),
        Some(_) => vec![
            aim(Kind::Unix, Kind::Sshd, 1.4),
            aim(Kind::Unix, Kind::Jump, 3.3),
            aim(Kind::Dial, Kind::Sshd, 1.15),
            aim(Kind::Dial, Kind::Jump, 2.7),
        ],
    }
}

/// From the first byte to the last: connecting is measured elsewhere.
fn down(peer: &Peer, options: &[&str], size: u32) -> f64 {
    let remote = format!(
        "exec dd if=/dev/zero bs=256k count={} 2>/dev/null",
        size * 4
    );
    let mut command = peer.ssh(options, &remote);
    let mut ssh = Ending::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut stdout = ssh.stdout();
    stdout.read_exact(&mut [0]).expect("there is output");
    let start = Instant::now();
    let rest = drain(stdout).expect("the pipe can be read");
    let elapsed = start.elapsed();
    assert_eq!(rest, (u64::from(size) << 20) - 1, "not all arrived");
    ssh.succeed("download");
    speed(size, elapsed)
}

/// From the first byte to the answer that all has arrived.
fn up(peer: &Peer, options: &[&str], size: u32) -> f64 {
    let mut command = peer.ssh(options, "echo go; cat > /dev/null; echo done");
    let mut ssh = Ending::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut lines = BufReader::new(ssh.stdout()).lines();
    let mut line = || lines.next().and_then(Result::ok);
    assert_eq!(line().as_deref(), Some("go"));
    let start = Instant::now();
    pour(ssh.stdin(), size).expect("the client reads");
    assert_eq!(line().as_deref(), Some("done"));
    let elapsed = start.elapsed();
    ssh.succeed("upload");
    speed(size, elapsed)
}
