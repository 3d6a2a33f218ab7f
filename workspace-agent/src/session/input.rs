//! From the stream to the program.
//!
//! A program that doesn't read its stdin stops the reading of the stream, but only
//! once a small buffer is full: requests that follow, a signal or a new size, are
//! noticed up to there. Beyond, they wait behind the data, as they would in any order
//! of the wire; that the gateway is gone is noticed by writing to it.

use std::io;
use std::time::Duration;

use devgate_protocol::ReadHalf;
use devgate_protocol::frame::{Frame, FrameReader};
use devgate_protocol::pipe::{Descriptor, Feed};
use tokio::time::sleep;
use tracing::debug;

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
    notices: &'a Notices,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        child: &'a Child,
        feed: Feed,
        terminal: Option<Descriptor>,
        notices: &'a Notices,
    ) -> Self {
        Self {
            child,
            feed,
            terminal,
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
            Frame::Data(bytes) => note(self.feed.push(bytes)),
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
