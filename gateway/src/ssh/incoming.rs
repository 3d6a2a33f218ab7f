//! What comes from a client on a channel, with data that has queued up taken together:
//! one write carries it all.

use std::collections::VecDeque;

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
    /// What comes first: what was taken early, or ended the last run of data.
    first: VecDeque<ChannelMsg>,
}

impl Incoming {
    pub(super) fn new(rx: ChannelReadHalf) -> Self {
        Self::after(VecDeque::new(), rx)
    }

    /// Goes on after messages that were taken before.
    pub(super) fn after(first: VecDeque<ChannelMsg>, rx: ChannelReadHalf) -> Self {
        Self { rx, first }
    }

    /// Returns what comes next, or `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Came> {
        let message = match self.first.pop_front() {
            Some(message) => message,
            None => self.rx.wait().await?,
        };
        let ChannelMsg::Data { data } = message else {
            return Some(Came::Message(message));
        };
        let mut bytes = data.len();
        let mut pieces = vec![data];
        while bytes < MAX_BYTES && pieces.len() < MAX_PIECES {
            let next = match self.first.pop_front() {
                Some(message) => Some(message),
                None => self.rx.wait().now_or_never().flatten(),
            };
            match next {
                Some(ChannelMsg::Data { data }) => {
                    bytes += data.len();
                    pieces.push(data);
                }
                Some(other) => {
                    self.first.push_front(other);
                    break;
                }
                None => break,
            }
        }
        Some(Came::Data(pieces))
    }

    /// Returns what needn't wait behind data, for whoever has no room for data now; waits
    /// for ever where no such thing comes. Cancel-safe.
    pub(super) async fn next_overtaking(&mut self) -> ChannelMsg {
        let first = self.first.iter().position(ChannelMsg::overtakes_data);
        if let Some(message) = first.and_then(|at| self.first.remove(at)) {
            return message;
        }
        match self.rx.wait_overtaking().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }

    /// Returns the half for what comes after the end of data.
    pub(super) fn into_inner(self) -> ChannelReadHalf {
        self.rx
    }
}
