//! Connections that are kept for the next request.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use crate::names::WorkspaceId;

/// Longest time that a connection is kept idle.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// How long our own agent keeps an idle connection at least. What else serves may close
/// one at any moment, and a request that crosses the end is lost.
const SURE: Duration = Duration::from_secs(1);

/// How often idle connections are looked after.
const TIDY: Duration = Duration::from_secs(5);

/// Most idle connections of one upstream; further ones are closed.
const MAX_EACH: usize = 64;

/// Most idle connections altogether, which hold a file each; further ones are closed.
const MAX_ALL: usize = 1024;

/// What serves inside a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An application that listens on a port.
    Port(u16),
    /// The editor.
    Editor,
    /// The agent's own HTTP server.
    Agent,
}

/// All upstreams that are in use. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pools(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    upstreams: Mutex<HashMap<(WorkspaceId, Target), Arc<Upstream>>>,
    idle: Arc<AtomicUsize>,
}

/// One target in one workspace, with its idle connections: the last used one is used
/// first, so that a quiet time closes the others.
#[derive(Debug, Default)]
pub struct Upstream {
    idle: Mutex<Vec<Idle>>,
    /// How long a connection may have been idle for a request that can't be sent twice;
    /// zero where it takes a new one.
    sure: Duration,
    /// Idle connections of all upstreams.
    all: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pools {
    /// Returns a target's connections.
    pub fn upstream(&self, workspace: &WorkspaceId, target: &Target) -> Arc<Upstream> {
        let mut upstreams = lock(&self.0.upstreams);
        let upstream = upstreams
            .entry((workspace.clone(), target.clone()))
            .or_insert_with(|| {
                Arc::new(Upstream {
                    idle: Mutex::default(),
                    sure: match target {
                        Target::Agent => SURE,
                        Target::Port(_) | Target::Editor => Duration::ZERO,
                    },
                    all: Arc::clone(&self.0.idle),
                })
            });
        Arc::clone(upstream)
    }

    /// Returns how many connections are idle.
    pub fn idle(&self) -> usize {
        self.0.idle.load(Ordering::Relaxed)
    }

    /// Closes connections that were idle too long, or that the other side closed,
    /// until `stop`; then all.
    pub(super) async fn tidy_until(&self, stop: &CancellationToken) {
        let mut ticks = interval(TIDY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.tidy(),
            }
        }
        lock(&self.0.upstreams).clear();
    }

    fn tidy(&self) {
        lock(&self.0.upstreams).retain(|_, upstream| {
            upstream.tidy();
            // Whoever holds it goes on with it alone, and gets the next one later.
            Arc::strong_count(upstream) > 1 || !lock(&upstream.idle).is_empty()
        });
    }
}

impl Upstream {
    /// Takes a connection that is kept. Cancel-safe.
    pub(super) async fn take(&self) -> Option<Connection> {
        self.take_within(MAX_IDLE).await
    }

    /// Takes a connection that is kept, for a request that can't be sent twice. `None`
    /// where the other side might be closing it; a new one takes the place of an idle one
    /// then, so that they don't become more. Cancel-safe.
    pub(super) async fn take_sure(&self) -> Option<Connection> {
        if self.sure.is_zero() {
            self.drop_oldest();
            return None;
        }
        self.take_within(self.sure).await
    }

    async fn take_within(&self, patience: Duration) -> Option<Connection> {
        poll_fn(|cx| {
            loop {
                let Some(mut idle) = lock(&self.idle).pop() else {
                    return Poll::Ready(None);
                };
                self.all.fetch_sub(1, Ordering::Relaxed);
                if idle.since.elapsed() > patience {
                    // The others were idle for longer.
                    return Poll::Ready(None);
                }
                if idle.connection.poll_usable(cx) {
                    return Poll::Ready(Some(idle.connection));
                }
            }
        })
        .await
    }

    fn drop_oldest(&self) {
        let mut idle = lock(&self.idle);
        if !idle.is_empty() {
            idle.remove(0);
            self.all.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Keeps a connection for the next request, where there is room for it.
    pub(super) fn put(&self, connection: Connection) {
        if connection.has_ended() || self.all.load(Ordering::Relaxed) >= MAX_ALL {
            return;
        }
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_EACH {
            self.all.fetch_add(1, Ordering::Relaxed);
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Closes all that are idle: what is at their other end is about to go.
    pub fn forget(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        self.all.fetch_sub(idle.len(), Ordering::Relaxed);
    }

    fn tidy(&self) {
        let mut idle = lock(&self.idle);
        let before = idle.len();
        let mut cx = Context::from_waker(Waker::noop());
        idle.retain_mut(|idle| {
            idle.since.elapsed() < MAX_IDLE && idle.connection.poll_usable(&mut cx)
        });
        self.all.fetch_sub(before - idle.len(), Ordering::Relaxed);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.all
            .fetch_sub(lock(&self.idle).len(), Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use devgate_protocol::Stream;
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn what_cant_be_sent_twice_takes_a_connection_of_our_own_agent_alone() {
        let pools = Pools::default();
        let workspace = WorkspaceId::random();
        let mut others = Vec::new();
        for (target, kept) in [
            (Target::Port(3000), false),
            (Target::Editor, false),
            (Target::Agent, true),
        ] {
            let upstream = pools.upstream(&workspace, &target);
            for _ in 0..2 {
                let (ours, theirs) = UnixStream::pair().unwrap();
                others.push(theirs);
                let connection = Connection::open(Stream::from(ours)).await.unwrap();
                upstream.put(connection);
            }
            assert_eq!(pools.idle(), 2);
            assert_eq!(upstream.take_sure().await.is_some(), kept, "{target:?}");
            // A new one may be kept without there being more.
            assert_eq!(pools.idle(), 1);
            assert!(upstream.take().await.is_some());
            assert_eq!(pools.idle(), 0);
        }
    }
}
