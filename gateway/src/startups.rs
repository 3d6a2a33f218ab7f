//! The connections whose peer is unknown as yet: before the log-in of SSH, before the
//! end of the TLS handshake.
//!
//! Their number is bounded. When it is reached the newest isn't refused: the oldest
//! of the address that has the most is cut. A log-in takes a second, and whoever
//! only holds connections open can't keep others out.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

/// Ends a connection.
type Cut = Box<dyn FnOnce() + Send>;

/// The connections that have begun, oldest first.
#[derive(Debug)]
pub(crate) struct Startups {
    /// What they haven't got through yet, for the log.
    stage: &'static str,
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    number: u64,
    client: IpAddr,
    cut: Cut,
}

/// One of them; dropped when its peer is known or it has ended.
#[derive(Debug)]
pub(crate) struct Startup {
    startups: Arc<Startups>,
    number: u64,
}

impl Startups {
    /// Bounds how many there are in that stage.
    pub(crate) fn new(stage: &'static str, most: usize) -> Arc<Self> {
        let entries = Mutex::default();
        Arc::new(Self {
            stage,
            most: most.max(1),
            entries,
        })
    }

    /// Adds a connection, which `cut` ends; cuts another one where there are too many.
    pub(crate) fn begin(
        self: &Arc<Self>,
        client: IpAddr,
        cut: impl FnOnce() + Send + 'static,
    ) -> Startup {
        let cut = Box::new(cut);
        let mut entries = self.lock();
        if entries.waiting.len() >= self.most
            && let Some(crowded) = entries.remove_crowded()
        {
            let (stage, most) = (self.stage, self.most);
            warn!(client = %crowded.client, stage, most, "too many connections have only begun: one is cut");
            (crowded.cut)();
        }
        let number = entries.next;
        entries.next += 1;
        entries.waiting.push_back(Waiting {
            number,
            client,
            cut,
        });
        Startup {
            startups: Arc::clone(self),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Takes out the oldest of the address that has the most.
    fn remove_crowded(&mut self) -> Option<Waiting> {
        let mut counts = HashMap::new();
        for waiting in &self.waiting {
            *counts.entry(waiting.client).or_insert(0) += 1;
        }
        let (&crowded, _) = counts.iter().max_by_key(|(_, count)| **count)?;
        let oldest = self
            .waiting
            .iter()
            .position(|waiting| waiting.client == crowded)?;
        self.waiting.remove(oldest)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Waiting");
        shown.field("number", &self.number);
        shown.field("client", &self.client).finish_non_exhaustive()
    }
}

impl Drop for Startup {
    fn drop(&mut self) {
        self.startups
            .lock()
            .waiting
            .retain(|waiting| waiting.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn the_oldest_of_the_most_crowded_address_makes_room() {
        let startups = Startups::new("test", 3);
        let mut connections = Vec::new();
        // The first is through at once; then one stranger, and a crowd.
        for client in [
            "192.0.2.9",
            "192.0.2.1",
            "192.0.2.9",
            "192.0.2.9",
            "192.0.2.1",
        ] {
            let cut = CancellationToken::new();
            let ends = cut.clone();
            let startup = startups.begin(client.parse().unwrap(), move || ends.cancel());
            connections.push((cut, Some(startup)));
            if let [(_, first)] = connections.as_mut_slice() {
                *first = None;
            }
        }
        let cut: Vec<_> = connections
            .iter()
            .map(|(cut, _)| cut.is_cancelled())
            .collect();
        assert_eq!(cut, [false, false, true, false, false]);
    }
}
