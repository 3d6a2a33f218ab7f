//! Forwarded authentication agents that the repository's host may be shown.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

/// The sockets of those that are there, the newest last.
#[derive(Debug)]
pub(super) struct AuthAgents(watch::Sender<Vec<(u64, PathBuf)>>);

/// One of them. It is withdrawn when this is dropped.
#[derive(Debug)]
pub(crate) struct Offer {
    number: u64,
    all: watch::Sender<Vec<(u64, PathBuf)>>,
}

impl Default for AuthAgents {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl AuthAgents {
    pub(super) fn offer(&self, socket: &Path) -> Offer {
        let number = rand::random();
        self.0
            .send_modify(|all| all.push((number, socket.to_owned())));
        Offer {
            number,
            all: self.0.clone(),
        }
    }

    /// Waits for one. Cancel-safe.
    pub(super) async fn any(&self) -> PathBuf {
        let mut all = self.0.subscribe();
        loop {
            if let Some((_, socket)) = all.borrow_and_update().last() {
                return socket.clone();
            }
            // The sender is here, so it can't be gone.
            let _ = all.changed().await;
        }
    }

    /// Tells whether one is still there.
    pub(super) fn has(&self, socket: &Path) -> bool {
        self.0.borrow().iter().any(|(_, offered)| offered == socket)
    }

    /// Tells whether there is one.
    pub(super) fn has_any(&self) -> bool {
        !self.0.borrow().is_empty()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.all
            .send_modify(|all| all.retain(|(number, _)| *number != self.number));
    }
}
