//! Connections that several OpenSSH clients share, and other helpers of theirs.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::pipe::fcntl_setpipe_size;

use crate::survivors::Folder;

use super::peers::Peer;

/// Size of the pipes to clients, in bytes: what waits for the processor shouldn't
/// be the measuring.
const PIPE: usize = 1 << 20;

/// A child that ends when this is dropped.
pub(super) struct Ending(pub(super) Child);

impl Ending {
    pub(super) fn spawn(command: &mut Command) -> Self {
        Self(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        )
    }

    /// Its standard input, which was asked for, as a large pipe.
    pub(super) fn stdin(&mut self) -> ChildStdin {
        let stdin = self.0.stdin.take().expect("it was asked for");
        fcntl_setpipe_size(&stdin, PIPE).ok();
        stdin
    }

    /// Its standard output, which was asked for, as a large pipe.
    pub(super) fn stdout(&mut self) -> ChildStdout {
        let stdout = self.0.stdout.take().expect("it was asked for");
        fcntl_setpipe_size(&stdout, PIPE).ok();
        stdout
    }

    /// Waits for its end and panics unless it succeeded.
    pub(super) fn succeed(mut self, what: &str) {
        let status = self.0.wait().expect("the child is ours");
        assert!(status.success(), "{what}: {status}");
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An OpenSSH client whose connection others use as well (`ControlMaster`): all
/// bytes pass through this one process.
pub(super) struct Master<'a> {
    peer: &'a Peer,
    socket: PathBuf,
    _client: Ending,
    _folder: Folder,
}

impl<'a> Master<'a> {
    pub(super) fn start(peer: &'a Peer, options: &[&str]) -> Self {
        let folder = Folder::new();
        let socket = folder.path().join("master");
        // The local command runs once the socket is there.
        let mut command = peer.client("ssh");
        command
            .args(options)
            .args([
                "-o",
                "PermitLocalCommand=yes",
                "-o",
                "LocalCommand=echo ready",
            ])
            .args(["-M", "-N", "-S"])
            .arg(&socket)
            .arg(crate::ssh::HOST)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut client = Ending::spawn(&mut command);
        let mut line = String::new();
        BufReader::new(client.stdout()).read_line(&mut line).ok();
        assert_eq!(line, "ready\n", "no shared connection");
        Self {
            peer,
            socket,
            _client: client,
            _folder: folder,
        }
    }

    /// A client of the shared connection.
    pub(super) fn client(&self, program: &str) -> Command {
        let mut command = self.peer.client(program);
        command
            .arg("-o")
            .arg(format!("ControlPath={}", self.socket.display()));
        command
    }

    /// `ssh` on its way to run `remote`.
    pub(super) fn ssh(&self, remote: &str) -> Command {
        let mut command = self.client("ssh");
        command.arg(crate::ssh::HOST).arg(remote);
        command
    }
}

/// Writes `megabytes` of zeros (MiB) in large pieces.
pub(super) fn pour(mut to: impl Write, megabytes: u32) -> std::io::Result<()> {
    let zeros = vec![0; PIPE];
    for _ in 0..megabytes {
        to.write_all(&zeros)?;
    }
    to.flush()
}

/// Reads to the end and returns how much there was, in bytes.
pub(super) fn drain(mut from: impl Read) -> std::io::Result<u64> {
    let mut buffer = vec![0; PIPE];
    let mut total = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(total);
        }
        total += u64::try_from(read).unwrap_or(u64::MAX);
    }
}

/// Decimal megabytes a second.
pub(super) fn speed(megabytes: u32, elapsed: std::time::Duration) -> f64 {
    f64::from(megabytes) * 1.048_576 / elapsed.as_secs_f64()
}
