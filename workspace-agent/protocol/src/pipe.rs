//! What a program's descriptors are read and written through: pipes and terminals,
//! without blocking.
//!
//! Whoever reads a program's output owes its reader all that was there when it ended:
//! [`Output`] keeps the account, [`Aftermath`] the time. The agent uses them, and the
//! gateway where it has made the pipes itself ([`crate::SessionOpen::pipes`]).

mod output;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread};
use rustix::pipe::fcntl_setpipe_size;
use tokio::io::unix::AsyncFd;

use crate::frame;

pub use output::{Aftermath, Output};

/// How much is read at once where little flows and where much does, in bytes: a frame
/// of it fills whole TLS records.
pub const SMALL_READ: usize = 16 * 1024 - frame::HEADER;
const LARGE_READ: usize = 128 * 1024 - frame::HEADER;

/// Size of a pipe through which much flows, in bytes.
const LARGE_PIPE: usize = 1024 * 1024;

/// How many pipes are enlarged at once. Past 64 MiB of a user's pipes the kernel gives
/// him only tiny ones (pipe(7), `pipe-user-pages-soft`), and programs need theirs.
const MAX_LARGE_PIPES: usize = 32;

static LARGE_PIPES: AtomicUsize = AtomicUsize::new(0);

/// More than a terminal holds for its master, in bytes.
const MAX_IN_TERMINAL: u64 = 1024 * 1024;

/// How much may wait for a program, in bytes.
const MAX_QUEUED: usize = 256 * 1024;

/// What a queued piece costs beside its bytes.
const PIECE_COST: usize = 64;

/// A wait for this much shows that a pipe is too small, in bytes.
const LARGE_PIECE: usize = 16 * 1024;

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// One end of a pipe.
    Pipe,
    /// A terminal's master.
    Terminal,
}

/// Our end of a program's descriptor; clones share it.
#[derive(Clone, Debug)]
pub struct Descriptor {
    fd: Arc<AsyncFd<OwnedFd>>,
    sort: Sort,
    size: Arc<Size>,
}

/// Whether a pipe was enlarged.
#[derive(Debug, Default)]
struct Size(AtomicUsize);

/// What goes to a program's stdin, queued where the program is slow.
#[derive(Debug)]
pub struct Feed {
    /// `None` once it was closed, by either side.
    stdin: Option<Descriptor>,
    queue: VecDeque<Bytes>,
    queued: usize,
    ended: bool,
}

impl Drop for Size {
    fn drop(&mut self) {
        LARGE_PIPES.fetch_sub(*self.0.get_mut(), Ordering::Relaxed);
    }
}

impl Descriptor {
    /// Takes a descriptor, which doesn't block from now on. Must be called within a
    /// runtime, which drives it.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(fd: OwnedFd, sort: Sort) -> io::Result<Self> {
        fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        Ok(Self {
            fd: Arc::new(register(fd)?),
            sort,
            size: Arc::default(),
        })
    }

    /// Reads up to about `size` bytes into an empty buffer, which gets its memory only
    /// once there is something; 0 is the end. Cancel-safe.
    ///
    /// # Errors
    /// What the system says.
    pub async fn read(&self, buffer: &mut BytesMut, size: usize) -> io::Result<usize> {
        loop {
            let mut ready = self.fd.readable().await?;
            buffer.reserve(size);
            let room = buffer.capacity() - buffer.len();
            match ready.try_io(|fd| read_into(fd.get_ref(), buffer)) {
                Ok(Ok(read)) => {
                    // A pipe gives all that it has, a terminal needn't.
                    if read < room && self.sort == Sort::Pipe {
                        ready.clear_ready();
                    }
                    return Ok(read);
                }
                // Every program has closed the terminal.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Ok(0);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => *buffer = BytesMut::new(),
            }
        }
    }

    /// Writes what fits. Cancel-safe.
    ///
    /// # Errors
    /// `BrokenPipe` where nobody reads any more, otherwise what the system says.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.fd.writable().await?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                Ok(written) => return written,
                // One that is full and has nobody behind it counts as ready for ever.
                Err(_would_block) if self.is_hung_up() => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Err(_would_block) => {}
            }
        }
    }

    /// Writes what fits at once; 0 where nothing does.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(&self.fd, bytes) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            written => Ok(written?),
        }
    }

    /// Returns how many bytes wait to be read at most.
    fn available(&self) -> u64 {
        match self.sort {
            Sort::Pipe => ioctl_fionread(&self.fd).unwrap_or(0),
            // It tells of those alone that its line discipline has.
            Sort::Terminal => MAX_IN_TERMINAL,
        }
    }

    /// Whether there is something to be read now.
    fn is_readable(&self) -> bool {
        let mut polled = [PollFd::new(&self.fd, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
            && polled.iter().any(|fd| fd.revents().contains(PollFlags::IN))
    }

    /// Whether every program has closed the terminal.
    fn is_hung_up(&self) -> bool {
        let mut polled = [PollFd::new(&self.fd, PollFlags::OUT)];
        poll(&mut polled, Some(&Timespec::default())).is_ok()
            && polled
                .iter()
                .any(|fd| fd.revents().contains(PollFlags::HUP))
    }

    /// Makes a pipe large, because much flows through it.
    fn enlarge(&self) {
        if self.sort != Sort::Pipe || self.size.0.load(Ordering::Relaxed) != 0 {
            return;
        }
        if LARGE_PIPES.fetch_add(1, Ordering::Relaxed) < MAX_LARGE_PIPES {
            self.size.0.store(1, Ordering::Relaxed);
            // Where the user's pipes already hold too much it stays as it is.
            let _ = fcntl_setpipe_size(&self.fd, LARGE_PIPE);
        } else {
            LARGE_PIPES.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Feed {
    /// Returns one for that stdin; `None` where the program has none.
    pub fn new(stdin: Option<Descriptor>) -> Self {
        Self {
            stdin,
            queue: VecDeque::new(),
            queued: 0,
            ended: false,
        }
    }

    /// Whether more may be pushed; where not, the client is to be stopped.
    pub fn has_room(&self) -> bool {
        self.queued < MAX_QUEUED
    }

    /// Writes at once what fits, and queues the rest. What a program doesn't read any
    /// more is dropped.
    ///
    /// # Errors
    /// What the system says of a stdin that takes no more; it is closed.
    pub fn push(&mut self, mut bytes: Bytes) -> io::Result<()> {
        let Some(stdin) = &self.stdin else {
            return Ok(());
        };
        if self.queue.is_empty() {
            match stdin.try_write(&bytes) {
                Ok(written) => bytes.advance(written),
                Err(error) => return Err(self.close(error)),
            }
        }
        if !bytes.is_empty() {
            if bytes.len() >= LARGE_PIECE {
                stdin.enlarge();
            }
            self.queued += bytes.len() + PIECE_COST;
            self.queue.push_back(bytes);
        }
        Ok(())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Throws away what waits.
    pub fn discard(&mut self) {
        self.queue.clear();
        self.queued = 0;
        self.close_if_done();
    }

    /// Closes stdin once everything is written. A terminal has no half-close: the
    /// program there ends by what is typed.
    pub fn end(&mut self) {
        self.ended = true;
        self.close_if_done();
    }

    /// Writes some of what is queued; waits for ever where nothing is. Cancel-safe.
    ///
    /// # Errors
    /// What the system says of a stdin that takes no more; it is closed.
    pub async fn flow(&mut self) -> io::Result<()> {
        let (Some(stdin), Some(front)) = (&self.stdin, self.queue.front_mut()) else {
            return std::future::pending().await;
        };
        match stdin.write(front).await {
            Ok(written) => {
                self.queued -= written;
                front.advance(written);
                if front.is_empty() {
                    self.queue.pop_front();
                    self.queued -= PIECE_COST;
                }
                self.close_if_done();
                Ok(())
            }
            Err(error) => Err(self.close(error)),
        }
    }

    /// Writes all that is queued, or as much as the program takes. Cancel-safe.
    pub async fn drain(&mut self) {
        while !self.queue.is_empty() && self.flow().await.is_ok() {}
    }

    fn close_if_done(&mut self) {
        let is_pipe = |stdin: &mut Descriptor| stdin.sort == Sort::Pipe;
        if self.ended && self.queue.is_empty() {
            self.stdin.take_if(is_pipe);
        }
    }

    fn close(&mut self, error: io::Error) -> io::Error {
        *self = Self::new(None);
        error
    }
}

#[expect(
    unsafe_code,
    reason = "a buffer's uninitialised part, without writing it twice"
)]
fn read_into(fd: &OwnedFd, buffer: &mut BytesMut) -> io::Result<usize> {
    let (read, _) = rustix::io::read(fd, buffer.spare_capacity_mut())?;
    let len = read.len();
    // SAFETY: `read` has written the first `len` bytes.
    unsafe { buffer.advance_mut(len) };
    Ok(len)
}

#[expect(
    unsafe_code,
    reason = "the descriptor must stay open and the same while it is registered: an OwnedFd does"
)]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open until it is dropped, and is never another.
    unsafe { Ok(AsyncFd::register(fd)?) }
}
