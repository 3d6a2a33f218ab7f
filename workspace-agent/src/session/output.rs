//! From the program to the stream.
//!
//! The one writer of a session's stream: output, announcements and the end are written
//! by one task in turn, so that a stream that isn't read stops all of it, and with it
//! the program.
//!
//! When the program ends, what its pipes held at that moment is owed and always
//! delivered. A child that holds them open is waited for briefly: a filter that still
//! writes is heard, a daemon doesn't keep the channel.

use std::io;
use std::time::Duration;

use devgate_protocol::WriteHalf;
use devgate_protocol::frame::Kind;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::relays::Relays;
use crate::process::{Descriptor, End, Exit, LARGE_READ, SMALL_READ};
use crate::send::{send, send_json};

/// How long the descriptors may be silent after the program's end.
const IDLE: Duration = Duration::from_secs(1);

/// How long they may go on at all.
const LIMIT: Duration = Duration::from_secs(4);

/// One of the program's outputs.
#[derive(Debug)]
pub(super) struct Output {
    /// `None` once it ended.
    source: Option<Descriptor>,
    kind: Kind,
    buffer: Vec<u8>,
    /// How much is read next.
    size: usize,
    /// How much it held when the program ended, less what was delivered since.
    owed: u64,
}

impl Output {
    pub(super) fn new(source: Option<Descriptor>, kind: Kind) -> Self {
        Self {
            source,
            kind,
            buffer: Vec::new(),
            size: SMALL_READ,
            owed: 0,
        }
    }

    /// Waits for bytes. Cancel-safe.
    async fn fill(&mut self) -> io::Result<usize> {
        match &self.source {
            Some(source) => source.read(&mut self.buffer, self.size).await,
            None => std::future::pending().await,
        }
    }

    /// Delivers what was read, or takes note of the end.
    async fn deliver(&mut self, read: io::Result<usize>, writer: &mut WriteHalf) -> io::Result<()> {
        let Ok(1..) = read else {
            // A descriptor that can't be read any more has ended.
            self.source = None;
            self.owed = 0;
            self.buffer = Vec::new();
            return Ok(());
        };
        send(writer, self.kind, &self.buffer).await?;
        let delivered = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.owed = self.owed.saturating_sub(delivered);
        if self.buffer.len() < SMALL_READ {
            self.buffer = Vec::new();
            self.size = SMALL_READ;
        } else {
            self.buffer.clear();
            self.size = LARGE_READ;
            self.source.iter().for_each(Descriptor::enlarge);
        }
        Ok(())
    }

    fn owe(&mut self) {
        self.owed = self.source.as_ref().map_or(0, Descriptor::available);
    }

    fn is_open(&self) -> bool {
        self.source.is_some()
    }
}

/// Carries the program's output up to and with its EOF, and returns how it ended.
/// What is written while `stalled` is notified shows whether the gateway is still there.
pub(super) async fn run(
    mut end: End,
    [mut stdout, mut stderr]: [Output; 2],
    mut relays: Relays,
    stalled: &Notify,
    writer: &mut WriteHalf,
) -> io::Result<Exit> {
    let mut exit = None;
    let mut idle = Instant::now();
    let mut limit = idle;
    while stdout.is_open() || stderr.is_open() {
        tokio::select! {
            ended = end.wait(), if exit.is_none() => {
                exit = Some(ended);
                stdout.owe();
                stderr.owe();
                idle = Instant::now() + IDLE;
                limit = Instant::now() + LIMIT;
            }
            read = stdout.fill() => {
                stdout.deliver(read, writer).await?;
                idle = Instant::now() + IDLE;
            }
            read = stderr.fill() => {
                stderr.deliver(read, writer).await?;
                idle = Instant::now() + IDLE;
            }
            accepted = relays.next() => send_json(writer, Kind::Accepted, &accepted).await?,
            () = stalled.notified() => send(writer, Kind::Data, &[]).await?,
            () = sleep_until(idle.min(limit)), if exit.is_some() => {
                if stdout.owed == 0 && stderr.owed == 0 {
                    break;
                }
                // Owed bytes are there to be read: the next turn does.
                limit = Instant::now() + IDLE;
                idle = limit;
            }
        }
    }
    send(writer, Kind::Eof, &[]).await?;
    loop {
        if let Some(exit) = exit {
            return Ok(exit);
        }
        // The program goes on without its descriptors.
        tokio::select! {
            ended = end.wait() => exit = Some(ended),
            accepted = relays.next() => send_json(writer, Kind::Accepted, &accepted).await?,
            () = stalled.notified() => send(writer, Kind::Data, &[]).await?,
        }
    }
}
