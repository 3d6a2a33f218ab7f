//! An upload over a long path.
//!
//! The path is a relay of our own that passes everything on 50 ms later each way,
//! at any speed: what is measured is the window of SSH, not TCP's, and it needs
//! neither privileges nor a kernel with netem.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::peers::{Kind, Peer};
use super::report::Better;
use super::shared::{Ending, pour, speed};
use super::{Aim, Bench, Row};

/// How much later everything arrives, each way.
const ONE_WAY: Duration = Duration::from_millis(50);

/// What the relay reads at once, in bytes, and how many of these may be on their
/// way: 256 MiB, more than any window.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4096;

pub(super) fn measure(bench: &mut Bench) {
    let (size, rounds) = (bench.size(256), bench.rounds(3));
    // The peers behind ProxyJump would need a path of their own.
    let peers = bench.peers.iter().filter(|peer| peer.kind() != Kind::Jump);
    let mut row = Row::new(
        "up over 100 ms of round trip",
        "MB/s",
        Better::Higher,
        Aim::against_sshd(4.0),
    );
    eprintln!("{} …", row.name());
    let peers: Vec<_> = peers.map(|peer| (peer, relay(server(peer)))).collect();
    for _ in 0..rounds {
        for (peer, relay) in &peers {
            row.add(peer.kind(), [upload(peer, *relay, size)]);
        }
    }
    bench.report.add(row);
    bench
        .report
        .remark("The path of 100 ms is a relay in user space: TCP's own windows don't count.");
}

/// Where the peer's server listens.
fn server(peer: &Peer) -> SocketAddr {
    let mut command = peer.client("ssh");
    command.args(["-G", crate::ssh::HOST]);
    let settings = command.output().expect("ssh runs").stdout;
    let settings = String::from_utf8_lossy(&settings).into_owned();
    let value = |key: &str| {
        let line = settings.lines().find_map(|line| line.strip_prefix(key));
        line.expect("ssh -G knows it").trim().to_owned()
    };
    format!("{}:{}", value("hostname "), value("port "))
        .parse()
        .expect("the configuration has an address")
}

/// Listens, and carries each connection to `server`, for as long as the process
/// lasts.
fn relay(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(server) else {
                continue;
            };
            for stream in [&near, &far] {
                stream.set_nodelay(true).ok();
            }
            if let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) {
                carry(near, far);
                carry(far_too, near_too);
            }
        }
    });
    address
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            match from.read(&mut piece) {
                Ok(len @ 1..) => {
                    piece.truncate(len);
                    if sender.send((Instant::now() + ONE_WAY, piece)).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    });
    thread::spawn(move || {
        for (at, piece) in receiver {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
}

fn upload(peer: &Peer, relay: SocketAddr, size: u32) -> f64 {
    let host = format!("HostName={}", relay.ip());
    let port = format!("Port={}", relay.port());
    let gcm = "Ciphers=aes128-gcm@openssh.com";
    let options = ["-o", &host, "-o", &port, "-o", gcm];
    let mut command = peer.ssh(&options, "echo go; cat > /dev/null; echo done");
    let mut ssh = Ending::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut lines = BufReader::new(ssh.stdout()).lines();
    let mut line = || lines.next().and_then(Result::ok);
    assert_eq!(line().as_deref(), Some("go"));
    let start = Instant::now();
    pour(ssh.stdin(), size).expect("the client reads");
    assert_eq!(line().as_deref(), Some("done"));
    speed(size, start.elapsed())
}
