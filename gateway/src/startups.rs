//! The connections at one stage: before the log-in of SSH, before the end of the TLS
//! handshake, or all of a listener.
//!
//! Their number is bounded, and so is what one address may have of it. When it is
//! reached the newest isn't refused: the oldest of the address is cut, or of the address
//! that has the most. A log-in takes a second, and whoever only holds connections open
//! can't keep others out.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tracing::warn;

use crate::config::Network;
use crate::identity::network_of;

/// Ends a connection.
type Cut = Box<dyn FnOnce() + Send>;

/// The connections at a stage, oldest first.
#[derive(Debug)]
pub(crate) struct Startups {
    /// What they are at, for the log.
    stage: &'static str,
    most: usize,
    share: Share,
    entries: Mutex<Entries>,
}

/// What one address may have.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    /// Its connections.
    pub(crate) each: usize,
    /// Addresses that may have all there are: proxies, which speak for many clients.
    pub(crate) exempt: Arc<[Network]>,
}

impl Default for Share {
    /// All there are.
    fn default() -> Self {
        Self {
            each: usize::MAX,
            exempt: Arc::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    counts: HashMap<IpAddr, usize>,
}

struct Waiting {
    /// Its address, an IPv6 one without what its host may choose.
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
    /// Bounds how many there are at that stage.
    pub(crate) fn new(stage: &'static str, most: usize) -> Arc<Self> {
        Self::with_share(stage, most, Share::default())
    }

    /// Bounds how many there are at that stage, and of one address.
    pub(crate) fn with_share(stage: &'static str, most: usize, share: Share) -> Arc<Self> {
        let entries = Mutex::default();
        Arc::new(Self {
            stage,
            most: most.max(1),
            share,
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
        let client = network_of(client);
        let mut entries = self.lock();
        let own = entries.counts.get(&client).copied().unwrap_or_default();
        let crowded = if own >= self.share.each.max(1) && !self.is_exempt(client) {
            Some(client)
        } else if entries.waiting.len() >= self.most {
            entries.crowded(|client| self.is_exempt(client))
        } else {
            None
        };
        let oldest = crowded.and_then(|crowded| entries.remove_oldest(crowded));
        let number = entries.next;
        entries.next += 1;
        *entries.counts.entry(client).or_default() += 1;
        entries.waiting.insert(number, Waiting { client, cut });
        drop(entries);
        if let Some(oldest) = oldest {
            let (stage, most) = (self.stage, self.most);
            warn!(client = %oldest.client, stage, most, "too many connections: one is cut");
            (oldest.cut)();
        }
        Startup {
            startups: Arc::clone(self),
            number,
        }
    }

    fn is_exempt(&self, client: IpAddr) -> bool {
        let exempt = self.share.exempt.iter();
        exempt.into_iter().any(|network| network.contains(client))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock()
    }
}

impl Entries {
    /// Returns the address that has the most; one that is exempt where there is no
    /// other.
    fn crowded(&self, is_exempt: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let counts = self.counts.iter();
        let most = counts.max_by_key(|(client, count)| (!is_exempt(**client), **count));
        most.map(|(client, _)| *client)
    }

    fn remove_oldest(&mut self, client: IpAddr) -> Option<Waiting> {
        let mut waiting = self.waiting.iter();
        let (&oldest, _) = waiting.find(|(_, waiting)| waiting.client == client)?;
        self.remove(oldest)
    }

    fn remove(&mut self, number: u64) -> Option<Waiting> {
        let removed = self.waiting.remove(&number)?;
        if let Some(count) = self.counts.get_mut(&removed.client) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&removed.client);
            }
        }
        Some(removed)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Waiting");
        shown.field("client", &self.client).finish_non_exhaustive()
    }
}

impl Drop for Startup {
    fn drop(&mut self) {
        self.startups.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    /// Begins connections of these addresses, and tells which of them were cut.
    fn cut_of(startups: &Arc<Startups>, clients: &[&str]) -> Vec<bool> {
        let begun: Vec<_> = clients
            .iter()
            .map(|client| {
                let cut = CancellationToken::new();
                let ends = cut.clone();
                (
                    startups.begin(client.parse().unwrap(), move || ends.cancel()),
                    cut,
                )
            })
            .collect();
        begun.iter().map(|(_, cut)| cut.is_cancelled()).collect()
    }

    #[test]
    fn an_address_has_its_share_and_a_proxy_all_there_is() {
        let share = Share {
            each: 2,
            exempt: ["192.0.2.1".parse().unwrap()].into(),
        };
        let startups = Startups::with_share("test", 5, share);
        let (proxy, one, other) = ("192.0.2.1", "2001:db8::1", "2001:db8::2");
        assert_eq!(
            cut_of(&startups, &[proxy, one, proxy, proxy, other, one]),
            [false, true, false, false, false, false]
        );
        // Whoever isn't exempt makes room first, however few they are.
        assert_eq!(
            cut_of(&startups, &[proxy, proxy, proxy, one, proxy, proxy]),
            [false, false, false, true, false, false]
        );
        assert_eq!(
            cut_of(&startups, &[proxy; 6]),
            [true, false, false, false, false, false]
        );
        assert!(startups.lock().counts.is_empty());
        assert!(startups.lock().waiting.is_empty());
    }

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
