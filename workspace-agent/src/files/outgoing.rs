//! What goes to a client while it is made, from a thread that blocks.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How much is gathered before it goes out, in bytes.
const PIECE: usize = 256 * 1024;

/// How long what was found waits for more.
const PATIENCE: Duration = Duration::from_millis(50);

/// Most pieces that wait for the client; then the thread does.
const WAITING: usize = 2;

/// Takes what is written, in large pieces. It fails once the client has gone.
#[derive(Debug)]
pub(crate) struct Outgoing {
    gathered: Vec<u8>,
    since: Instant,
    to: Sender<Bytes>,
}

/// Returns both ends of the way to a client.
pub(crate) fn outgoing() -> (Outgoing, Receiver<Bytes>) {
    let (to, pieces) = channel(WAITING);
    let outgoing = Outgoing {
        gathered: Vec::new(),
        since: Instant::now(),
        to,
    };
    (outgoing, pieces)
}

impl Outgoing {
    /// Sends something as a line of JSON.
    pub(crate) fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        if self.gathered.is_empty() {
            self.since = Instant::now();
        }
        serde_json::to_writer(&mut *self, line)?;
        self.write_all(b"\n")?;
        self.tick()
    }

    /// Sends what has waited long enough. Fails once the client has gone.
    pub(crate) fn tick(&mut self) -> io::Result<()> {
        if self.to.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.gathered.is_empty() && self.since.elapsed() >= PATIENCE {
            self.flush()?;
        }
        Ok(())
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.capacity() == 0 {
            self.gathered.reserve_exact(PIECE);
        }
        let room = PIECE - self.gathered.len();
        let (some, _) = bytes.split_at(room.min(bytes.len()));
        self.gathered.extend_from_slice(some);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.gathered));
        let sent = self.to.blocking_send(piece);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
