//! Connections that were accepted here and wait for the gateway to collect them.
//!
//! Each listener announces its own, a bounded number at a time; what isn't collected
//! in time, or whose listener is gone, is closed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use devgate_protocol::{Accepted, Originator};
use parking_lot::{Mutex, MutexGuard};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// How long a connection waits to be collected.
const COLLECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections of one listener wait at once. Beyond it nothing is accepted:
/// the kernel's own queue pushes back.
const MAX_WAITING: usize = 64;

/// A connection that a listener accepted.
#[derive(Debug)]
pub(crate) enum Connection {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// All connections that wait to be collected.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    next: AtomicU64,
    entries: Mutex<HashMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    connection: Connection,
    _place: OwnedSemaphorePermit,
}

impl Waiting {
    /// Takes out the connection of that number, if it still waits.
    pub(crate) fn collect(&self, number: u64) -> Option<Connection> {
        self.lock().remove(&number).map(|entry| entry.connection)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.entries.lock()
    }
}

/// One listener's announcements. Dropping it closes those that weren't collected.
#[derive(Debug)]
pub(crate) struct Announcer<'a> {
    waiting: &'a Waiting,
    places: Arc<Semaphore>,
    /// Numbers in the order of their deadlines; some were collected since.
    announced: VecDeque<(Instant, u64)>,
}

impl<'a> Announcer<'a> {
    pub(crate) fn new(waiting: &'a Waiting) -> Self {
        Self {
            waiting,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            announced: VecDeque::new(),
        }
    }

    /// Waits for a free place, to be taken before a connection is accepted.
    /// Cancel-safe.
    pub(crate) fn place(&self) -> impl Future<Output = OwnedSemaphorePermit> + use<> {
        let places = Arc::clone(&self.places);
        async move {
            let place = places.acquire_owned().await;
            place.expect("the semaphore is never closed")
        }
    }

    /// Lets a connection wait, and returns what to tell the gateway.
    pub(crate) fn announce(
        &mut self,
        connection: Connection,
        originator: Originator,
        place: OwnedSemaphorePermit,
    ) -> Accepted {
        let number = self.waiting.next.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            connection,
            _place: place,
        };
        let mut entries = self.waiting.lock();
        // What was collected needs no deadline any more.
        while let Some((_, oldest)) = self.announced.front()
            && !entries.contains_key(oldest)
        {
            self.announced.pop_front();
        }
        entries.insert(number, entry);
        drop(entries);
        self.announced
            .push_back((Instant::now() + COLLECT_TIMEOUT, number));
        Accepted {
            connection: number,
            originator,
        }
    }

    /// Closes connections as their time runs out. Never returns; cancel-safe.
    pub(crate) async fn expire(&mut self) {
        while let Some(&(deadline, number)) = self.announced.front() {
            sleep_until(deadline).await;
            self.announced.pop_front();
            self.waiting.lock().remove(&number);
        }
        std::future::pending::<()>().await;
    }
}

impl Drop for Announcer<'_> {
    fn drop(&mut self) {
        let mut entries = self.waiting.lock();
        for (_, number) in &self.announced {
            entries.remove(number);
        }
    }
}
