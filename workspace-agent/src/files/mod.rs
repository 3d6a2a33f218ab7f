//! Files: what the data API does with them.
//!
//! Everything blocks and is called on threads for that. Paths are resolved in [`place`]
//! alone: what a caller may reach is a [`Root`], and nothing here opens a path by its
//! text. No whole file is ever in memory.

mod change;
mod copy;
mod entry;
mod error;
mod folder;
mod fresh;
mod outgoing;
mod place;
pub(crate) mod read;
mod resolve;
pub(crate) mod search;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
mod uploads;
mod walk;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use change::{Depth, Made, delete, link, make_folder, move_to, set_mode};
pub(crate) use copy::copy;
pub(crate) use entry::{Entry, Kind, Names, etag, size, stat, texts};
pub(crate) use error::{At, FileError, shown};
pub(crate) use folder::{Page, list};
pub(crate) use fresh::Replace;
#[cfg(test)]
pub(crate) use outgoing::Outgoing;
pub(crate) use outgoing::outgoing;
pub(crate) use place::{Root, path_of};
pub(crate) use uploads::{Ask, Upload, Uploads};
pub(crate) use write::{Appending, Condition, Digest, Order, Replaced, Writing};

/// Most trees and searches at one time: each has a thread for as long as its client
/// takes.
const MAX_LONG: usize = 16;

/// Most copies, deletions and the like at one time: each has a thread for as long as the
/// disk takes. Together with the long ones they have half of the runtime's threads, and
/// the rest is for what is short.
const MAX_HEAVY: usize = 16;

/// How often unfinished uploads are looked through.
const TIDY: Duration = Duration::from_hours(1);

/// What all that do something with files share.
#[derive(Debug)]
pub(crate) struct Files {
    names: Names,
    uploads: Uploads,
    long: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
}

impl Files {
    /// Returns what the workspace with this home has.
    pub(crate) fn new(home: &Path) -> Self {
        Self {
            names: Names::new(),
            uploads: Uploads::new(home),
            long: Arc::new(Semaphore::new(MAX_LONG)),
            heavy: Arc::new(Semaphore::new(MAX_HEAVY)),
        }
    }

    /// Gives up uploads that nobody goes on with, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(TIDY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let files = Arc::clone(&self);
            let expiring = spawn_blocking(move || files.uploads.expire());
            // A filesystem that doesn't answer keeps nobody from ending.
            let expired = stop.run_until_cancelled(expiring).await;
            if let Some(Ok(Err(error))) = expired {
                warn!(%error, "unfinished uploads can't be looked through");
            }
        }
    }

    /// Returns the names of users and groups.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Returns the files that come in pieces.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Takes a place for something that has a thread at its client's pace.
    pub(crate) fn long(&self) -> Result<OwnedSemaphorePermit, FileError> {
        let long = Arc::clone(&self.long);
        long.try_acquire_owned().map_err(|_| FileError::Busy)
    }

    /// Waits for a place for something that may have a thread for long, at the disk's
    /// pace.
    pub(crate) async fn heavy(&self) -> Result<OwnedSemaphorePermit, FileError> {
        let heavy = Arc::clone(&self.heavy);
        heavy.acquire_owned().await.map_err(|_| FileError::Busy)
    }
}
