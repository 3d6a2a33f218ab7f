//! What comes from a client on a channel, with data that has queued up taken together:
//! one write carries it all.

use bytes::Bytes;
use futures_util::FutureExt;
use russh::{ChannelMsg, ChannelReadHalf};

/// How much data is taken together, in bytes; the last piece may go beyond.
const MAX_BYTES: usize = 224 * 1024;

/// How many pieces are taken together.
const MAX_PIECES: usize = 32;

/// What came.
#[derive(Debug)]
pub(super) enum Came {
    /// Data, in its order; never without a piece.
    Data(Vec<Bytes>),
    /// Anything else.
    Message(ChannelMsg),
}

/// The reading half of a channel.
#[derive(Debug)]
pub(super) struct Incoming {
    rx: ChannelReadHalf,
    /// What ended the last run of data.
    next: Option<ChannelMsg>,
}

impl Incoming {
    pub(super) fn new(rx: ChannelReadHalf) -> Self {
        Self { rx, next: None }
    }

    /// Returns what comes next, or `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Came> {
        let message = match self.next.take() {
            Some(message) => message,
            None => self.rx.wait().await?,
        };
        let ChannelMsg::Data { data } = message else {
            return Some(Came::Message(message));
        };
        let mut bytes = data.len();
        let mut pieces = vec![data];
        while bytes < MAX_BYTES && pieces.len() < MAX_PIECES {
            match self.rx.wait().now_or_never().flatten() {
                Some(ChannelMsg::Data { data }) => {
                    bytes += data.len();
                    pieces.push(data);
                }
                other => {
                    self.next = other;
                    break;
                }
            }
        }
        Some(Came::Data(pieces))
    }

    /// Returns the half for what comes after the end of data.
    pub(super) fn into_inner(self) -> ChannelReadHalf {
        self.rx
    }
}
