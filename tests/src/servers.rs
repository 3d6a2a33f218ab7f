//! Small TCP and Unix-socket servers that forwards lead to. They live in the
//! test's process and end with it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use nix::sys::socket::{setsockopt, sockopt};

/// Starts a server on `address` (port 0 picks one) that answers every byte with
/// itself and passes a half-close on; returns where it listens.
#[track_caller]
pub fn echo(address: &str) -> SocketAddr {
    serve(address, |mut stream| {
        let mut writer = stream.try_clone().expect("a socket can be cloned");
        std::io::copy(&mut stream, &mut writer).ok();
        writer.shutdown(Shutdown::Write).ok();
    })
}

/// Starts a server that greets with `greeting` and closes.
#[track_caller]
pub fn greeter(address: &str, greeting: &'static [u8]) -> SocketAddr {
    serve(address, move |mut stream| {
        stream.write_all(greeting).ok();
    })
}

/// Starts a server that pours zeros, and resets the connection (RST, not FIN)
/// once it has written `after` bytes.
#[track_caller]
pub fn resetter(address: &str, after: usize) -> SocketAddr {
    serve(address, move |mut stream| {
        let zeros = vec![0; 64 * 1024];
        let mut left = after;
        while left > 0 {
            match stream.write(&zeros[..zeros.len().min(left)]) {
                Ok(written) => left -= written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        reset(stream);
    })
}

/// Starts a server that pours `bytes` zeros and then half-closes.
#[track_caller]
pub fn pourer(address: &str, bytes: usize) -> SocketAddr {
    serve(address, move |mut stream| {
        std::io::copy(
            &mut std::io::repeat(0).take(u64::try_from(bytes).unwrap()),
            &mut stream,
        )
        .ok();
        stream.shutdown(Shutdown::Write).ok();
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    })
}

/// Starts an echo server on a Unix socket.
#[track_caller]
pub fn echo_unix(path: &Path) {
    let listener = UnixListener::bind(path).expect("the socket's path is free");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut writer: UnixStream = stream.try_clone().expect("a socket can be cloned");
                std::io::copy(&mut stream, &mut writer).ok();
                writer.shutdown(Shutdown::Write).ok();
            });
        }
    });
}

/// Closes a connection with RST.
pub fn reset(stream: TcpStream) {
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &linger).expect("SO_LINGER can be set");
    drop(stream);
}

#[track_caller]
fn serve(address: &str, answer: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(address)
        .unwrap_or_else(|error| panic!("can't listen on {address}: {error}"));
    let bound = listener.local_addr().expect("a listener has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let answer = answer.clone();
            thread::spawn(move || answer(stream));
        }
    });
    bound
}
