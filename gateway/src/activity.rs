//! What people do in a workspace, counted as it passes through the gateway.
//!
//! Counting costs one relaxed addition where data is handed on, and at most a look at
//! the clock. Whoever decides on sleep looks at the counters now and then ([`sleep`]).
//!
//! What is typed into a session counts at once. Of what else flows towards a workspace
//! (forwarded ports, the editor's and applications' `WebSockets`) most is keep-alives: it
//! counts where a connection sends more than those do. A request counts unless it is one
//! that came a moment ago already, as a page that polls sends them.
//!
//! [`sleep`]: crate::sleep

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::workspaces::State;

/// What one connection may send within [`BUDGET_WINDOW`] without anybody sitting there,
/// in bytes.
///
/// Measured: VS Code's page (code-server 4.100), which nobody touches, sends 14 to 20 frames
/// every 10 s over two `WebSockets`, 200 to 300 bytes on the one that sends more: less than
/// 1 KiB in 30 s. They are compressed; without that it would be nine times as much, and
/// count as somebody.
const BUDGET: u64 = 2048;

/// See [`BUDGET`].
const BUDGET_WINDOW: Duration = Duration::from_secs(30);

/// How soon something comes again that tries, or looks, by itself: pauses between attempts
/// grow to half a minute (VS Code's page) or a few.
const AGAIN: Duration = Duration::from_mins(5);

/// Most errands that are remembered; those that are too old are forgotten then, or all.
const MAX_ERRANDS: usize = 1024;

/// What somebody came for, to tell whether it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errand(u64);

/// What people do in one workspace.
#[derive(Debug)]
pub struct Activity {
    typed: AtomicU64,
    traffic: AtomicU64,
    waking: AtomicBool,
    /// When something was there that would come again by itself.
    errands: Mutex<HashMap<Errand, Instant>>,
    /// What people on terminals are to be told.
    notice: watch::Sender<Option<Arc<str>>>,
}

/// Somebody's connection into a workspace, for as long as it lasts.
#[derive(Debug)]
pub struct Visit {
    activity: Arc<Activity>,
    state: watch::Receiver<State>,
    errand: Option<Errand>,
    budget: Budget,
}

/// What people on terminals are told.
#[derive(Debug)]
pub struct Notices(watch::Receiver<Option<Arc<str>>>);

/// What a connection has sent lately.
#[derive(Debug)]
struct Budget {
    since: Instant,
    bytes: u64,
}

impl Errand {
    /// Returns what stands for an errand: the same for the same.
    pub fn of(what: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            typed: AtomicU64::new(0),
            traffic: AtomicU64::new(0),
            waking: AtomicBool::new(false),
            errands: Mutex::default(),
            notice: watch::Sender::new(None),
        }
    }
}

impl Activity {
    /// Counts a request, unless it came a moment ago already. Returns whether it did.
    pub fn asked(&self, errand: Errand) -> bool {
        let again = self.comes_again(errand);
        if !again {
            self.used();
        }
        again
    }

    /// Counts what somebody does other than typing.
    pub fn used(&self) {
        self.traffic.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells people on terminals something.
    pub(crate) fn tell(&self, notice: &str) {
        self.notice.send_replace(Some(notice.into()));
    }

    /// Returns what counts typing, and what counts everything else; each grows.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.typed), count(&self.traffic))
    }

    /// Tells whether somebody comes again for what they had, and takes note that they
    /// came.
    pub(crate) fn comes_again(&self, errand: Errand) -> bool {
        let now = Instant::now();
        let mut errands = self.errands.lock();
        if errands.len() >= MAX_ERRANDS {
            errands.retain(|_, at| now.duration_since(*at) < AGAIN);
        }
        if errands.len() >= MAX_ERRANDS {
            errands.clear();
        }
        let before = errands.insert(errand, now);
        before.is_some_and(|at| now.duration_since(at) < AGAIN)
    }

    /// Tells whether somebody comes again for what they had; takes note only then, so
    /// that a loop stays one.
    pub(crate) fn retries(&self, errand: Errand) -> bool {
        let mut errands = self.errands.lock();
        let Some(at) = errands.get_mut(&errand) else {
            return false;
        };
        let retries = at.elapsed() < AGAIN;
        if retries {
            *at = Instant::now();
        }
        retries
    }

    /// Whether the workspace is on its way from sleep.
    pub(crate) fn is_waking(&self) -> bool {
        self.waking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_waking(&self, waking: bool) {
        self.waking.store(waking, Ordering::Relaxed);
    }
}

impl Visit {
    /// Begins a visit.
    pub(crate) fn new(
        activity: Arc<Activity>,
        state: watch::Receiver<State>,
        errand: Option<Errand>,
    ) -> Self {
        Self {
            activity,
            state,
            errand,
            budget: Budget {
                since: Instant::now(),
                bytes: 0,
            },
        }
    }

    /// Counts what somebody does other than typing.
    pub fn used(&self) {
        self.activity.used();
    }

    /// Counts what somebody typed.
    pub fn typed(&self) {
        self.activity.typed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes that may be keep-alives.
    pub fn sent(&mut self, bytes: usize) {
        if self.budget.is_exceeded_by(bytes, Instant::now()) {
            self.activity.used();
        }
    }

    /// Returns what people on terminals are told from now on.
    pub fn notices(&self) -> Notices {
        Notices(self.activity.notice.subscribe())
    }
}

impl Notices {
    /// Waits for something that people on terminals are to be told. Cancel-safe.
    pub async fn next(&mut self) -> Arc<str> {
        loop {
            if self.0.changed().await.is_err() {
                // The workspace is gone.
                return std::future::pending().await;
            }
            if let Some(notice) = self.0.borrow_and_update().clone() {
                return notice;
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Cut off with the workspace: it may be back in a moment.
        if let Some(errand) = self.errand
            && *self.state.borrow() != State::Running
        {
            let _ = self.activity.comes_again(errand);
        }
    }
}

impl Budget {
    fn is_exceeded_by(&mut self, bytes: usize, now: Instant) -> bool {
        if now.duration_since(self.since) >= BUDGET_WINDOW {
            self.since = now;
            self.bytes = 0;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes > BUDGET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(activity: &Arc<Activity>, errand: Option<Errand>) -> (Visit, watch::Sender<State>) {
        let (state, seen) = watch::channel(State::Running);
        (Visit::new(Arc::clone(activity), seen, errand), state)
    }

    #[test]
    fn keep_alives_are_nobody_and_more_than_those_is_somebody() {
        let mut budget = Budget {
            since: Instant::now(),
            bytes: 0,
        };
        let start = budget.since;
        for second in (0..3600).step_by(5) {
            let now = start + Duration::from_secs(second);
            assert!(!budget.is_exceeded_by(150, now), "{second}");
        }
        let now = start + Duration::from_hours(1);
        assert!(!budget.is_exceeded_by(1000, now));
        assert!(budget.is_exceeded_by(1100, now));
    }

    #[test]
    fn a_request_that_comes_again_and_again_counts_once() {
        let activity = Activity::default();
        let (poll, other) = (Errand::of(&"/poll"), Errand::of(&"/other"));
        assert!(!activity.asked(poll));
        assert!(activity.asked(poll));
        assert!(activity.asked(poll));
        assert_eq!(activity.counts(), (0, 1));
        assert!(!activity.asked(other));
        assert_eq!(activity.counts(), (0, 2));
    }

    #[test]
    fn only_what_was_cut_off_comes_again() {
        let activity = Arc::new(Activity::default());
        let (cut, ended) = (Errand::of(&"cut"), Errand::of(&"ended"));
        let (first, state) = visit(&activity, Some(ended));
        drop(first);
        drop(state);
        let (second, state) = visit(&activity, Some(cut));
        state.send_replace(State::Stopping);
        drop(second);
        assert!(activity.retries(cut) && activity.retries(cut));
        assert!(!activity.retries(ended));
    }

    #[test]
    fn errands_are_bounded() {
        let activity = Activity::default();
        for number in 0..3 * MAX_ERRANDS {
            assert!(!activity.asked(Errand::of(&number)));
        }
        assert!(activity.errands.lock().len() <= MAX_ERRANDS);
    }
}
