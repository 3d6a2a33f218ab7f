//! What happens to the workspace's files, told as numbered events that can be had again.
//!
//! A watch lives in the agent, so that whoever follows it may lose the connection, the
//! gateway included, and go on where they were. Each is owned by one task ([`watch`]).
//!
//! It is built on inotify itself and not on the crate `notify`. That crate hands on the
//! event of a folder that was made before it watches the folder, and doesn't say when it
//! does: whoever reads the folder then misses what comes between, and whoever doesn't what
//! came before. What is left out isn't watched here either (a `node_modules` costs nothing),
//! which it can't do below a recursive watch.

mod change;
mod log;
mod pattern;
mod raw;
mod tree;
mod watch;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

pub(crate) use log::Event;
pub(crate) use watch::{Follower, View, Wanted, Watch, Within};

use crate::places::Places;

/// Most watches at once. Each takes one of the user's instances of inotify, of which the
/// kernel gives 128 unless it is told otherwise.
const MAX_WATCHES: usize = 64;

/// Why something can't be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// There are too many.
    #[error("there are {MAX_WATCHES} watches already: delete one of them first")]
    TooMany,
    /// A pattern can't be read.
    #[error("{0}")]
    Pattern(String),
    /// There is nothing there.
    #[error("there is no {}: create it first, or watch the folder that it is to be in", .0.display())]
    Missing(PathBuf),
    /// The system has no room for it.
    #[error(
        "the system watches no more ({0}): leave folders out with `exclude`, or have an \
         administrator raise fs.inotify.max_user_watches and fs.inotify.max_user_instances"
    )]
    NoRoom(#[source] io::Error),
    /// It can't be looked at.
    #[error("{} can't be watched: {source}", path.display())]
    System {
        /// What.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is none of that id.
    #[error(
        "there is no such watch: it was deleted, nobody followed it for too long, or the \
         workspace was restarted; make another one, and look at everything again"
    )]
    NoWatch,
    /// It hasn't come so far.
    #[error("the last event has the number {0}: follow from there")]
    NoSuchEvent(u64),
}

impl WatchError {
    fn of(path: &Path, source: io::Error) -> Self {
        use nix::libc::{EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, ENOTDIR};
        match source.raw_os_error() {
            Some(ENOENT | ENOTDIR) => Self::Missing(path.to_owned()),
            Some(EMFILE | ENFILE | ENOMEM | ENOSPC) => Self::NoRoom(source),
            _ => Self::System {
                path: path.to_owned(),
                source,
            },
        }
    }
}

/// All watches of a workspace.
#[derive(Debug)]
pub(crate) struct Watches {
    places: Places<Watch>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Watches {
    /// Makes an empty set, whose watches end with `stop`.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            // They sort by age; the rest tells one from those of an agent before.
            places: Places::new(|number| format!("{number:08x}{:08x}", rand::random::<u32>())),
            tasks,
            stop,
        }
    }

    /// Begins to watch. What happens once this has returned is told.
    pub(crate) async fn start(&self, wanted: Wanted) -> Result<Arc<Watch>, WatchError> {
        let place = self.places.take(MAX_WATCHES);
        let place = place.ok_or(WatchError::TooMany)?;
        let id = place.id().to_owned();
        let (watch, owner) = watch::start(id, wanted, self.stop.child_token()).await?;
        place.fill(Arc::clone(&watch));
        debug!(watch = watch.id, "watch begun");
        self.tasks.spawn(async move {
            owner.run().await;
            debug!(watch = place.id(), "watch ended");
            drop(place);
        });
        Ok(watch)
    }

    /// Returns all that somebody may know of who may be confined to a folder, the oldest
    /// first.
    pub(crate) fn all(&self, confined: Option<&[u8]>) -> Vec<Arc<Watch>> {
        let mut all = self.places.all();
        all.retain(|watch| watch.is_shown_to(confined));
        all
    }

    /// Returns the one of that id, where they may know of it.
    pub(crate) fn find(&self, id: &str, confined: Option<&[u8]>) -> Result<Arc<Watch>, WatchError> {
        let found = self.places.find(id);
        let shown = found.filter(|watch| watch.is_shown_to(confined));
        shown.ok_or(WatchError::NoWatch)
    }

    /// Ends the one of that id, where they may know of it.
    pub(crate) fn end(&self, id: &str, confined: Option<&[u8]>) -> Result<(), WatchError> {
        let found = self.find(id, confined)?;
        self.places.remove(id);
        found.end();
        Ok(())
    }
}
