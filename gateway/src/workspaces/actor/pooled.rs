//! How a workspace that is nobody's becomes somebody's.

use time::OffsetDateTime;
use tracing::info;

use super::Actor;
use crate::events::{Kind, NewEvent};
use crate::identity::User;
use crate::names::WorkspaceName;
use crate::workspaces::error::CommandError;
use crate::workspaces::new::open_ports;
use crate::workspaces::state::{Intent, State};

impl Actor {
    /// Gives the workspace, which runs, to its first owner; what runs in it goes on.
    ///
    /// # Errors
    /// `Gone` where it is somebody's, or isn't ready.
    pub(super) async fn claim(
        &mut self,
        owner: User,
        name: WorkspaceName,
    ) -> Result<(), CommandError> {
        let runs = self.intent == Intent::Run && *self.state.borrow() == State::Running;
        if !runs || !self.workspace.is_pooled() {
            return Err(CommandError::Gone);
        }
        let mut claimed = self.workspace.clone();
        (claimed.name, claimed.created) = (name, OffsetDateTime::now_utc());
        (claimed.owner, claimed.owner_name) = (owner.id, owner.name);
        claimed.expires = claimed.blueprint.end_of_life(claimed.created);
        let (shared, id) = (&self.shared, &self.workspace.id);
        // A gateway that made it may have ended before it opened them.
        open_ports(shared, &self.workspace).await?;
        shared.ledger.claim(&claimed)?;
        let given = shared.store.claim_workspace(&claimed).await;
        if !matches!(given, Ok(true)) {
            shared.ledger.renamed(&self.workspace);
            given?;
            return Err(CommandError::Gone);
        }
        info!(to = %claimed.target(), "a workspace of a pool is handed out");
        // What was noted of it concerned nobody.
        shared.killed.lock().remove(id);
        if let Some(handle) = shared.handles.lock().get_mut(id) {
            handle.failed_run = None;
        }
        self.tell_agent().await;
        self.owned.pass_on(claimed.owner.clone());
        self.workspace = claimed;
        for kind in [Kind::WorkspaceCreated, Kind::WorkspaceState] {
            let mut about = NewEvent::of_workspace(kind, &self.workspace);
            if kind == Kind::WorkspaceState {
                about.says("state", State::Running.as_str());
            }
            self.shared.events.record(about);
        }
        self.shared.ledger.look_at_pools();
        Ok(())
    }
}
