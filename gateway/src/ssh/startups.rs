//! The connections that haven't logged in yet.
//!
//! Their number is bounded. When it is reached the oldest is cut, not the newest
//! refused: a log-in takes a second, and whoever only holds connections open can't
//! keep others out.

use std::collections::VecDeque;
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
    waiting: VecDeque<(u64, Cutter)>,
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

    /// Adds a connection; cuts the oldest where there are too many.
    pub(super) fn begin(self: &Arc<Self>, cutter: Cutter) -> Startup {
        let mut entries = self.lock();
        if entries.waiting.len() >= self.most
            && let Some((_, oldest)) = entries.waiting.pop_front()
        {
            warn!(
                most = self.most,
                "too many haven't logged in yet: the oldest is cut"
            );
            oldest.cut();
        }
        let number = entries.next;
        entries.next += 1;
        entries.waiting.push_back((number, cutter));
        Startup {
            startups: Arc::clone(self),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Startup {
    fn drop(&mut self) {
        self.startups
            .lock()
            .waiting
            .retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::socket::Socket;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn the_oldest_makes_room_and_those_that_logged_in_stay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let startups = Startups::new(2);
        let mut connections = Vec::new();
        for _ in 0..4 {
            let client = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let socket = Socket::new(listener.accept().await.unwrap().0);
            let startup = startups.begin(socket.cutter());
            connections.push((client, socket, Some(startup)));
            if let [(_, _, first)] = connections.as_mut_slice() {
                *first = None; // It has logged in.
            }
        }
        // The second was the oldest when the fourth came.
        let (client, _, _) = &mut connections[1];
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        for survivor in [0, 2, 3] {
            let (client, _, _) = &connections[survivor];
            let error = client.try_read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        }
    }
}
