//! The connections that haven't logged in yet.
//!
//! Their number is bounded. When it is reached the newest isn't refused: the oldest
//! of the address that has the most is cut. A log-in takes a second, and whoever
//! only holds connections open can't keep others out.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::socket::Cutter;

/// The connections that haven't logged in, oldest first.
#[derive(Debug)]
pub(super) struct Startups {
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    client: IpAddr,
    cutter: Cutter,
}

/// One of them; dropped when it has logged in or ended.
#[derive(Debug)]
pub(super) struct Startup {
    startups: Arc<Startups>,
    number: u64,
}

impl Startups {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let entries = Mutex::default();
        Arc::new(Self {
            most: most.max(1),
            entries,
        })
    }

    /// Adds a connection; cuts another one where there are too many.
    pub(super) fn begin(self: &Arc<Self>, client: IpAddr, cutter: Cutter) -> Startup {
        let mut entries = self.lock();
        if entries.waiting.len() >= self.most
            && let Some(cut) = entries.remove_crowded()
        {
            warn!(client = %cut.client, most = self.most, "too many haven't logged in yet: one is cut");
            cut.cutter.cut();
        }
        let number = entries.next;
        entries.next += 1;
        entries.waiting.push_back(Waiting {
            number,
            client,
            cutter,
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
    use crate::ssh::socket::Socket;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn the_oldest_of_the_most_crowded_address_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let startups = Startups::new(3);
        let mut connections = Vec::new();
        // The first logs in at once; then one stranger, and a crowd.
        for client in [
            "192.0.2.9",
            "192.0.2.1",
            "192.0.2.9",
            "192.0.2.9",
            "192.0.2.1",
        ] {
            let far = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let socket = Socket::new(listener.accept().await.unwrap().0);
            let startup = startups.begin(client.parse().unwrap(), socket.cutter());
            connections.push((far, socket, Some(startup)));
            if let [(_, _, first)] = connections.as_mut_slice() {
                *first = None;
            }
        }
        let (crowd, _, _) = &mut connections[2];
        assert_eq!(crowd.read(&mut [0]).await.unwrap(), 0);
        for survivor in [0, 1, 3, 4] {
            let (far, _, _) = &connections[survivor];
            let error = far.try_read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        }
    }
}
