//! Connections that are kept for the next request.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use crate::names::WorkspaceId;

/// Longest time that a connection is kept idle.
const MAX_IDLE: Duration = Duration::from_secs(30);

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
    /// Takes a connection that is kept and was idle no longer than `patience`.
    /// Cancel-safe.
    pub(super) async fn take(&self, patience: Option<Duration>) -> Option<Connection> {
        let patience = patience.unwrap_or(MAX_IDLE);
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
    // What is behind is whole after every method: a panic elsewhere breaks nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
