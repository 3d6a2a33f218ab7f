//! What goes to a client while it is made, from a thread that blocks.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How much is gathered before it goes out, in bytes.
const PIECE: usize = 256 * 1024;

/// How long what was found waits for more.
const PATIENCE: Duration = Duration::from_millis(50);

/// Most pieces that wait for the client; then the thread does.
const WAITING: usize = 2;

/// How long the client may take for a piece; one that is slower would keep its thread from
/// others.
const SLOWEST: Duration = Duration::from_mins(2);

/// Takes what is written, in large pieces. It fails once the client has gone or is too
/// slow.
#[derive(Debug)]
pub(crate) struct Outgoing {
    gathered: Vec<u8>,
    since: Instant,
    to: Sender<Bytes>,
    slowest: Duration,
    /// Whether the client was too slow.
    given_up: bool,
    /// Has the clock.
    runtime: Handle,
}

/// Tells whether a client has gone, whatever else is done with the way to it.
#[derive(Clone, Debug)]
pub(super) struct Gone(Sender<Bytes>);

impl Gone {
    /// Whether it has.
    pub(super) fn is(&self) -> bool {
        self.0.is_closed()
    }
}

/// Returns both ends of the way to a client, for a thread of the runtime that it is
/// called in.
pub(crate) fn outgoing() -> (Outgoing, Receiver<Bytes>) {
    outgoing_for(SLOWEST)
}

fn outgoing_for(slowest: Duration) -> (Outgoing, Receiver<Bytes>) {
    let (to, pieces) = channel(WAITING);
    let outgoing = Outgoing {
        gathered: Vec::new(),
        since: Instant::now(),
        to,
        slowest,
        given_up: false,
        runtime: Handle::current(),
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
        if self.given_up || self.to.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.gathered.is_empty() && self.since.elapsed() >= PATIENCE {
            self.flush()?;
        }
        Ok(())
    }

    /// Returns what tells whether the client has gone. It keeps the way open.
    pub(super) fn gone(&self) -> Gone {
        Gone(self.to.clone())
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
        if self.given_up {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.gathered));
        let sending = self.to.send_timeout(piece, self.slowest);
        self.runtime.block_on(sending).map_err(|_| {
            self.given_up = true;
            io::ErrorKind::BrokenPipe.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::spawn_blocking;

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut out, pieces) = outgoing_for(Duration::from_millis(20));
        let filling = spawn_blocking(move || {
            let error = loop {
                if let Err(error) = out.write_all(&vec![0; PIECE]) {
                    break error;
                }
            };
            (
                error,
                out.tick().is_err(),
                out.write_all(&vec![0; PIECE]).is_err(),
            )
        });
        let (error, ticked, written) = filling.await.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(ticked && written, "it isn't waited for again");
        drop(pieces);
    }
}
