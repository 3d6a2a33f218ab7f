//! Joins two connections after an upgrade, with half-close.
//!
//! EOF ends one direction; the other goes on while anything comes. Buffers exist only
//! while bytes are under way.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use crate::activity::Visit;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 64 * 1024;

/// How long one direction may be silent once the other has ended: a peer that closed
/// altogether looks like one that still listens.
const LINGER: Duration = Duration::from_mins(10);

/// Copies both ways until both directions ended or one side broke. `early` is what was
/// read of the server's side already; what goes to the server counts as `visit`.
pub(super) async fn splice(
    client: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    early: &[u8],
    mut visit: Option<Visit>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    if !early.is_empty() {
        to_client.write_all(early).await?;
        to_client.flush().await?;
    }
    let mut inward = Direction::new(&mut from_client, &mut to_server, visit.as_mut());
    let mut outward = Direction::new(&mut from_server, &mut to_client, None);
    {
        let (inward, outward) = (inward.run(None), outward.run(None));
        tokio::pin!(inward, outward);
        tokio::select! {
            ended = &mut inward => ended?,
            ended = &mut outward => ended?,
        }
        // Cancelling a direction loses nothing: what was read is kept with it.
    }
    inward.run(Some(LINGER)).await?;
    outward.run(Some(LINGER)).await
}

/// One direction, which can be left and taken up again.
struct Direction<'a, R, W> {
    from: &'a mut R,
    to: &'a mut W,
    buffer: Vec<u8>,
    written: usize,
    phase: Phase,
    /// Counts what is written.
    visit: Option<&'a mut Visit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    Writing,
    Flushing,
    Ending,
    Ended,
}

impl<'a, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Direction<'a, R, W> {
    fn new(from: &'a mut R, to: &'a mut W, visit: Option<&'a mut Visit>) -> Self {
        Self {
            from,
            to,
            buffer: Vec::new(),
            written: 0,
            phase: Phase::Reading,
            visit,
        }
    }

    /// Copies to the end of the direction, and ends it at the other side. Cancel-safe.
    ///
    /// # Errors
    /// Where a side breaks, or nothing comes for as long as `silence`.
    async fn run(&mut self, silence: Option<Duration>) -> io::Result<()> {
        loop {
            let step = poll_fn(|cx| self.poll_step(cx));
            let step = match silence {
                Some(silence) => timeout(silence, step).await?,
                None => step.await,
            };
            self.phase = step?;
            if self.phase == Phase::Ended {
                return Ok(());
            }
        }
    }

    fn poll_step(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<Phase>> {
        use std::task::Poll::{Pending, Ready};
        match self.phase {
            Phase::Reading => {
                self.buffer.reserve(READ_SIZE);
                match poll_read_buf(Pin::new(&mut *self.from), cx, &mut self.buffer) {
                    Ready(Ok(0)) => Ready(Ok(Phase::Ending)),
                    Ready(Ok(_)) => {
                        self.written = 0;
                        Ready(Ok(Phase::Writing))
                    }
                    Ready(Err(error)) => Ready(Err(error)),
                    Pending => {
                        self.buffer = Vec::new();
                        Pending
                    }
                }
            }
            Phase::Writing => {
                let rest = self.buffer.get(self.written..).unwrap_or_default();
                match Pin::new(&mut *self.to).poll_write(cx, rest) {
                    Ready(Ok(0)) => Ready(Err(io::ErrorKind::WriteZero.into())),
                    Ready(Ok(count)) => {
                        self.written += count;
                        if let Some(visit) = &mut self.visit {
                            visit.sent(count);
                        }
                        if self.written < self.buffer.len() {
                            return Ready(Ok(Phase::Writing));
                        }
                        self.buffer.clear();
                        Ready(Ok(Phase::Flushing))
                    }
                    Ready(Err(error)) => Ready(Err(error)),
                    Pending => Pending,
                }
            }
            Phase::Flushing => Pin::new(&mut *self.to)
                .poll_flush(cx)
                .map_ok(|()| Phase::Reading),
            Phase::Ending => Pin::new(&mut *self.to)
                .poll_shutdown(cx)
                .map_ok(|()| Phase::Ended),
            Phase::Ended => Ready(Ok(Phase::Ended)),
        }
    }
}
