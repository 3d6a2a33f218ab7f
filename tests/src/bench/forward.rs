//! Bulk through forwarded ports: `-L` and `-D`.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use crate::wait::{SOON, eventually};
use crate::{ports, socks};

use super::peers::Peer;
use super::report::Better;
use super::shared::{Ending, drain, pour, speed};
use super::{Aim, Bench, Row};

/// Which kind of forwarding.
#[derive(Clone, Copy)]
enum By {
    Port,
    Socks,
}

pub(super) fn measure(bench: &mut Bench) {
    let (size, rounds) = (bench.size(1024), bench.rounds(5));
    let target = serve(size);
    for (label, by) in [("-L", By::Port), ("-D", By::Socks)] {
        let row = |way| {
            let name = format!("{label} {way}, aes128-gcm");
            Row::new(name, "MB/s", Better::Higher, Aim::against_sshd(1.3))
        };
        bench.compare(row("down"), rounds, |peer| down(peer, by, target, size));
        bench.compare(row("up"), rounds, |peer| up(peer, by, target, size));
    }
}

/// A server that sends `size` MiB to who says `d`, and answers who sends anything
/// else once all is there. It lasts as long as the process.
fn serve(size: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, size));
        }
    });
    address
}

fn answer(mut stream: TcpStream, size: u32) -> std::io::Result<()> {
    let mut wish = [0];
    stream.read_exact(&mut wish)?;
    if wish == *b"d" {
        pour(&stream, size)
    } else {
        drain(&stream)?;
        stream.write_all(b".")
    }
}

/// A client that forwards, and a connection through it.
fn connect(peer: &Peer, by: By, target: SocketAddr) -> (Ending, TcpStream) {
    let port = ports::free();
    let mut command = peer.client("ssh");
    command.args([
        "-o",
        "Ciphers=aes128-gcm@openssh.com",
        "-o",
        "ExitOnForwardFailure=yes",
        "-N",
    ]);
    match by {
        By::Port => command.arg(format!("-L127.0.0.1:{port}:{target}")),
        By::Socks => command.arg(format!("-D127.0.0.1:{port}")),
    };
    command.arg(crate::ssh::HOST).stdin(Stdio::null());
    let client = Ending::spawn(&mut command);
    let stream = eventually(SOON, "the forwarded port", || match by {
        By::Port => TcpStream::connect(("127.0.0.1", port)).ok(),
        By::Socks => socks::connect(port, "127.0.0.1", target.port()).ok(),
    });
    stream.set_nodelay(true).ok();
    (client, stream)
}

fn down(peer: &Peer, by: By, target: SocketAddr, size: u32) -> f64 {
    let (_client, mut stream) = connect(peer, by, target);
    stream.write_all(b"d").expect("the client reads");
    stream.read_exact(&mut [0]).expect("there is an answer");
    let start = Instant::now();
    let rest = drain(&stream).expect("the connection lasts");
    assert_eq!(rest, (u64::from(size) << 20) - 1, "not all arrived");
    speed(size, start.elapsed())
}

fn up(peer: &Peer, by: By, target: SocketAddr, size: u32) -> f64 {
    let (_client, mut stream) = connect(peer, by, target);
    stream.write_all(b"u").expect("the client reads");
    let start = Instant::now();
    pour(&stream, size).expect("the client reads");
    stream.shutdown(Shutdown::Write).expect("it is open");
    stream.read_exact(&mut [0]).expect("there is an answer");
    speed(size, start.elapsed())
}
