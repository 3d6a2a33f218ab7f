//! Pipes and terminals, read and written without blocking.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use devgate_protocol::frame;
use rustix::buffer::spare_capacity;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_setpipe_size;
use tokio::io::unix::AsyncFd;

/// How much is read at once where little flows and where much does, in bytes: a frame
/// of it fills whole TLS records.
pub(crate) const SMALL_READ: usize = 16 * 1024 - frame::HEADER;
pub(crate) const LARGE_READ: usize = 128 * 1024 - frame::HEADER;

/// Size of a pipe through which much flows, in bytes.
const LARGE_PIPE: usize = 1024 * 1024;

/// How many pipes are enlarged at once. Past 64 MiB of a user's pipes the kernel gives
/// him only tiny ones (pipe(7), `pipe-user-pages-soft`), and programs need theirs.
const MAX_LARGE_PIPES: usize = 32;

static LARGE_PIPES: AtomicUsize = AtomicUsize::new(0);

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// One end of a pipe.
    Pipe,
    /// A terminal's master.
    Terminal,
}

/// The agent's end of a program's descriptor; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    fd: Arc<AsyncFd<OwnedFd>>,
    sort: Sort,
    size: Arc<Size>,
}

/// Whether a pipe was enlarged.
#[derive(Debug, Default)]
struct Size(AtomicUsize);

impl Drop for Size {
    fn drop(&mut self) {
        LARGE_PIPES.fetch_sub(*self.0.get_mut(), Ordering::Relaxed);
    }
}

impl Descriptor {
    pub(crate) fn new(fd: OwnedFd, sort: Sort) -> io::Result<Self> {
        fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        Ok(Self {
            fd: Arc::new(register(fd)?),
            sort,
            size: Arc::default(),
        })
    }

    /// Reads up to about `size` bytes into an empty buffer, which gets its memory only
    /// once there is something; 0 is the end. Cancel-safe.
    pub(crate) async fn read(&self, buffer: &mut Vec<u8>, size: usize) -> io::Result<usize> {
        loop {
            let mut ready = self.fd.readable().await?;
            buffer.reserve(size);
            let room = buffer.capacity() - buffer.len();
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd, spare_capacity(buffer))?));
            match read {
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
                Err(_would_block) => *buffer = Vec::new(),
            }
        }
    }

    /// Writes what fits. Cancel-safe.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.fd.writable().await?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                return written;
            }
        }
    }

    /// Writes what fits at once; 0 where nothing does.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(&self.fd, bytes) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            written => Ok(written?),
        }
    }

    /// Returns how many bytes wait to be read.
    pub(crate) fn available(&self) -> u64 {
        ioctl_fionread(&self.fd).unwrap_or(0)
    }

    /// Makes a pipe large, because much flows through it.
    pub(crate) fn enlarge(&self) {
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

#[expect(
    unsafe_code,
    reason = "the descriptor must stay open and the same while it is registered: an OwnedFd does"
)]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open until it is dropped, and is never another.
    unsafe { Ok(AsyncFd::register(fd)?) }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
