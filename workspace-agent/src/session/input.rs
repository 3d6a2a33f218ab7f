//! From the stream to the program.
//!
//! A program that doesn't read its stdin stops the reading of the stream, but only
//! once a small buffer is full: requests that follow are noticed up to there. Beyond, they
//! come past the data ([`overtaking`](super::overtaking)), but for those of gateways that
//! know no such way; that the gateway is gone is noticed by writing to it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::ReadHalf;
use devgate_protocol::frame::{Frame, FrameReader};
use devgate_protocol::pipe::{Descriptor, Feed};
use tokio::time::sleep;
use tracing::debug;

use super::overtaking::Passed;
use super::{Notices, signals};
use crate::process::{Child, terminal};

/// How often the gateway is probed while nothing is read from it.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// After how long without a frame the reader's buffer is given back.
const IDLE: Duration = Duration::from_secs(1);

/// One session's input.
pub(super) struct Input<'a> {
    child: &'a Child,
    feed: Feed,
    terminal: Option<Descriptor>,
    passed: &'a Passed,
    notices: &'a Notices,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        child: &'a Child,
        feed: Feed,
        terminal: Option<Descriptor>,
        (passed, notices): (&'a Passed, &'a Notices),
    ) -> Self {
        Self {
            child,
            feed,
            terminal,
            passed,
            notices,
        }
    }

    /// Acts on frames until the stream ends.
    pub(super) async fn run(&mut self, reader: &mut FrameReader<ReadHalf>) -> io::Result<()> {
        let mut idle = false;
        loop {
            let room = self.feed.has_room();
            tokio::select! {
                frame = reader.next(), if room => match frame? {
                    Some(frame) => {
                        self.act(frame);
                        idle = false;
                    }
                    None => return Ok(()),
                },
                flowed = self.feed.flow() => note(flowed),
                frame = self.passed.next() => self.act(frame),
                () = sleep(PROBE_INTERVAL), if !room => self.notices.stalled.notify_one(),
                () = sleep(IDLE), if room && !idle => {
                    reader.shrink();
                    idle = true;
                }
            }
        }
    }

    /// Gives a program what came before the stream's end, or as much as it takes.
    /// Cancel-safe.
    pub(super) async fn deliver(&mut self) {
        self.feed.drain().await;
    }

    fn act(&mut self, frame: Frame) {
        match frame {
            Frame::Data(bytes) => self.take(bytes),
            Frame::Eof => self.feed.end(),
            Frame::WindowChange(size) => {
                if let Some(terminal) = &self.terminal
                    && let Err(error) = terminal::resize(terminal, size)
                {
                    debug!(%error, "the terminal can't be resized");
                }
            }
            Frame::Signal(name) => self.signal(&name),
            // A terminal can't be closed for reading alone.
            Frame::EndOfWrite if self.terminal.is_none() => self.notices.unread.notify_one(),
            other => {
                debug!(frame = ?std::mem::discriminant(&other), "a frame that a running program has no use for");
            }
        }
    }

    /// Gives a program what was sent or typed. An interrupt that is typed throws away what
    /// was typed before, as it does in a terminal that has room for it.
    fn take(&mut self, mut bytes: Bytes) {
        if let Some(terminal) = &self.terminal
            && let Ok(interrupts) = terminal::interrupts(terminal)
        {
            while let Some(at) = bytes.iter().position(|byte| interrupts.contains(byte)) {
                note(self.feed.push(bytes.split_to(at)));
                let interrupt = bytes.split_to(1);
                note(self.feed.push(interrupt.clone()));
                if !self.feed.is_empty() && terminal::discard_typed(terminal).is_ok() {
                    self.feed.discard();
                    note(self.feed.push(interrupt));
                }
            }
        }
        note(self.feed.push(bytes));
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

fn note(fed: io::Result<()>) {
    if let Err(error) = fed {
        debug!(%error, "the program doesn't read any more");
    }
}
