//! One watch: the task that owns it, and who follows it.

use std::collections::VecDeque;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rustix::fs::inotify::{self, CreateFlags};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::WatchError;
use super::change::Change;
use super::log::{Event, Kind, Log};
use super::pattern::Patterns;
use super::raw::Source;
use super::tree::{Depth, Tree};
use crate::files::{Root, texts};

/// How many events a follower takes at once.
const AT_ONCE: usize = 256;

/// A folder that a watch doesn't leave.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    /// As the gateway says it.
    pub(crate) folder: Vec<u8>,
    pub(crate) root: Arc<Root>,
}

/// What is watched.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) path: PathBuf,
    /// What whoever asks is confined to.
    pub(crate) within: Option<Within>,
    pub(crate) recursive: bool,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    /// How long it goes on while nobody follows it.
    pub(crate) keep: Duration,
}

/// One watch, as its followers and its registry see it.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) id: String,
    wanted: Wanted,
    /// As it is told.
    path: String,
    created: OffsetDateTime,
    state: Mutex<State>,
    /// Something happened.
    changed: watch::Sender<()>,
    /// Somebody came or went.
    followed: Notify,
    ended: CancellationToken,
}

#[derive(Debug)]
struct State {
    log: Log,
    followers: u32,
    /// Since when nobody follows it, by the clock that waits and by the one that people
    /// read.
    alone: Option<(Instant, OffsetDateTime)>,
    is_incomplete: bool,
}

/// A watch as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    id: String,
    path: String,
    recursive: bool,
    include: Vec<String>,
    exclude: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    sequence: u64,
    listeners: u32,
    incomplete: bool,
    keep_seconds: u64,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    expires_at: Option<OffsetDateTime>,
}

/// The part of a watch that its task owns.
pub(super) struct Owner {
    watch: Arc<Watch>,
    source: Source,
    tree: Tree,
}

/// Begins to watch.
pub(super) async fn start(
    id: String,
    wanted: Wanted,
    ended: CancellationToken,
) -> Result<(Arc<Watch>, Owner), WatchError> {
    let patterns = Patterns::new(&wanted.include, &wanted.exclude);
    let patterns = patterns.map_err(WatchError::Pattern)?;
    let path = wanted.path.clone();
    let depth = if wanted.recursive {
        Depth::All
    } else {
        Depth::One
    };
    let failed = |source| WatchError::of(&wanted.path, source);
    let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
    let kernel = kernel.map_err(|error| failed(error.into()))?;
    let source = kernel.try_clone().and_then(Source::new).map_err(failed)?;
    let within = wanted
        .within
        .as_ref()
        .map(|within| Arc::clone(&within.root));
    let opened = spawn_blocking(move || Tree::open(kernel, within, &path, depth, patterns));
    let tree = opened.await.map_err(io::Error::other).flatten();
    let tree = tree.map_err(failed)?;
    let watch = Arc::new(Watch {
        id,
        path: wanted.path.to_string_lossy().into_owned(),
        wanted,
        created: OffsetDateTime::now_utc(),
        state: Mutex::new(State {
            log: Log::default(),
            followers: 0,
            alone: Some(now()),
            is_incomplete: false,
        }),
        changed: watch::Sender::default(),
        followed: Notify::new(),
        ended,
    });
    let owner = Owner {
        watch: Arc::clone(&watch),
        source,
        tree,
    };
    Ok((watch, owner))
}

impl Owner {
    /// Looks until the watch is ended, by somebody or by time.
    pub(super) async fn run(self) {
        let Self {
            watch,
            mut source,
            mut tree,
        } = self;
        loop {
            let batch = tokio::select! {
                () = watch.ended.cancelled() => return,
                () = watch.overdue() => break,
                () = watch.followed.notified() => continue,
                batch = source.next() => batch,
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    warn!(%error, watch = watch.id, "a watch can't be read");
                    break;
                }
            };
            // It reads folders: not on a worker of the runtime.
            let taken = spawn_blocking(move || {
                let changes = tree.take(&batch);
                (tree, changes)
            });
            let Ok((taken, changes)) = taken.await else {
                warn!(watch = watch.id, "a watch broke");
                break;
            };
            tree = taken;
            watch.note(changes, tree.is_incomplete());
        }
        watch.end();
    }
}

impl Watch {
    /// Returns what it is now.
    pub(crate) fn view(&self) -> View {
        let state = self.lock();
        View {
            id: self.id.clone(),
            path: self.path.clone(),
            recursive: self.wanted.recursive,
            include: self.wanted.include.clone(),
            exclude: self.wanted.exclude.clone(),
            created: self.created,
            sequence: state.log.last(),
            listeners: state.followers,
            incomplete: state.is_incomplete,
            keep_seconds: self.wanted.keep.as_secs(),
            expires_at: state.alone.map(|(_, since)| since + self.wanted.keep),
        }
    }

    /// Whether somebody who is confined to this folder, or to none, may know of it: then
    /// they could have begun it.
    pub(crate) fn is_shown_to(&self, confined: Option<&[u8]>) -> bool {
        let within = self.wanted.within.as_ref();
        confined.is_none_or(|confined| within.is_some_and(|within| within.folder == confined))
    }

    /// Follows it from behind number `since` on.
    ///
    /// # Errors
    /// Where there was no such number.
    pub(crate) fn follow(self: &Arc<Self>, since: u64) -> Result<Follower, WatchError> {
        let mut state = self.lock();
        if since > state.log.last() {
            return Err(WatchError::NoSuchEvent(state.log.last()));
        }
        state.followers += 1;
        state.alone = None;
        drop(state);
        self.followed.notify_one();
        Ok(Follower {
            changed: self.changed.subscribe(),
            watch: Arc::clone(self),
            since,
            taken: VecDeque::new(),
        })
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    fn note(&self, changes: Vec<Change>, is_incomplete: bool) {
        let mut state = self.lock();
        state.is_incomplete = is_incomplete;
        if changes.is_empty() {
            return;
        }
        for change in changes {
            state.log.push(match change.kind {
                // All of what is watched is called as it was asked for.
                Kind::Overflow => Event::overflow(0, &self.path),
                _ => event(&change),
            });
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Waits until nobody has followed it for too long. Cancel-safe; begins anew where
    /// somebody came or went.
    async fn overdue(&self) {
        let alone = self.lock().alone;
        match alone {
            Some((since, _)) => sleep_until(since + self.wanted.keep).await,
            None => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Somebody who follows a watch. It goes on where they left off.
#[derive(Debug)]
pub(crate) struct Follower {
    watch: Arc<Watch>,
    changed: watch::Receiver<()>,
    since: u64,
    taken: VecDeque<Event>,
}

impl Follower {
    /// Has it told first that something was missed.
    pub(crate) fn missed(&mut self) {
        let missed = Event::overflow(self.since, &self.watch.path);
        self.taken.push_front(missed);
    }

    /// Returns what happens next; `None` once the watch has ended. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.taken.pop_front() {
                self.since = event.sequence;
                return Some(event);
            }
            self.changed.borrow_and_update();
            let events = {
                let state = self.watch.lock();
                state.log.after(self.since, AT_ONCE, &self.watch.path)
            };
            self.taken = events.into();
            if self.taken.is_empty() {
                tokio::select! {
                    // Its sender is in the watch.
                    _ = self.changed.changed() => {}
                    () = self.watch.ended.cancelled() => return None,
                }
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.watch.lock();
        state.followers -= 1;
        if state.followers == 0 {
            state.alone = Some(now());
        }
        drop(state);
        self.watch.followed.notify_one();
    }
}

/// Returns what happened as it is told.
fn event(change: &Change) -> Event {
    let (path, raw_path) = texts(change.path.as_os_str().as_bytes());
    let to = change
        .to
        .as_ref()
        .map(|to| texts(to.as_os_str().as_bytes()));
    let (to, raw_to) = to.unzip();
    Event {
        sequence: 0,
        kind: change.kind,
        path,
        raw_path,
        to,
        raw_to: raw_to.flatten(),
        folder: change.folder,
    }
}

fn now() -> (Instant, OffsetDateTime) {
    (Instant::now(), OffsetDateTime::now_utc())
}
