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
        let _deciding = shared.snapshots.deciding.lock().await;
        // First what there is, then who needs it: what comes meanwhile is needed.
        let there = shared.driver.kept_snapshots().await?;
        let mut records = shared.store.workspaces().await?;
        records.extend(shared.store.deleted_workspaces().await?);
        let blueprints = || records.iter().map(|record| &record.workspace.blueprint);
        let mut needed = BTreeSet::new();
        for record in &records {
            needed.extend(shared.driver.needed_by(&record.workspace).await?);
        }
        let mut wanted = needed.clone();
        for snapshot in shared.store.snapshots().await? {
            let is_busy = shared.snapshots.is_busy(&snapshot.id);
            let passes = snapshot.purpose == Purpose::Passing && !is_busy;
            if passes && !needed.contains(&snapshot.id) {
                shared.store.remove_snapshot(&snapshot.id).await?;
                info!(snapshot = %snapshot.id, "no workspace needs a snapshot any more");
            } else if is_busy || !matches!(snapshot.state, SnapshotState::Failed(_)) {
                wanted.insert(snapshot.id);
            }
        }
        for id in there.iter().filter(|id| !wanted.contains(*id)) {
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
        let of_workspaces = blueprints().filter_map(|blueprint| match &blueprint.image {
            Some(Image::Built(build)) => Some(build.digest.clone()),
            Some(Image::Named(_) | Image::Snapshot(_)) | None => None,
        });
        let digests: Vec<_> = builds.iter().cloned().chain(of_workspaces).collect();
        for image in shared.driver.remove_builds(&digests).await? {
            info!(image, "removed an image that nothing needs");
        }
        Ok(())
    }
}
