//! Files and programs by the API, beside the same by `sftp` and `ssh`.

mod api;
mod session;

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::peers::{Kind, Peer};
use super::report::{Better, quantile};
use super::shared::{Ending, Master, speed};
use super::{Aim, Bench, Row};

use api::Api;
use session::Session;

/// A small file, in a workspace's home and here.
const SMALL: &str = "small";

/// Size of a small file, in bytes.
const SIZE: usize = 1024;

/// Somebody who asks again and again over what is open already.
enum Asking<'a> {
    Sftp(Session),
    Ssh(Master<'a>),
    Api(Api<'a>),
}

/// What is asked for again and again.
#[derive(Clone, Copy)]
enum Small {
    Read,
    Write,
    Run,
    /// A read with a connection of its own.
    ReadAnew,
}

impl Small {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Run, Self::ReadAnew];

    fn name(self) -> &'static str {
        match self {
            Self::Read => "API : sftp, read 1 KiB",
            Self::Write => "API : sftp, write 1 KiB",
            Self::Run => "API : ssh, run true, connection kept",
            Self::ReadAnew => "API : sftp, read 1 KiB, connection made anew",
        }
    }

    /// Whoever asks a peer for this.
    fn asking(self, peer: &Peer) -> Asking<'_> {
        match (Api::of(peer), self) {
            (Some(api), _) => Asking::Api(api),
            (None, Self::Run) => Asking::Ssh(Master::start(peer, &[])),
            (None, _) => Asking::Sftp(Session::start(peer)),
        }
    }
}

impl Asking<'_> {
    /// Asks once and returns how long it took, in milliseconds.
    fn once(&mut self, peer: &Peer, what: Small) -> f64 {
        let (here, there) = (peer.folder().join("here"), peer.folder().join(SMALL));
        let start = Instant::now();
        match (self, what) {
            (Self::Sftp(session), Small::Read) => {
                session.run(&format!("get {} {}", there.display(), here.display()));
            }
            (Self::Sftp(session), Small::Write) => {
                session.run(&format!("put {} {}", there.display(), here.display()));
            }
            (Self::Sftp(_), Small::ReadAnew) => {
                let mut session = Session::start(peer);
                session.run(&format!("get {} {}", there.display(), here.display()));
            }
            (Self::Ssh(master), _) => {
                let mut ssh = master.ssh("true");
                Ending::spawn(ssh.stdin(Stdio::null())).succeed("ssh true");
            }
            (Self::Sftp(_), Small::Run) => panic!("sftp runs nothing"),
            (Self::Api(api), Small::Read) => api.read(SMALL, SIZE),
            (Self::Api(api), Small::ReadAnew) => {
                api.reconnect();
                api.read(SMALL, SIZE);
            }
            (Self::Api(api), Small::Write) => api.write("written", &[b'x'; SIZE]),
            (Self::Api(api), Small::Run) => api.run_true(),
        }
        start.elapsed().as_secs_f64() * 1e3
    }
}

pub(super) fn measure(bench: &mut Bench) {
    for peer in &bench.peers {
        let home = peer.gateway().map(crate::gateway::Gateway::home);
        let home = home.unwrap_or_else(|| peer.folder().to_owned());
        fs::write(home.join(SMALL), [b'x'; SIZE]).expect("the folder is writable");
    }
    for what in Small::ALL {
        small(bench, what);
    }
    large(bench);
}

/// What a number of ours is meant to be, whatever it is for others.
fn aims(limit: f64) -> Vec<Aim> {
    let own = |of| Aim {
        of,
        against: None,
        limit,
    };
    [Kind::Unix, Kind::Dial].map(own).into()
}

fn small(bench: &mut Bench, what: Small) {
    eprintln!("{} …", what.name());
    let times = match what {
        Small::Read | Small::Write => bench.size(1000),
        Small::Run | Small::ReadAnew => bench.size(200),
    };
    let limits = match what {
        Small::Read | Small::Write => aims(1.0),
        Small::Run | Small::ReadAnew => Aim::against_sshd(1.0),
    };
    let row = |share: &str| {
        let name = format!("{}, {share}", what.name());
        Row::new(name, "ms", Better::Lower, limits.clone())
    };
    let (mut usual, mut late) = (row("p50"), row("p99"));
    for _ in 0..bench.rounds(5) {
        for peer in &bench.peers {
            let mut asking = what.asking(peer);
            asking.once(peer, what);
            let samples: Vec<_> = (0..times).map(|_| asking.once(peer, what)).collect();
            late.add(peer.kind(), [quantile(&samples, 0.99)]);
            usual.add(peer.kind(), [quantile(&samples, 0.5)]);
        }
    }
    bench.report.add(usual);
    bench.report.add(late);
}

/// One large file, there and back.
fn large(bench: &mut Bench) {
    let (size, rounds) = (bench.size(1024), bench.rounds(3));
    for way in ["read", "write"] {
        let name = format!("API : sftp, {way} 1 file of {size} MiB");
        let row = Row::new(name, "MB/s", Better::Higher, aims(1000.0));
        bench.compare(row, rounds, |peer| carried(peer, way, size));
    }
}

/// Carries a file without blocks of its own, so that no disk has a say in its reading.
fn carried(peer: &Peer, way: &str, size: u32) -> f64 {
    let length = u64::from(size) << 20;
    let api = Api::of(peer);
    let home = peer.gateway().map(crate::gateway::Gateway::home);
    let home = home.unwrap_or_else(|| peer.folder().to_owned());
    let (here, there) = (peer.folder().join("large-here"), home.join("large"));
    let (source, target) = match way {
        "read" => (&there, &here),
        _ => (&here, &there),
    };
    File::create(source)
        .and_then(|file| file.set_len(length))
        .expect("the folder is writable");
    let elapsed = match (&api, way) {
        (Some(api), "read") => timed(|| api.download("large", &here)),
        (Some(api), _) => timed(|| api.upload(&here, "large")),
        (None, _) => {
            let way = if way == "read" { "get" } else { "put" };
            let command = format!("{way} {} {}", source.display(), target.display());
            let mut session = Session::start(peer);
            // It is connected once it answers.
            session.run("lpwd");
            timed(|| session.run(&command))
        }
    };
    let arrived = fs::metadata(target).expect("it was made").len();
    assert_eq!(arrived, length, "not all arrived");
    for file in [source, target] {
        fs::remove_file(file).expect("it was made");
    }
    speed(size, elapsed)
}

fn timed(what: impl FnOnce()) -> Duration {
    let start = Instant::now();
    what();
    start.elapsed()
}
