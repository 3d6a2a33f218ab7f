//! What a workspace was made of before it was restored from a snapshot.
//!
//! It is kept until the home that the snapshot has is in its place. Where the snapshot is
//! gone by then, the workspace is made of it again: a home is never out of reach.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::Actor;
use crate::chain::chain;
use crate::drivers::DriverError;
use crate::workspaces::blueprint::Blueprint;
use crate::workspaces::failure::FailureReason;
use crate::workspaces::state::Workspace;

impl Actor {
    /// Forgets what the workspace was made of before, once that isn't needed any more.
    pub(super) async fn forget_before(&mut self) {
        let now = Arc::clone(&self.workspace.blueprint);
        if now.before().is_some() && self.has_home_of(&now).await {
            self.make_of(now.without_before()).await;
        }
    }

    /// Says why a start failed. Where that is for want of a snapshot, the workspace is made
    /// again of what it was made of when it had its home, if there is such.
    pub(super) async fn start_failed(&mut self, error: &DriverError) -> FailureReason {
        if let DriverError::SnapshotMissing { detail, .. } = error
            && self.go_back().await
        {
            info!("a workspace that can't be restored is what it was before");
            return FailureReason::RestoreFailed {
                detail: detail.clone(),
            };
        }
        FailureReason::of_start(error)
    }

    /// Tells whether there was something to go back to.
    async fn go_back(&mut self) -> bool {
        let now = Arc::clone(&self.workspace.blueprint);
        for before in now.all_before() {
            if self.has_home_of(before).await {
                return self.make_of(before.without_before()).await;
            }
        }
        false
    }

    async fn has_home_of(&self, blueprint: &Blueprint) -> bool {
        let workspace = Workspace {
            blueprint: Arc::new(blueprint.clone()),
            ..self.workspace.clone()
        };
        let found = self.shared.driver.home_is_in_place(&workspace).await;
        found.unwrap_or_else(|failure| {
            // Nothing is forgotten by that, and the next start asks again.
            let failure = chain(&failure);
            warn!(failure, "can't tell which home a workspace has");
            false
        })
    }

    /// Records what the workspace is made of from now on. Tells whether that was done.
    async fn make_of(&mut self, blueprint: Blueprint) -> bool {
        let made = self.workspace.made_of(blueprint);
        if let Err(failure) = self.shared.store.set_blueprint(&made).await {
            let failure = chain(&failure);
            error!(failure, "what a workspace is made of is not recorded");
            return false;
        }
        self.workspace = made;
        self.shared.ledger.renamed(&self.workspace);
        true
    }
}
