//! `sftp`, which stays connected and is given commands.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

use crate::bench::peers::Peer;
use crate::bench::shared::Ending;

/// What `sftp` answers to `pwd`, for which it asks nobody.
const DONE: &str = "Remote working directory: ";

/// A connected `sftp`.
pub(super) struct Session {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _client: Ending,
}

impl Session {
    pub(super) fn start(peer: &Peer) -> Self {
        let mut command = peer.client("sftp");
        command
            .args(["-q", "-b", "-", crate::ssh::HOST])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut client = Ending::spawn(&mut command);
        Self {
            input: client.stdin(),
            output: BufReader::new(client.stdout()),
            _client: client,
        }
    }

    /// Runs a command to its end.
    pub(super) fn run(&mut self, command: &str) {
        let both = format!("{command}\npwd\n");
        self.input.write_all(both.as_bytes()).expect("sftp reads");
        let mut line = String::new();
        while !line.starts_with(DONE) {
            line.clear();
            let read = self.output.read_line(&mut line).expect("sftp writes");
            assert_ne!(read, 0, "sftp ended at: {command}");
        }
    }
}
