//! Places for workspaces that are being made.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{Entry, Ledger, LimitReached, Workspace};
use crate::identity::User;
use crate::names::{WorkspaceId, WorkspaceName};
use crate::workspaces::blueprint::Blueprint;
use crate::workspaces::state::Intent;

/// A place in the ledger for a workspace that is being made; given back when dropped.
#[derive(Debug)]
pub(in crate::workspaces) struct Place {
    ledger: Arc<Ledger>,
    id: WorkspaceId,
}

impl Ledger {
    /// Enters a workspace that is about to be made, whose home will take up so many bytes as
    /// far as that is known.
    pub(in crate::workspaces) fn admit(
        self: &Arc<Self>,
        owner: &User,
        name: &WorkspaceName,
        (blueprint, intent): (&Blueprint, Intent),
        disk: u64,
    ) -> Result<Place, Box<LimitReached>> {
        let workspace = Workspace {
            id: WorkspaceId::random(),
            name: name.clone(),
            owner: owner.id.clone(),
            owner_name: owner.name.clone(),
            created: OffsetDateTime::now_utc(),
            expires: None,
            blueprint: Arc::new(blueprint.clone()),
        };
        let runs = intent == Intent::Run;
        let mut entries = self.entries.lock();
        let mut wanted = self.wanted(&workspace, true, runs);
        wanted.disk = wanted.disk.max(disk);
        self.check(&entries, &workspace, wanted)?;
        let id = workspace.id.clone();
        let entry = Entry {
            workspace,
            lives: true,
            runs,
            home: None,
            expected: disk,
        };
        entries.insert(id.clone(), entry);
        Ok(Place {
            ledger: Arc::clone(self),
            id,
        })
    }
}

impl Place {
    /// Makes it the place of the workspace that was made.
    pub(in crate::workspaces) fn taken_by(self, workspace: &Workspace) {
        let mut entries = self.ledger.entries.lock();
        if let Some(mut entry) = entries.remove(&self.id) {
            entry.workspace = workspace.clone();
            entries.insert(workspace.id.clone(), entry);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nothing is there any more where it was taken.
        self.ledger.gone(&self.id);
    }
}
