//! Bodies of requests on their way to a thread that blocks, in large pieces.

use std::io::{self, Read};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::files::{Digest, FileError};

/// How much is gathered before it is written, in bytes.
const PIECE: usize = 1024 * 1024;

/// Most parts of a body that make a piece.
const MAX_PARTS: usize = 256;

/// Pieces that wait for a thread; then the client does.
const WAITING: usize = 2;

/// How long a thread waits for a piece; a client that is slower would keep it from others.
const SLOWEST: Duration = Duration::from_mins(5);

/// A body that comes in.
#[derive(Debug)]
pub(super) struct Incoming {
    body: BodyDataStream,
    state: State,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    /// All of it has come.
    Whole,
    /// The connection broke.
    Broken,
}

impl Incoming {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            state: State::Coming,
        }
    }

    /// Returns what comes next; nothing at its end. What came before the connection broke
    /// is returned before the failure. Cancel-safe but for what was gathered already.
    pub(super) async fn piece(&mut self) -> Result<Vec<Bytes>, FileError> {
        self.piece_until(&CancellationToken::new()).await
    }

    /// Does the same, and takes the connection for broken once `taken` is cancelled.
    pub(super) async fn piece_until(
        &mut self,
        taken: &CancellationToken,
    ) -> Result<Vec<Bytes>, FileError> {
        let mut parts = Vec::new();
        let mut length = 0;
        while self.state == State::Coming && length < PIECE && parts.len() < MAX_PARTS {
            let next = taken.run_until_cancelled(self.body.next()).await;
            match next {
                Some(Some(Ok(part))) => {
                    length += part.len();
                    parts.push(part);
                }
                Some(Some(Err(_))) | None => self.state = State::Broken,
                Some(None) => self.state = State::Whole,
            }
        }
        if parts.is_empty() && self.state == State::Broken {
            return Err(FileError::CutOff);
        }
        Ok(parts)
    }

    /// Whether all has come, and was returned.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Hands all of it to whoever reads it on a thread; an empty part is its end.
    pub(super) async fn pour(mut self, into: Sender<io::Result<Bytes>>) {
        loop {
            match self.piece().await {
                Ok(parts) if parts.is_empty() => {
                    // Nobody reads it any more.
                    let _ = into.send(Ok(Bytes::new())).await;
                    return;
                }
                Ok(parts) => {
                    for part in parts.into_iter().filter(|part| !part.is_empty()) {
                        if into.send(Ok(part)).await.is_err() {
                            return;
                        }
                    }
                }
                Err(_) => {
                    let broken = io::ErrorKind::ConnectionAborted.into();
                    // Nobody reads it any more.
                    let _ = into.send(Err(broken)).await;
                    return;
                }
            }
        }
    }
}

/// A body as a thread reads it.
#[derive(Debug)]
pub(super) struct Reading {
    from: Receiver<io::Result<Bytes>>,
    part: Bytes,
    ended: bool,
    slowest: Duration,
    /// Has the clock.
    runtime: Handle,
}

/// Returns both ends of the way to a thread of the runtime that it is called in.
pub(super) fn reading() -> (Sender<io::Result<Bytes>>, Reading) {
    reading_for(SLOWEST)
}

fn reading_for(slowest: Duration) -> (Sender<io::Result<Bytes>>, Reading) {
    let (to, from) = channel(WAITING);
    let reading = Reading {
        from,
        part: Bytes::new(),
        ended: false,
        slowest,
        runtime: Handle::current(),
    };
    (to, reading)
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() && !self.ended {
            let next = async { timeout(self.slowest, self.from.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(part)) => {
                    self.part = part?;
                    self.ended = self.part.is_empty();
                }
                // Whoever sent it has gone before its end, or is too slow.
                Ok(None) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let length = self.part.len().min(buffer.len());
        self.part.copy_to_slice(buffer.split_at_mut(length).0);
        Ok(length)
    }
}

/// What is read, and has to have a digest where one was said.
#[derive(Debug)]
pub(super) struct Digested<R> {
    from: R,
    wanted: Option<(Digest, Sha256)>,
}

impl<R> Digested<R> {
    pub(super) fn new(from: R, wanted: Option<Digest>) -> Self {
        let wanted = wanted.map(|wanted| (wanted, Sha256::new()));
        Self { from, wanted }
    }

    /// Ends it, all having been read.
    ///
    /// # Errors
    /// Where that has another digest.
    pub(super) fn finish(self) -> Result<(), FileError> {
        let Some((wanted, hasher)) = self.wanted else {
            return Ok(());
        };
        if hasher.finalize().as_slice() == wanted {
            Ok(())
        } else {
            Err(FileError::Digest)
        }
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        if let Some((_, hasher)) = &mut self.wanted {
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::spawn_blocking;

    use super::*;

    /// Reads all, and returns how that ended.
    async fn read(mut reading: Reading) -> io::Result<String> {
        let reading = spawn_blocking(move || {
            let mut text = String::new();
            reading.read_to_string(&mut text).map(|_| text)
        });
        reading.await.unwrap()
    }

    #[tokio::test]
    async fn a_body_ends_where_it_says_so_and_breaks_off_else() {
        let body = Body::from("all of it");
        let (to, reading) = reading();
        let (all, ()) = tokio::join!(read(reading), Incoming::new(body).pour(to));
        assert_eq!(all.unwrap(), "all of it");
        let (to, gone) = super::reading();
        to.send(Ok(Bytes::from_static(b"some"))).await.unwrap();
        drop(to);
        let error = read(gone).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        let (_to, slow) = reading_for(Duration::from_millis(10));
        let error = read(slow).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
