//! A client's side of a terminal.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::{Moment, Terminal};
use crate::terminals::Cells;
use crate::terminals::screen::{ClientId, Outgoing};

/// A client that looks at a terminal.
#[derive(Debug)]
pub(crate) struct Attachment {
    terminal: Arc<Terminal>,
    id: ClientId,
    wake: Arc<Notify>,
}

impl Attachment {
    pub(super) fn new(terminal: Arc<Terminal>, id: ClientId, wake: Arc<Notify>) -> Self {
        Self { terminal, id, wake }
    }

    /// Waits for something to send. Cancel-safe.
    pub(crate) async fn next(&self) -> Outgoing {
        loop {
            let outgoing = self.terminal.lock().screen.take(self.id);
            if outgoing != Outgoing::default() {
                return outgoing;
            }
            self.wake.notified().await;
        }
    }

    /// Tells whether it is for the program: terminals also answer questions of their own.
    pub(crate) fn takes(&self, bytes: &Bytes) -> bool {
        self.terminal.lock().screen.takes(self.id, bytes)
    }

    /// Sends what was typed to the program, once it reads. Not cancel-safe.
    pub(crate) async fn write(&self, bytes: Bytes) {
        match self.terminal.input.try_send(bytes) {
            // It has ended: nobody reads any more.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(bytes)) => {
                self.terminal.lock().screen.set_typing(self.id, true);
                self.terminal.changed.notify_one();
                let _ = self.terminal.input.send(bytes).await;
                self.terminal.lock().screen.set_typing(self.id, false);
            }
        }
    }

    /// Takes note of the size that the client has.
    pub(crate) fn resize(&self, size: Cells) {
        let mut state = self.terminal.lock();
        let resized = state.screen.resize(self.id, size);
        state.resized(resized);
    }

    /// Takes note of how much the client has drawn.
    pub(crate) fn acknowledge(&self, bytes: u64) {
        self.terminal.lock().screen.acknowledge(self.id, bytes);
        self.terminal.changed.notify_one();
    }

    /// Waits until the terminal is no more. Cancel-safe.
    pub(crate) async fn ended(&self) {
        self.terminal.ended.cancelled().await;
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut state = self.terminal.lock();
        let resized = state.screen.detach(self.id);
        state.resized(resized);
        if state.screen.clients() == 0 {
            state.unseen = Some(Moment::now());
        }
        drop(state);
        self.terminal.changed.notify_one();
    }
}
