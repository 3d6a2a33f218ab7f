//! Pipes that lead past the agent, where it runs on this host.
//!
//! The gateway makes them: whoever holds a descriptor of the same end shares its flags,
//! and a workspace could have ours block. An end that we keep to ourselves can't.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use devgate_protocol::descriptor;
use devgate_protocol::pipe::{Descriptor, Feed, Output, Sort};
use rustix::fs::{Mode, fchmod};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::geteuid;
use tokio::net::UnixStream;

/// A program's stdin and stdout, before it has its ends.
#[derive(Debug)]
pub(super) struct Pipes {
    ours: Ends,
    stdin: OwnedFd,
    stdout: OwnedFd,
}

/// Our ends of a program's stdin and stdout.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) feed: Feed,
    pub(super) output: Output,
}

impl Pipes {
    /// Makes them. Must be called within the runtime that drives them.
    pub(super) fn make() -> io::Result<Self> {
        let (stdin, to_stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        let (from_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let ours = |end| Descriptor::new(end, Sort::Pipe).map(Some);
        let feed = Feed::new(ours(to_stdin)?);
        let output = Output::new(ours(from_stdout)?);
        let ours = Ends { feed, output };
        Ok(Self {
            ours,
            stdin,
            stdout,
        })
    }

    /// Gives the program's ends to the agent at the other end of `stream`.
    pub(super) async fn give(self, stream: &UnixStream) -> io::Result<Ends> {
        if stream.peer_cred()?.uid() != geteuid().as_raw() {
            // Programs open them again as /dev/stdin and /dev/stdout. Whoever gets as far
            // as there is the workspace's own, or could take what it likes anyway.
            fchmod(&self.stdin, Mode::from_raw_mode(0o666))?;
            fchmod(&self.stdout, Mode::from_raw_mode(0o666))?;
        }
        descriptor::give(stream, &[self.stdin.as_fd(), self.stdout.as_fd()]).await?;
        Ok(self.ours)
    }
}
