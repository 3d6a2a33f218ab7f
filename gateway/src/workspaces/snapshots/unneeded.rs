//! Removes snapshots and images that nothing needs any more.
//!
//! A snapshot is needed while its record says that somebody wants it, and while a workspace
//! is made of it; an image that was built, while a workspace or a template is made of it.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::super::Workspaces;
use super::super::blueprint::Image;
use super::super::error::SnapshotError;
use super::super::snapshot::{Purpose, SnapshotState};
use crate::chain::chain;
use crate::names::SnapshotId;

impl Workspaces {
    /// Waits until there may be something that nothing needs. Cancel-safe.
    pub async fn may_have_unneeded(&self) {
        self.inner.shared.snapshots.unneeded.notified().await;
    }

    /// Removes snapshots that nothing needs, and images that were built; `builds` are the
    /// digests of those that templates need, `None` where that can't be told.
    ///
    /// # Errors
    /// Where the driver or the records can't be asked. What can't be removed is told in
    /// the log, and looked for the next time.
    pub async fn remove_unneeded(&self, builds: Option<&[String]>) -> Result<(), SnapshotError> {
        let shared = &self.inner.shared;
        // First what there is, then who needs it: what comes meanwhile is needed. The driver
        // may take its time, for which nobody's commands are to wait.
        let there = shared.driver.kept_snapshots().await?;
        let needed = self.decide_needed().await?;
        // None of these has a record by which anything could come to need it.
        for id in there.iter().filter(|id| !needed.snapshots.contains(*id)) {
            match shared.driver.remove_snapshot(id).await {
                Ok(()) => info!(snapshot = %id, "removed a snapshot that nothing needs"),
                Err(error) => {
                    let error = chain(&error);
                    warn!(snapshot = %id, error, "can't remove a snapshot that nothing needs");
                }
            }
        }
        let Some(builds) = builds else {
            return Ok(());
        };
        let digests: Vec<_> = builds.iter().cloned().chain(needed.builds).collect();
        for image in shared.driver.remove_builds(&digests).await? {
            info!(image, "removed an image that nothing needs");
        }
        Ok(())
    }

    /// Tells what is needed from now on, and removes the records of snapshots that nobody
    /// asked for and nothing needs.
    async fn decide_needed(&self) -> Result<Needed, SnapshotError> {
        let shared = &self.inner.shared;
        let _deciding = shared.snapshots.deciding.lock().await;
        let mut records = shared.store.workspaces().await?;
        records.extend(shared.store.deleted_workspaces().await?);
        let mut of_workspaces = BTreeSet::new();
        for record in &records {
            of_workspaces.extend(shared.driver.needed_by(&record.workspace).await?);
        }
        let mut snapshots = of_workspaces.clone();
        for snapshot in shared.store.snapshots().await? {
            let is_busy = shared.snapshots.is_busy(&snapshot.id);
            let passes = snapshot.purpose == Purpose::Passing && !is_busy;
            if passes && !of_workspaces.contains(&snapshot.id) {
                shared.store.remove_snapshot(&snapshot.id).await?;
                info!(snapshot = %snapshot.id, "no workspace needs a snapshot any more");
            } else if is_busy || !matches!(snapshot.state, SnapshotState::Failed(_)) {
                snapshots.insert(snapshot.id);
            }
        }
        let blueprints = records.iter();
        let blueprints = blueprints.flat_map(|record| record.workspace.blueprint.with_before());
        let images = blueprints.filter_map(|blueprint| blueprint.image.as_ref());
        let builds = images.filter_map(|image| match image {
            Image::Built(build) => Some(build.digest.clone()),
            Image::Named(_) | Image::Snapshot(_) => None,
        });
        Ok(Needed {
            snapshots,
            builds: builds.collect(),
        })
    }
}

/// What workspaces and people need.
struct Needed {
    snapshots: BTreeSet<SnapshotId>,
    /// The digests of images that were built.
    builds: Vec<String>,
}
