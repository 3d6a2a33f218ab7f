//! A program's stdout, where the gateway has made its pipe and reads it itself.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use devgate_protocol::pipe::{Descriptor, Output, Sort};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};

/// A pipe that the gateway reads.
///
/// As long as the program runs it is held without being one of its ends, so that whoever
/// writes to it learns at once that the gateway reads no more. From then on it has an end
/// to read, for what children of the program write once the gateway has given up.
#[derive(Debug)]
pub(super) struct Beside {
    pipe: OwnedFd,
    left: Option<Output>,
}

impl Beside {
    /// Returns that of which this is the program's end.
    pub(super) fn of(stdout: &OwnedFd) -> io::Result<Self> {
        let pipe = reopen(stdout, OFlags::PATH)?;
        Ok(Self { pipe, left: None })
    }

    /// Takes note of the program's end, before the gateway is told of it. Nothing is read
    /// here.
    pub(super) fn program_ended(&mut self) {
        // As before, those who write are on their own where it can't be opened.
        self.left = self.held().unwrap_or_default();
    }

    /// Returns what somebody still writes to. To be read once the gateway doesn't.
    pub(super) fn left(self) -> Option<Output> {
        self.left
    }

    /// Opens the pipe to be read; nothing where nobody could write to it.
    fn held(&self) -> io::Result<Option<Output>> {
        let end = reopen(&self.pipe, OFlags::RDONLY | OFlags::NONBLOCK)?;
        // One of which all ends were closed is new: that nobody writes to it is told only
        // once somebody could have.
        drop(File::from(reopen(
            &self.pipe,
            OFlags::WRONLY | OFlags::NONBLOCK,
        )?));
        let mut polled = [PollFd::new(&end, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default()))?;
        if polled
            .iter()
            .any(|end| end.revents().contains(PollFlags::HUP))
        {
            return Ok(None);
        }
        let end = Descriptor::new(end, Sort::Pipe)?;
        Ok(Some(Output::new(Some(end))))
    }
}

fn reopen(pipe: &OwnedFd, flags: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    Ok(open(path, flags | OFlags::CLOEXEC, Mode::empty())?)
}
