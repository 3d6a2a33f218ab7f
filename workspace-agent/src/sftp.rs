//! The SFTP subsystem: protocol version 3 (draft-ietf-secsh-filexfer-02) with the
//! extensions of OpenSSH 9, on the workspace's real filesystem.
//!
//! A session runs on a thread of its own with blocking calls, because files can't
//! be waited for any other way and a small request should cost one wake-up, not
//! three. On a Unix socket the thread reads and writes the socket itself; over TLS
//! it drives the asynchronous connection.
//!
//! ```text
//! frames → input: one packet in one piece → session → files, paths, folders,
//! frames ← output: answers share a frame  ←           extended
//! ```
//!
//! Invariants: memory is bounded by one packet each way, whatever the client does;
//! no request is read while answers can't be written; nothing is allocated for a
//! `READ` or a `WRITE`, whose data is copied by the kernel only; no path is
//! required to be UTF-8.
//!
//! The packets are read and written here and not by russh-sftp's `protocol`,
//! which holds paths as `String` (a name that isn't UTF-8 can't be said) and data
//! as a `Vec` of its own.

mod accounts;
mod attributes;
mod extended;
mod failure;
mod files;
mod folders;
mod handles;
mod input;
mod longname;
mod output;
mod paths;
mod session;
mod wire;

use std::io::{self, Cursor, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as BlockingSocket;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use devgate_protocol::frame::FrameReader;
use devgate_protocol::{ReadHalf, Stream, WriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use self::accounts::Accounts;
use self::input::{Input, InputError};
use self::session::{Next, Session};

/// Stack of a session's thread, in bytes; its buffers are on the heap.
const STACK: usize = 512 * 1024;

/// Exit status of a session whose client couldn't be understood, OpenSSH's.
const NOT_UNDERSTOOD: u32 = 255;

/// What is left of a session that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The reading half, behind the last frame that mattered.
    pub reader: ReadHalf,
    /// The writing half, on which the exit status is still to be written.
    pub writer: WriteHalf,
    /// The exit status: 0 where the client ended the session, 255 where it wasn't
    /// understood.
    pub status: u32,
}

/// Serves SFTP on a session stream until the client's EOF.
///
/// Requests come in data frames from `reader` and answers go out in data frames on
/// `writer`; other frames are passed over. Relative paths start at `home`.
///
/// Dropping the future ends the session: its connection is shut down, at which its
/// thread stops, after the one system call that it may be in.
///
/// # Errors
/// What broke the stream.
pub async fn serve(
    reader: FrameReader<ReadHalf>,
    writer: WriteHalf,
    home: PathBuf,
) -> io::Result<Ended> {
    let (reader, buffered) = reader.into_parts();
    let buffered = Cursor::new(buffered.freeze());
    let stop = CancellationToken::new();
    let token = stop.clone();
    match (reader, writer) {
        (ReadHalf::Local(reader), WriteHalf::Local(writer)) => {
            let socket = reader
                .reunite(writer)
                .map_err(io::Error::other)?
                .into_std()?;
            socket.set_nonblocking(false)?;
            let guard = StopGuard::new(stop, Some(socket.try_clone()?));
            let ended = on_thread(move || {
                let status = run(Read::chain(buffered, &socket), &socket, &home, token)?;
                Ok((socket, status))
            });
            let (socket, status) = ended.await?;
            guard.disarm();
            socket.set_nonblocking(true)?;
            let (reader, writer) = Stream::from(UnixStream::from_std(socket)?).split();
            Ok(Ended {
                reader,
                writer,
                status,
            })
        }
        (reader, writer) => {
            let guard = StopGuard::new(stop, None);
            let runtime = Handle::current();
            let ended = on_thread(move || {
                let mut reader = Blocking::new(reader, &runtime, &token);
                let mut writer = Blocking::new(writer, &runtime, &token);
                let status = run(
                    Read::chain(buffered, &mut reader),
                    &mut writer,
                    &home,
                    token,
                )?;
                Ok((reader.inner, writer.inner, status))
            });
            let (reader, writer, status) = ended.await?;
            guard.disarm();
            Ok(Ended {
                reader,
                writer,
                status,
            })
        }
    }
}

/// Runs one session to its end and returns its exit status.
fn run(
    input: impl Read,
    output: impl Write,
    home: &Path,
    stop: CancellationToken,
) -> io::Result<u32> {
    let mut input = Input::new(input);
    let mut session = Session::new(output, home, stop)?;
    debug!("sftp session begins");
    let result = converse(&mut input, &mut session);
    // What was answered before the end is still delivered.
    let flushed = session.output.flush();
    match result {
        Ok(Next::Continue) => {
            debug!("sftp session ends");
            flushed.map(|()| 0)
        }
        Ok(Next::End) => {
            warn!("sftp session ends at a request that can't be read");
            flushed.map(|()| NOT_UNDERSTOOD)
        }
        Err(InputError::Io(error)) => Err(error),
        Err(error) => {
            warn!(%error, "sftp session ends at something that isn't a packet");
            flushed.map(|()| NOT_UNDERSTOOD)
        }
    }
}

/// Answers packets until the client ends its direction or can't be understood.
fn converse<R: Read, W: Write>(
    input: &mut Input<R>,
    session: &mut Session<W>,
) -> Result<Next, InputError> {
    let mut more = true;
    loop {
        while let Some(packet) = input.take()? {
            if session.answer(packet) == Next::End {
                return Ok(Next::End);
            }
        }
        if !more {
            return Ok(Next::Continue);
        }
        session.output.flush()?;
        more = input.fill()?;
    }
}

/// Runs blocking work on a thread of its own and waits for it.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, ended) = oneshot::channel();
    let thread: JoinHandle<()> = std::thread::Builder::new()
        .name("sftp".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody waits where the future was dropped.
            let _ = done.send(work());
        })?;
    let result = ended.await;
    // It has nothing left to do, so this doesn't wait.
    let joined = thread.join();
    match (result, joined) {
        (Ok(result), Ok(())) => result,
        _ => Err(io::Error::other("the sftp thread panicked")),
    }
}

/// Stops a session's thread when its future is dropped.
struct StopGuard {
    stop: CancellationToken,
    socket: Option<BlockingSocket>,
    armed: bool,
}

impl StopGuard {
    fn new(stop: CancellationToken, socket: Option<BlockingSocket>) -> Self {
        Self {
            stop,
            socket,
            armed: true,
        }
    }

    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        self.stop.cancel();
        if let Some(socket) = &self.socket {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// An asynchronous connection, used from a thread outside of the runtime.
struct Blocking<T> {
    inner: T,
    runtime: Handle,
    stop: CancellationToken,
}

impl<T> Blocking<T> {
    fn new(inner: T, runtime: &Handle, stop: &CancellationToken) -> Self {
        Self {
            inner,
            runtime: runtime.clone(),
            stop: stop.clone(),
        }
    }
}

impl<T: AsyncRead + Unpin> Read for Blocking<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stop.run_until_cancelled(self.inner.read(buffer));
        self.runtime.block_on(read).unwrap_or_else(stopped)
    }
}

impl<T: AsyncWrite + Unpin> Write for Blocking<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stop.run_until_cancelled(self.inner.write(bytes));
        self.runtime.block_on(written).unwrap_or_else(stopped)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stop.run_until_cancelled(self.inner.flush());
        self.runtime.block_on(flushed).unwrap_or_else(stopped)
    }
}

fn stopped<T>() -> io::Result<T> {
    Err(io::ErrorKind::ConnectionAborted.into())
}
