//! Snapshots of workspaces, and workspaces made from them.
//!
//! A snapshot's record comes first and its end is recorded last: one that is recorded as
//! being made is made anew by the next gateway, and what no record needs is removed. A
//! workspace that is made from one waits for it.

mod making;
mod unneeded;

use std::sync::Arc;

use tokio::sync::watch;
use tracing::Instrument as _;
use tracing::info_span;

use super::error::{CommandError, SnapshotError};
use super::failure::FailureReason;
use super::measure::count_snapshots;
use super::snapshot::{NewSnapshot, Purpose, Snapshot, SnapshotState, Transfer, TransferState};
use super::state::{Intent, Record, Workspace};
use super::{Order, Verb, Workspaces};
use crate::config::rules::is_image;
use crate::drivers::{Credentials, DriverError};
use crate::events::{Kind, NewEvent};
use crate::identity::User;
use crate::names::{SnapshotId, SnapshotName, UserId, UserName, WorkspaceId, WorkspaceName};
use crate::store::StoreError;
use crate::whole::to_the_end;

use making::Work;
pub(super) use making::{Going, wait_for};

/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 500;

/// Most workspaces that are made at one time.
pub const MAX_CLONES: u32 = 50;

impl Workspaces {
    /// Takes a snapshot of a workspace. Returns once that is recorded;
    /// [`Self::snapshot_settled`] waits for its end.
    ///
    /// # Errors
    /// `Store(SnapshotExists)` where the owner has one of that name; `Limit` where they have
    /// too much on disk.
    pub async fn snapshot(
        &self,
        workspace: &Workspace,
        name: SnapshotName,
        description: String,
    ) -> Result<Snapshot, SnapshotError> {
        self.goes_on()?;
        check_description(&description)?;
        let allowed = self.inner.shared.ledger.may_keep(workspace);
        allowed.map_err(CommandError::from)?;
        let new = NewSnapshot {
            owner: workspace.owner.clone(),
            owner_name: workspace.owner_name.clone(),
            name,
            description,
            purpose: Purpose::Kept,
            workspace: Some(workspace.clone()),
            from: None,
        };
        let workspaces = self.clone();
        let begun = to_the_end(&mut self.inner.actors.lock(), async move {
            let snapshot = workspaces.inner.shared.store.add_snapshot(new).await?;
            workspaces.make(snapshot.clone(), Work::Take);
            Ok(snapshot)
        });
        begun.await
    }

    /// Makes workspaces from a snapshot of one that is taken for them: `PREFIX-1` and so on.
    /// Returns once they are recorded.
    ///
    /// # Errors
    /// `Store(WorkspaceExists)` where one of the names is taken; nothing is made then.
    pub async fn clone_workspace(
        &self,
        workspace: &Workspace,
        prefix: &WorkspaceName,
        count: u32,
    ) -> Result<Vec<Record>, SnapshotError> {
        self.goes_on()?;
        if count == 0 || count > MAX_CLONES {
            return Err(SnapshotError::Count);
        }
        let names: Result<Vec<WorkspaceName>, _> = (1..=count)
            .map(|number| format!("{prefix}-{number}").parse())
            .collect();
        let names = names?;
        let shared = &self.inner.shared;
        let owner = shared.store.user_named(&workspace.owner_name).await?;
        let owner = owner.ok_or_else(|| StoreError::NoSuchUser(workspace.owner_name.clone()))?;
        let new = NewSnapshot {
            owner: owner.id.clone(),
            owner_name: owner.name.clone(),
            name: passing_name()?,
            description: format!("for clones of {}", workspace.name),
            purpose: Purpose::Passing,
            workspace: Some(workspace.clone()),
            from: None,
        };
        let (workspaces, of) = (self.clone(), workspace.clone());
        let begun = to_the_end(&mut self.inner.actors.lock(), async move {
            workspaces.begin_clones(new, (&owner, &names), &of).await
        });
        begun.await
    }

    /// Records a passing snapshot and the workspaces that are made from it, and begins with
    /// them.
    async fn begin_clones(
        &self,
        snapshot: NewSnapshot,
        (owner, names): (&User, &[WorkspaceName]),
        of: &Workspace,
    ) -> Result<Vec<Record>, SnapshotError> {
        let shared = &self.inner.shared;
        let _deciding = shared.snapshots.deciding.lock().await;
        let home = shared.ledger.home_of(&of.id);
        let admit = |name| {
            let demand = (&*of.blueprint, Intent::Run);
            shared.ledger.admit(owner, name, demand, home)
        };
        let places: Result<Vec<_>, _> = names.iter().map(admit).collect();
        let places = places.map_err(CommandError::from)?;
        let (snapshot, records) = shared.store.add_clones(snapshot, owner, names).await?;
        for (place, record) in places.into_iter().zip(&records) {
            place.taken_by(&record.workspace);
        }
        // It is under way before those are that wait for it.
        self.make(snapshot, Work::Take);
        let mut begun = Ok(());
        // What is recorded is taken up, whatever became of one.
        for record in &records {
            begun = begun.and(self.begin(record, Some(&of.name)).await);
        }
        begun?;
        Ok(records)
    }

    /// Makes a workspace from a snapshot of the same owner's.
    pub async fn create_from(
        &self,
        owner: &User,
        name: &WorkspaceName,
        snapshot: &SnapshotId,
        intent: Intent,
    ) -> Result<Record, SnapshotError> {
        self.goes_on()?;
        let (workspaces, snapshot) = (self.clone(), snapshot.clone());
        let (owner, name) = (owner.clone(), name.clone());
        let begun = to_the_end(&mut self.inner.actors.lock(), async move {
            let shared = &workspaces.inner.shared;
            let _deciding = shared.snapshots.deciding.lock().await;
            let snapshot = workspaces.usable(&snapshot, &owner.id).await?;
            let blueprint = snapshot.blueprint.restored(&snapshot.id);
            let (made, size) = ((&blueprint, intent), snapshot.size.unwrap_or_default());
            let place = shared.ledger.admit(&owner, &name, made, size);
            let place = place.map_err(CommandError::from)?;
            let added = shared.store.add_workspace(&owner, &name, blueprint, intent);
            let record = added.await?;
            place.taken_by(&record.workspace);
            workspaces.begin(&record, None).await?;
            Ok(record)
        });
        begun.await
    }

    /// Ends what runs in a workspace, and makes it anew from a snapshot of the same
    /// owner's, its home included. Returns once that is recorded.
    pub async fn restore_snapshot(
        &self,
        workspace: &WorkspaceId,
        snapshot: &SnapshotId,
    ) -> Result<(), SnapshotError> {
        let shared = &self.inner.shared;
        let before = || async {
            let record = shared.store.workspace(workspace).await?;
            Ok::<_, SnapshotError>(record.ok_or(SnapshotError::Gone)?.workspace)
        };
        let owner = before().await?.owner;
        self.check_there(workspace, self.usable(snapshot, &owner).await?)
            .await?;
        let _deciding = shared.snapshots.deciding.lock().await;
        let before = before().await?;
        let snapshot = self.usable(snapshot, &before.owner).await?;
        let mut blueprint = snapshot.blueprint.restored(&snapshot.id);
        blueprint.rebuilds = before.blueprint.rebuilds.saturating_add(1);
        // That is the workspace's own, whatever it was taken of.
        blueprint.time_to_live = before.blueprint.time_to_live;
        let verb = Verb::Rebuild(Arc::new(blueprint));
        Ok(self.command(workspace, Order::Do(verb)).await?)
    }

    /// Returns all snapshots that somebody wants, by owner and name.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, StoreError> {
        let mut all = self.inner.shared.store.snapshots().await?;
        all.retain(|snapshot| snapshot.purpose == Purpose::Kept);
        Ok(all)
    }

    /// Returns a snapshot.
    pub async fn snapshot_of(&self, id: &SnapshotId) -> Result<Snapshot, SnapshotError> {
        let found = self.inner.shared.store.snapshot(id).await?;
        found.ok_or(SnapshotError::NoSuch)
    }

    /// Deletes a snapshot. Workspaces that were made from it go on.
    ///
    /// # Errors
    /// `Busy` while it is made or pushed.
    pub async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), SnapshotError> {
        let shared = &self.inner.shared;
        let _deciding = shared.snapshots.deciding.lock().await;
        let snapshot = self.snapshot_of(id).await?;
        if shared.snapshots.is_busy(id) {
            return Err(SnapshotError::Busy(snapshot.name));
        }
        shared.store.remove_snapshot(id).await?;
        count_snapshots(shared).await;
        let about = NewEvent::of_snapshot(Kind::SnapshotDeleted, &snapshot);
        shared.events.record(about);
        shared.snapshots.look_for_unneeded();
        Ok(())
    }

    /// Copies a snapshot to a registry. Returns once that is under way.
    pub async fn push_snapshot(
        &self,
        id: &SnapshotId,
        to: String,
        credentials: Option<Credentials>,
    ) -> Result<Snapshot, SnapshotError> {
        self.goes_on()?;
        check_reference(&to)?;
        let shared = &self.inner.shared;
        let _deciding = shared.snapshots.deciding.lock().await;
        let mut snapshot = self.snapshot_of(id).await?;
        if shared.snapshots.is_busy(id) {
            return Err(SnapshotError::Busy(snapshot.name));
        }
        ready(&snapshot)?;
        let transfer = Transfer {
            image: to,
            state: TransferState::Pushing,
            failure: None,
        };
        shared.store.set_transfer(id, &transfer).await?;
        snapshot.transfer = Some(transfer);
        self.make(snapshot.clone(), Work::Push(credentials));
        Ok(snapshot)
    }

    /// Copies a snapshot from a registry. Returns once that is recorded.
    pub async fn pull_snapshot(
        &self,
        owner: (UserId, UserName),
        name: SnapshotName,
        from: String,
        credentials: Option<Credentials>,
    ) -> Result<Snapshot, SnapshotError> {
        self.goes_on()?;
        check_reference(&from)?;
        let new = NewSnapshot {
            owner: owner.0,
            owner_name: owner.1,
            name,
            description: String::new(),
            purpose: Purpose::Kept,
            workspace: None,
            from: Some(from),
        };
        let snapshot = self.inner.shared.store.add_snapshot(new).await?;
        self.make(snapshot.clone(), Work::Pull(credentials));
        Ok(snapshot)
    }

    /// Waits until a snapshot is neither made nor pushed. Cancel-safe.
    pub async fn snapshot_settled(&self, id: &SnapshotId) {
        while let Some(mut state) = self.inner.shared.snapshots.watch(id) {
            // Closed: it has come to its end.
            while state.changed().await.is_ok() {}
        }
    }

    /// Tells a person who waits how far a snapshot is that is made or pushed.
    pub fn snapshot_doing(&self, id: &SnapshotId) -> Option<String> {
        let shared = &self.inner.shared;
        let told = || shared.driver.snapshot_progress(id);
        shared.snapshots.is_busy(id).then(told).flatten()
    }

    /// Takes note of who asked for what, for the workspace's history.
    pub fn note(&self, workspace: &Workspace, command: &str, by: &str) {
        let about = NewEvent::of_workspace(Kind::WorkspaceCommand, workspace)
            .saying("command", command)
            .saying("by", by);
        self.inner.shared.events.record(about);
    }

    /// Fails where a snapshot isn't where that workspace is. Nobody else is to wait for the
    /// answer.
    async fn check_there(
        &self,
        workspace: &WorkspaceId,
        snapshot: Snapshot,
    ) -> Result<(), SnapshotError> {
        let driver = &self.inner.shared.driver;
        let there = driver.can_restore(workspace, &snapshot.id).await;
        let name = snapshot.name;
        there.map_err(|error| match error {
            DriverError::SnapshotMissing { detail, .. } => SnapshotError::NotThere { name, detail },
            error => SnapshotError::Unseen {
                name,
                reason: FailureReason::of_start(&error),
            },
        })
    }

    /// Returns a snapshot that workspaces of that user can be made from.
    async fn usable(&self, id: &SnapshotId, owner: &UserId) -> Result<Snapshot, SnapshotError> {
        let snapshot = self.snapshot_of(id).await?;
        if snapshot.owner != *owner {
            return Err(SnapshotError::NoSuch);
        }
        ready(&snapshot)?;
        Ok(snapshot)
    }

    fn goes_on(&self) -> Result<(), SnapshotError> {
        if self.inner.shared.stop.is_cancelled() {
            return Err(SnapshotError::ShuttingDown);
        }
        Ok(())
    }

    /// Starts to make or push a snapshot.
    fn make(&self, snapshot: Snapshot, work: Work) {
        let state = self.inner.shared.snapshots.enter(&snapshot.id);
        self.go_on(snapshot, work, state);
    }

    fn go_on(&self, snapshot: Snapshot, work: Work, state: watch::Sender<SnapshotState>) {
        let span = info_span!("snapshot", snapshot = %snapshot.id);
        let run = making::run(Arc::clone(&self.inner.shared), snapshot, work, state);
        self.inner.actors.lock().spawn(run.instrument(span));
    }

    /// Takes up what the last gateway left, before the workspaces are taken up: those that
    /// wait for a snapshot then find it under way.
    pub(super) async fn left_snapshots(&self) -> Result<Vec<Left>, StoreError> {
        let shared = &self.inner.shared;
        let mut left = Vec::new();
        for snapshot in shared.store.snapshots().await? {
            let transfers = snapshot.transfer.as_ref().is_some_and(|transfer| {
                matches!(
                    transfer.state,
                    TransferState::Pushing | TransferState::Pulling
                )
            });
            let work = match (&snapshot.state, &snapshot.workspace) {
                // What the registry asks for is kept nowhere.
                _ if transfers => Work::EndTransfer,
                (SnapshotState::Making, Some(_)) => Work::Take,
                _ => continue,
            };
            let state = shared.snapshots.enter(&snapshot.id);
            left.push(Left(snapshot, work, state));
        }
        Ok(left)
    }

    /// Goes on with what the last gateway left.
    pub(super) fn go_on_with(&self, left: Vec<Left>) {
        for Left(snapshot, work, state) in left {
            self.go_on(snapshot, work, state);
        }
    }
}

/// A snapshot that the last gateway didn't finish.
pub(super) struct Left(Snapshot, Work, watch::Sender<SnapshotState>);

fn ready(snapshot: &Snapshot) -> Result<(), SnapshotError> {
    match &snapshot.state {
        SnapshotState::Ready => Ok(()),
        SnapshotState::Making => Err(SnapshotError::Busy(snapshot.name.clone())),
        SnapshotState::Failed(reason) => Err(SnapshotError::Failed {
            name: snapshot.name.clone(),
            reason: reason.clone(),
        }),
    }
}

fn check_description(text: &str) -> Result<(), SnapshotError> {
    let fits = text.chars().count() <= MAX_DESCRIPTION;
    if fits && !text.contains(|c: char| c.is_control() && c != '\n') {
        return Ok(());
    }
    Err(SnapshotError::Description)
}

/// Takes what names an image at a registry, by host: what has no host is Docker Hub's.
fn check_reference(text: &str) -> Result<(), SnapshotError> {
    let host = text.split_once('/').map(|(host, _)| host);
    let has_host = host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost");
    if has_host && is_image(text) && !text.contains('@') {
        return Ok(());
    }
    Err(SnapshotError::Reference(text.chars().take(200).collect()))
}

/// Returns a name that nobody has.
fn passing_name() -> Result<SnapshotName, SnapshotError> {
    Ok(format!("clone-{}", SnapshotId::random()).parse()?)
}
