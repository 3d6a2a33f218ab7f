//! The TCP ports that the workspace's programs listen on.
//!
//! They are looked up when somebody asks, and again and again while somebody follows
//! them. Several workspaces and the host itself may share one network, so a listener
//! counts only where one of the workspace's own processes holds it; the agent's own,
//! forwarded ports among them, don't.

mod scan;

use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::mark::Mark;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

pub(crate) use scan::Port;
use scan::Scanner;

/// How often is looked while somebody follows.
const INTERVAL: Duration = Duration::from_millis(750);

/// A workspace's listening ports.
#[derive(Debug)]
pub(crate) struct Ports {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    scanner: Mutex<Scanner>,
    list: watch::Sender<Arc<[Port]>>,
    /// Whether a task looks again and again.
    polling: Mutex<Polling>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polling {
    Yes,
    No,
}

impl Ports {
    /// Looks at nothing yet.
    pub(crate) fn new(mark: Mark, tasks: TaskTracker, stop: CancellationToken) -> Self {
        let shared = Shared {
            scanner: Mutex::new(Scanner::new(mark)),
            list: watch::Sender::new(Arc::default()),
            polling: Mutex::new(Polling::No),
        };
        Self {
            shared: Arc::new(shared),
            tasks,
            stop,
        }
    }

    /// Returns the ports as they are now.
    pub(crate) async fn list(&self) -> Arc<[Port]> {
        self.shared.scan().await
    }

    /// Returns the ports as they are now, and every list that differs from then on.
    pub(crate) async fn follow(&self) -> watch::Receiver<Arc<[Port]>> {
        let mut receiver = self.shared.list.subscribe();
        self.shared.scan().await;
        receiver.mark_changed();
        let mut polling = self.shared.polling();
        if *polling == Polling::No {
            *polling = Polling::Yes;
            let shared = Arc::clone(&self.shared);
            let stop = self.stop.clone();
            self.tasks
                .spawn(async move { stop.run_until_cancelled(shared.poll()).await });
        }
        drop(polling);
        receiver
    }
}

impl Shared {
    async fn poll(self: Arc<Self>) {
        loop {
            sleep(INTERVAL).await;
            {
                let mut polling = self.polling();
                if self.list.receiver_count() == 0 {
                    *polling = Polling::No;
                    return;
                }
            }
            self.scan().await;
        }
    }

    fn polling(&self) -> parking_lot::MutexGuard<'_, Polling> {
        self.polling.lock()
    }

    async fn scan(self: &Arc<Self>) -> Arc<[Port]> {
        let shared = Arc::clone(self);
        // A long table of sockets, or many processes, take a while.
        let scanned = spawn_blocking(move || {
            let mut scanner = shared.scanner.lock();
            let list: Arc<[Port]> = scanner.scan()?.into();
            // Under the lock, so that an older list doesn't replace a newer one.
            shared.list.send_if_modified(|before| {
                let differs = *before != list;
                if differs {
                    *before = Arc::clone(&list);
                }
                differs
            });
            Ok::<_, procfs::ProcError>(list)
        });
        match scanned.await {
            Ok(Ok(list)) => list,
            Ok(Err(error)) => {
                warn!(%error, "the listening ports can't be read");
                self.list.borrow().clone()
            }
            Err(_) => self.list.borrow().clone(),
        }
    }
}
