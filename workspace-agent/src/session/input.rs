//! From the stream to the program.
//!
//! A program that doesn't read its stdin stops the reading of the stream, but only
//! once a small buffer is full: requests that follow, a signal or a new size, are
//! noticed up to there. Beyond, they wait behind the data, as they would in any order
//! of the wire; that the gateway is gone is noticed by writing to it.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes};
use devgate_protocol::ReadHalf;
use devgate_protocol::frame::{Frame, FrameReader};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::debug;

use super::signals;
use crate::process::{Child, Descriptor, terminal};

/// How much may wait for the program, in bytes. When it is full nothing more is read.
const MAX_QUEUED: usize = 256 * 1024;

/// What a queued piece costs beside its bytes.
const PIECE_COST: usize = 64;

/// How often the gateway is probed while nothing is read from it.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// After how long without a frame the reader's buffer is given back.
const IDLE: Duration = Duration::from_secs(1);

/// A wait for this much shows that a pipe is too small, in bytes.
const LARGE_PIECE: usize = 16 * 1024;

/// One session's input.
pub(super) struct Input<'a> {
    child: &'a Child,
    /// `None` once it was closed, by either side.
    stdin: Option<Descriptor>,
    terminal: Option<Descriptor>,
    queue: VecDeque<Bytes>,
    queued: usize,
    ended: bool,
    stalled: &'a Notify,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        child: &'a Child,
        stdin: Option<Descriptor>,
        terminal: Option<Descriptor>,
        stalled: &'a Notify,
    ) -> Self {
        Self {
            child,
            stdin,
            terminal,
            queue: VecDeque::new(),
            queued: 0,
            ended: false,
            stalled,
        }
    }

    /// Acts on frames until the stream ends.
    pub(super) async fn run(&mut self, reader: &mut FrameReader<ReadHalf>) -> io::Result<()> {
        let mut idle = false;
        loop {
            let room = self.queued < MAX_QUEUED;
            tokio::select! {
                frame = reader.next(), if room => match frame? {
                    Some(frame) => {
                        self.act(frame);
                        idle = false;
                    }
                    None => return Ok(()),
                },
                written = write_front(self.stdin.as_ref(), &self.queue) => self.written(written),
                () = sleep(PROBE_INTERVAL), if !room => self.stalled.notify_one(),
                () = sleep(IDLE), if room && !idle => {
                    reader.shrink();
                    idle = true;
                }
            }
        }
    }

    fn act(&mut self, frame: Frame) {
        match frame {
            Frame::Data(bytes) => self.data(bytes),
            Frame::Eof => {
                self.ended = true;
                self.close_if_done();
            }
            Frame::WindowChange(size) => {
                if let Some(terminal) = &self.terminal
                    && let Err(error) = terminal::resize(terminal, size)
                {
                    debug!(%error, "the terminal can't be resized");
                }
            }
            Frame::Signal(name) => self.signal(&name),
            other => {
                debug!(frame = ?std::mem::discriminant(&other), "a frame that a running program has no use for");
            }
        }
    }

    fn data(&mut self, mut bytes: Bytes) {
        let Some(stdin) = &self.stdin else {
            return; // the program doesn't read any more
        };
        if self.queue.is_empty() {
            match stdin.try_write(&bytes) {
                Ok(written) => bytes.advance(written),
                Err(error) => return self.written(Err(error)),
            }
        }
        if !bytes.is_empty() {
            if bytes.len() >= LARGE_PIECE {
                stdin.enlarge();
            }
            self.queued += bytes.len() + PIECE_COST;
            self.queue.push_back(bytes);
        }
    }

    fn written(&mut self, written: io::Result<usize>) {
        match written {
            Ok(written) => {
                self.queued -= written;
                if let Some(front) = self.queue.front_mut() {
                    front.advance(written);
                    if front.is_empty() {
                        self.queue.pop_front();
                        self.queued -= PIECE_COST;
                    }
                }
                self.close_if_done();
            }
            Err(error) => {
                debug!(%error, "the program doesn't read any more");
                self.stdin = None;
                self.queue = VecDeque::new();
                self.queued = 0;
            }
        }
    }

    /// Closes a pipe after EOF. A terminal has no half-close: the program there ends by
    /// what is typed.
    fn close_if_done(&mut self) {
        if self.ended && self.queue.is_empty() && self.terminal.is_none() {
            self.stdin = None;
        }
    }

    fn signal(&self, name: &str) {
        let Some(signal) = signals::by_name(name) else {
            debug!(name, "an unknown signal");
            return;
        };
        let foreground = self
            .terminal
            .as_ref()
            .is_some_and(|terminal| terminal::signal_foreground(terminal, signal).is_ok());
        if !foreground {
            self.child.signal_group(signal);
        }
    }
}

async fn write_front(stdin: Option<&Descriptor>, queue: &VecDeque<Bytes>) -> io::Result<usize> {
    match (stdin, queue.front()) {
        (Some(stdin), Some(front)) => stdin.write(front).await,
        _ => std::future::pending().await,
    }
}
