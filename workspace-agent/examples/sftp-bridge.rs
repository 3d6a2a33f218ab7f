//! Serves SFTP on stdin and stdout: `sftp -D target/…/examples/sftp-bridge` runs
//! OpenSSH's client against the agent's server without anything between them.
//!
//! `HOME` is where relative paths start.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;

use anyhow::Context;
use devgate_agent::sftp;
use devgate_protocol::Stream;
use devgate_protocol::frame::{self, FrameReader, HEADER, Kind};
use tokio::net::UnixStream;

fn main() -> anyhow::Result<()> {
    let home = PathBuf::from(std::env::var_os("HOME").context("HOME isn't set")?);
    let (near, far) = Socket::pair()?;
    let (to_server, from_server) = (near.try_clone()?, near);
    // Ends with the process where the client goes before the server does.
    std::thread::spawn(move || forward(to_server));
    let backward = std::thread::spawn(move || backward(from_server));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        far.set_nonblocking(true)?;
        let (reader, writer) = Stream::from(UnixStream::from_std(far)?).split();
        sftp::serve(FrameReader::new(reader), writer, home).await
    })?;
    let status = ended.status;
    drop(ended);
    if let Ok(result) = backward.join() {
        result?;
    }
    std::process::exit(i32::try_from(status)?);
}

/// Copies stdin into data frames.
fn forward(mut socket: Socket) -> io::Result<()> {
    let mut buffer = vec![0; HEADER + 256 * 1024];
    loop {
        let (header, room) = buffer.split_at_mut(HEADER);
        let read = io::stdin().lock().read(room)?;
        if read == 0 {
            return socket.write_all(&frame::header(Kind::Eof, 0)?);
        }
        header.copy_from_slice(&frame::header(Kind::Data, read)?);
        socket.write_all(buffer.get(..HEADER + read).unwrap_or_default())?;
    }
}

/// Copies data frames to stdout.
fn backward(mut socket: Socket) -> io::Result<()> {
    let mut payload = Vec::new();
    let mut header = [0; HEADER];
    while let Ok(()) = socket.read_exact(&mut header) {
        let [_, a, b, c, d] = header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        payload.resize(length.min(frame::MAX_FRAME), 0);
        socket.read_exact(&mut payload)?;
        io::stdout().lock().write_all(&payload)?;
        io::stdout().lock().flush()?;
    }
    socket.shutdown(Shutdown::Both)
}
