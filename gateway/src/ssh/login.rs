//! What is known of a connection's log-in.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{SetOnce, watch};
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use crate::identity::Lockout;

/// What the owner of a connection wants to know of its log-in.
#[derive(Default)]
pub(super) struct Login {
    /// Set when the log-in has succeeded.
    pub(super) connection: SetOnce<Arc<Connection>>,
    attempts: Mutex<Attempts>,
    /// Until when it may go on beyond the time that every log-in has: somebody is to
    /// decide.
    extended: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct Attempts {
    /// The name that the client gave last.
    name: String,
    /// How many keys it offered in vain.
    refused: u32,
}

impl Login {
    /// Notes the name that the client gives.
    pub(super) fn name(&self, name: &str) {
        name.clone_into(&mut self.attempts.lock().name);
    }

    /// Returns the name that the client gave last.
    pub(super) fn last_name(&self) -> String {
        self.attempts.lock().name.clone()
    }

    /// Notes a key that was offered in vain, and returns how many there were.
    pub(super) fn refuse(&self) -> u32 {
        let mut attempts = self.attempts.lock();
        attempts.refused += 1;
        attempts.refused
    }

    /// Lets it go on until then.
    pub(super) fn extend(&self, until: std::time::Instant) {
        self.extended.send_replace(Some(until.into()));
    }

    /// Waits until it takes too long.
    pub(super) async fn late(&self, deadline: Instant) {
        let mut extended = self.extended.subscribe();
        loop {
            let until = extended
                .borrow_and_update()
                .map_or(deadline, |it| it.max(deadline));
            tokio::select! {
                () = sleep_until(until) => return,
                // The sender is this log-in's own.
                _ = extended.changed() => {}
            }
        }
    }

    /// Counts a connection that ended without a log-in against its address and
    /// the name that it gave, where it was refused a key: one that was cut, or that
    /// a fault of ours kept out, did nothing wrong.
    pub(super) fn failed(&self, lockout: &Lockout, client: IpAddr) {
        let attempts = self.attempts.lock();
        if attempts.refused > 0 {
            lockout.failed(client, &attempts.name);
        }
    }
}
