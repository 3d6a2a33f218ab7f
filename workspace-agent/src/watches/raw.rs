//! The kernel's events (inotify(7)), as they are read.

use std::ffi::OsString;
use std::io;
use std::mem::take;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rustix::fs::inotify::ReadFlags;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

/// Size of the buffer that is read into, in bytes.
const BUFFER: usize = 64 * 1024;

/// Most bytes of events that are taken at once.
const MOST: usize = 1024 * 1024;

/// Size of an event without its name: watch, mask, cookie, length of the name.
const HEAD: usize = 16;

/// How long after the first half of a rename its second one may come.
const SECOND_HALF: Duration = Duration::from_millis(10);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    /// Which watch saw it.
    pub(super) watch: i32,
    pub(super) flags: ReadFlags,
    /// Joins the two halves of a rename.
    pub(super) cookie: u32,
    /// The name in the watched folder; empty: the folder itself.
    pub(super) name: OsString,
}

/// What was read at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Raw>,
    /// Whether nothing was left.
    pub(super) is_all: bool,
}

/// Reads a descriptor of inotify.
#[derive(Debug)]
pub(super) struct Source {
    kernel: Receiver,
    /// What was read and isn't taken.
    batch: Batch,
}

impl Source {
    /// Takes a descriptor that doesn't block.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            // It is no pipe, and is read like one.
            kernel: Receiver::from_owned_fd_unchecked(fd)?,
            batch: Batch::default(),
        })
    }

    /// Waits for events, and takes those that are there. Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<Batch> {
        if self.batch.events.is_empty() {
            self.kernel.readable().await?;
            self.drain()?;
        }
        if is_half(&self.batch.events)
            && let Ok(readable) = timeout(SECOND_HALF, self.kernel.readable()).await
        {
            readable?;
            self.drain()?;
        }
        Ok(take(&mut self.batch))
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut taken = 0;
        self.batch.is_all = false;
        while taken < MOST {
            match self.kernel.try_read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    taken += read;
                    parse(
                        buffer.get(..read).unwrap_or_default(),
                        &mut self.batch.events,
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.batch.is_all = true;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether the last event is the first half of a rename.
fn is_half(events: &[Raw]) -> bool {
    events
        .last()
        .is_some_and(|last| last.flags.contains(ReadFlags::MOVED_FROM))
}

/// The kernel gives whole events only.
fn parse(mut bytes: &[u8], events: &mut Vec<Raw>) {
    while let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() {
        let word = |at: usize| {
            let word = head.get(at..).and_then(<[u8]>::first_chunk::<4>);
            u32::from_ne_bytes(word.copied().unwrap_or_default())
        };
        let length = usize::try_from(word(12)).unwrap_or(usize::MAX);
        let (name, rest) = rest.split_at(length.min(rest.len()));
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        events.push(Raw {
            watch: word(0).cast_signed(),
            flags: ReadFlags::from_bits_retain(word(4)),
            cookie: word(8),
            name: OsString::from_vec(name.to_vec()),
        });
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_with_and_without_names() {
        let mut bytes = Vec::new();
        for (watch, mask, cookie, name) in [
            (1_i32, 0x100_u32, 0_u32, b"file\0\0\0\0".as_slice()),
            (-1, 0x4000, 0, b""),
            (2, 0x40, 7, b"a\0\0\0"),
        ] {
            bytes.extend(watch.to_ne_bytes());
            bytes.extend(mask.to_ne_bytes());
            bytes.extend(cookie.to_ne_bytes());
            bytes.extend(u32::try_from(name.len()).unwrap().to_ne_bytes());
            bytes.extend(name);
        }
        let mut events = Vec::new();
        parse(&bytes, &mut events);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].name, "file");
        assert_eq!(events[1].watch, -1);
        assert!(events[1].flags.contains(ReadFlags::QUEUE_OVERFLOW));
        assert_eq!((events[2].cookie, events[2].watch), (7, 2));
        assert!(is_half(&events));
    }
}
