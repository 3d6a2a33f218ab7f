//! How a workspace comes to be.

use super::blueprint::Blueprint;
use super::error::CommandError;
use super::state::{Intent, Record, Workspace};
use super::{Shared, Workspaces};
use crate::events::{Kind, NewEvent};
use crate::identity::User;
use crate::names::WorkspaceName;
use crate::store::{OpenPort, StoreError, Visibility};
use crate::whole::to_the_end;

impl Workspaces {
    /// Does what leads to a workspace to its end, even if nobody waits for it.
    pub fn to_the_end<T, W>(&self, work: W) -> impl Future<Output = T> + use<T, W>
    where
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        to_the_end(&mut self.inner.actors.lock(), work)
    }

    /// Makes a workspace of what `blueprint` says. With [`Intent::Run`] it starts at once,
    /// or is one that a pool has ready.
    ///
    /// # Errors
    /// `Store(WorkspaceExists)` where the owner has one of that name; `Limit` where there
    /// would be more than there may be.
    pub async fn create(
        &self,
        owner: &User,
        name: &WorkspaceName,
        blueprint: Blueprint,
        intent: Intent,
    ) -> Result<Record, CommandError> {
        if self.inner.shared.stop.is_cancelled() {
            return Err(CommandError::ShuttingDown);
        }
        let (workspaces, owner, name) = (self.clone(), owner.clone(), name.clone());
        let begun = to_the_end(&mut self.inner.actors.lock(), async move {
            if intent == Intent::Run
                && let Some(record) = workspaces.claim(&owner, &name, &blueprint).await?
            {
                return Ok(record);
            }
            workspaces.make_new(&owner, &name, blueprint, intent).await
        });
        begun.await
    }

    /// Makes one that nothing is ready of.
    pub(super) async fn make_new(
        &self,
        owner: &User,
        name: &WorkspaceName,
        blueprint: Blueprint,
        intent: Intent,
    ) -> Result<Record, CommandError> {
        let shared = &self.inner.shared;
        let place = shared.ledger.admit(owner, name, (&blueprint, intent), 0)?;
        let store = &shared.store;
        let record = store.add_workspace(owner, name, blueprint, intent).await?;
        place.taken_by(&record.workspace);
        self.begin(&record, None).await?;
        Ok(record)
    }

    /// Opens the ports of a new workspace, tells of it, and gives it its task.
    pub(super) async fn begin(
        &self,
        record: &Record,
        of: Option<&WorkspaceName>,
    ) -> Result<(), StoreError> {
        let opened = open_ports(&self.inner.shared, &record.workspace).await;
        let mut about = NewEvent::of_workspace(Kind::WorkspaceCreated, &record.workspace);
        if let Some(of) = of {
            about.says("clone-of", of.as_str());
        }
        self.inner.shared.events.record(about);
        // It is there, whatever became of its ports.
        self.adopt(record.clone(), None);
        opened
    }
}

/// Opens the ports that a new workspace's blueprint opens.
pub(super) async fn open_ports(shared: &Shared, workspace: &Workspace) -> Result<(), StoreError> {
    for rule in &workspace.blueprint.ports {
        let open = OpenPort {
            port: rule.port,
            visibility: rule.visibility,
            expires: None,
        };
        if rule.visibility != Visibility::Private {
            shared.store.set_port(&workspace.id, &open).await?;
        }
    }
    Ok(())
}
