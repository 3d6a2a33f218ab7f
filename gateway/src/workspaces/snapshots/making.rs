//! The task that makes or pushes one snapshot.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::super::Shared;
use super::super::blueprint::Blueprint;
use super::super::measure::count_snapshots;
use super::super::snapshot::{Purpose, Snapshot, SnapshotState, Transfer, TransferState};
use super::super::state::{Intent, State, Workspace};
use crate::chain::chain;
use crate::drivers::{Credentials, Driver, DriverError, Label, Taken};
use crate::events::{Kind, NewEvent};
use crate::names::{SnapshotId, WorkspaceId};

/// What goes on with snapshots.
#[derive(Debug, Default)]
pub(in super::super) struct Going {
    /// Those that are made or pushed, and where each is.
    busy: Mutex<HashMap<SnapshotId, watch::Sender<SnapshotState>>>,
    /// The snapshots that workspaces wait for.
    waiting: Mutex<HashMap<WorkspaceId, SnapshotId>>,
    /// Held while a workspace is copied, or while it is stopped, started or removed.
    turns: Mutex<HashMap<WorkspaceId, Arc<tokio::sync::Mutex<()>>>>,
    /// Held while something comes to need a snapshot, or what nothing needs is removed.
    pub(super) deciding: tokio::sync::Mutex<()>,
    /// Wakes what removes that.
    pub(super) unneeded: Notify,
}

/// A workspace that waits for its snapshot.
#[derive(Debug)]
pub(in super::super) struct Waits<'a>(&'a Going, WorkspaceId);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.lock().remove(&self.1);
    }
}

/// What is done with a snapshot.
#[derive(Debug)]
pub(super) enum Work {
    /// It is taken of its workspace.
    Take,
    /// It is copied from where its record says.
    Pull(Option<Credentials>),
    /// It is copied to where its record says.
    Push(Option<Credentials>),
    /// Such a copy that the last gateway had begun is given up.
    EndTransfer,
}

/// What a snapshot came to: its size, and what more is known of it now.
type Made = Result<(Taken, String, Arc<Blueprint>), String>;

impl Going {
    /// Takes note that a snapshot is made or pushed from now on.
    pub(super) fn enter(&self, id: &SnapshotId) -> watch::Sender<SnapshotState> {
        let state = watch::Sender::new(SnapshotState::Making);
        self.busy.lock().insert(id.clone(), state.clone());
        state
    }

    pub(super) fn is_busy(&self, id: &SnapshotId) -> bool {
        self.busy.lock().contains_key(id)
    }

    pub(super) fn watch(&self, id: &SnapshotId) -> Option<watch::Receiver<SnapshotState>> {
        self.busy.lock().get(id).map(watch::Sender::subscribe)
    }

    fn leave(&self, id: &SnapshotId, state: &SnapshotState) {
        if let Some(watched) = self.busy.lock().remove(id) {
            watched.send_replace(state.clone());
        }
    }

    /// Has what nothing needs any more be looked for.
    pub(in super::super) fn look_for_unneeded(&self) {
        self.unneeded.notify_one();
    }

    /// Returns what is held while a workspace is copied or changed.
    pub(in super::super) fn turn(&self, id: &WorkspaceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(id.clone()).or_default())
    }

    /// Takes note, until that is dropped, that a workspace waits for its snapshot.
    pub(in super::super) fn note_wait(&self, workspace: &Workspace) -> Waits<'_> {
        let needed = workspace.blueprint.snapshots();
        if let Some(snapshot) = needed.into_iter().find(|id| self.is_busy(id)) {
            let waits = (workspace.id.clone(), snapshot.clone());
            self.waiting.lock().extend([waits]);
        }
        Waits(self, workspace.id.clone())
    }

    /// Tells a person who waits for a workspace how far its snapshot is.
    pub(in super::super) fn waits(&self, id: &WorkspaceId, driver: &dyn Driver) -> Option<String> {
        let snapshot = self.waiting.lock().get(id).cloned()?;
        let far = driver.snapshot_progress(&snapshot);
        Some(match far {
            Some(far) => format!("waiting for the snapshot that it is made from: {far}"),
            None => "waiting for the snapshot that it is made from".to_owned(),
        })
    }
}

/// Waits for the snapshots that a workspace is made from and that are still made.
pub(in super::super) async fn wait_for(
    shared: &Shared,
    workspace: &Workspace,
) -> Result<(), DriverError> {
    for id in workspace.blueprint.snapshots() {
        let Some(mut state) = shared.snapshots.watch(id) else {
            // It ended before this came to wait for it.
            let recorded = shared.store.snapshot(id).await.ok().flatten();
            if let Some(reason) = recorded.as_ref().and_then(|it| it.state.failure()) {
                return Err(DriverError::SnapshotMissing {
                    snapshot: id.clone(),
                    detail: reason.to_owned(),
                });
            }
            continue;
        };
        let ended = state
            .wait_for(|state| *state != SnapshotState::Making)
            .await;
        // Closed without a word: it was pushed, or the gateway ends.
        if let Ok(state) = ended
            && let Some(reason) = state.failure()
        {
            return Err(DriverError::SnapshotMissing {
                snapshot: id.clone(),
                detail: reason.to_owned(),
            });
        }
    }
    Ok(())
}

/// Makes or pushes a snapshot, until that is recorded or the gateway ends: what was to be
/// taken, the next gateway takes then.
pub(super) async fn run(
    shared: Arc<Shared>,
    snapshot: Snapshot,
    work: Work,
    state: watch::Sender<SnapshotState>,
) {
    let end = tokio::select! {
        () = shared.stop.cancelled() => return,
        end = do_work(&shared, &snapshot, work) => end,
    };
    shared.snapshots.leave(&snapshot.id, &end);
    drop(state);
    shared.snapshots.look_for_unneeded();
}

async fn do_work(shared: &Shared, snapshot: &Snapshot, work: Work) -> SnapshotState {
    let made = match work {
        Work::Push(credentials) => {
            push(shared, snapshot, credentials).await;
            return snapshot.state.clone();
        }
        Work::EndTransfer if snapshot.state == SnapshotState::Ready => {
            let again = Err("devgate was restarted meanwhile: push it again".to_owned());
            end_transfer(shared, snapshot, again).await;
            return snapshot.state.clone();
        }
        Work::EndTransfer => {
            let again = "devgate was restarted meanwhile: delete it, and pull it again";
            end_transfer(shared, snapshot, Err(again.to_owned())).await;
            Err(again.to_owned())
        }
        Work::Take => take(shared, snapshot).await,
        Work::Pull(credentials) => pull(shared, snapshot, credentials).await,
    };
    let (state, size, said) = match made {
        Ok((taken, description, blueprint)) => {
            let said = Some((description, blueprint));
            (SnapshotState::Ready, Some(taken.size), said)
        }
        Err(reason) => {
            warn!(reason, "no snapshot");
            if let Err(failure) = shared.driver.remove_snapshot(&snapshot.id).await {
                // It is looked for again with what nothing needs.
                let failure = chain(&failure);
                warn!(failure, "can't remove what is left of a snapshot");
            }
            (SnapshotState::Failed(reason), None, None)
        }
    };
    let said = said
        .as_ref()
        .map(|(description, blueprint)| (description.as_str(), &**blueprint));
    let recorded = shared
        .store
        .finish_snapshot(&snapshot.id, &state, size, said)
        .await;
    if let Err(failure) = recorded {
        // The next gateway makes it anew; until then it isn't said to be there.
        error!(failure = chain(&failure), "a snapshot is not recorded");
        return SnapshotState::Failed("it can't be recorded: the log tells why".to_owned());
    }
    info!(state = state.as_str(), size, "snapshot");
    count_snapshots(shared).await;
    if snapshot.purpose == Purpose::Passing && state == SnapshotState::Ready {
        // Its clones tell of themselves.
        return state;
    }
    let mut about =
        NewEvent::of_snapshot(Kind::SnapshotState, snapshot).saying("state", state.as_str());
    if let Some(reason) = state.failure() {
        about.says("detail", reason);
    }
    shared.events.record(about);
    state
}

async fn take(shared: &Shared, snapshot: &Snapshot) -> Made {
    let gone = || "the workspace was deleted meanwhile".to_owned();
    let (id, _) = snapshot.workspace.as_ref().ok_or_else(gone)?;
    loop {
        // What is on its way somewhere is copied once it is there.
        let handle = shared.handles.lock().get(id).cloned();
        if let Some(mut handle) = handle {
            // Closed: it is gone, which the records tell.
            let _ = handle.state.wait_for(State::is_settled).await;
        }
        let turn = shared.snapshots.turn(id);
        let held = turn.lock().await;
        let record = shared.store.workspace(id).await;
        let record = record.map_err(|error| chain(&error))?.ok_or_else(gone)?;
        if record.intent == Intent::Delete {
            return Err(gone());
        }
        if record.workspace.owner != snapshot.owner {
            return Err("the workspace has another owner meanwhile".to_owned());
        }
        if snapshot.purpose == Purpose::Kept {
            // Those before it, which waited with it, count by now.
            let allowed = shared.ledger.may_keep(&record.workspace);
            allowed.map_err(|reached| reached.to_string())?;
        }
        let label = Label {
            name: snapshot.name.to_string(),
            description: snapshot.description.clone(),
            user: record.workspace.blueprint.user.clone(),
        };
        let taken = shared
            .driver
            .take(&record.workspace, &snapshot.id, &label)
            .await;
        drop(held);
        match taken {
            Ok(taken) => {
                let description = snapshot.description.clone();
                return Ok((taken, description, record.workspace.blueprint));
            }
            Err(DriverError::EngineUnreachable { .. }) => {
                sleep(shared.options.recovery_pause).await;
            }
            Err(error) => return Err(reason(&error)),
        }
    }
}

async fn pull(shared: &Shared, snapshot: &Snapshot, credentials: Option<Credentials>) -> Made {
    let Some(from) = &snapshot.transfer else {
        return Err("it is not known from where".to_owned());
    };
    let (id, credentials) = (&snapshot.id, credentials.as_ref());
    let pulled = shared.driver.pull(id, &from.image, credentials).await;
    let pulled = pulled.map_err(|error| reason(&error));
    let end = pulled.as_ref().map(drop).map_err(Clone::clone);
    end_transfer(shared, snapshot, end).await;
    let (label, taken) = pulled?;
    let blueprint = Blueprint {
        user: label.user,
        ..Blueprint::default()
    };
    Ok((taken, label.description, Arc::new(blueprint)))
}

async fn push(shared: &Shared, snapshot: &Snapshot, credentials: Option<Credentials>) {
    let Some(to) = &snapshot.transfer else {
        return;
    };
    let (id, credentials) = (&snapshot.id, credentials.as_ref());
    let pushed = shared.driver.push(id, &to.image, credentials).await;
    end_transfer(shared, snapshot, pushed.map_err(|error| reason(&error))).await;
}

/// Records the end of a copy to a registry or from one, and tells of it.
async fn end_transfer(shared: &Shared, snapshot: &Snapshot, end: Result<(), String>) {
    let Some(before) = &snapshot.transfer else {
        return;
    };
    if let Err(failure) = shared.driver.end_transfer(&before.image).await {
        warn!(failure = chain(&failure), "can't take back an image's name");
    }
    let transfer = Transfer {
        image: before.image.clone(),
        state: match (&end, before.state) {
            (Err(_), _) => TransferState::Failed,
            (Ok(()), TransferState::Pulling) => TransferState::Pulled,
            (Ok(()), _) => TransferState::Pushed,
        },
        failure: end.err(),
    };
    if let Err(failure) = shared.store.set_transfer(&snapshot.id, &transfer).await {
        error!(
            failure = chain(&failure),
            "a copy to a registry is not recorded"
        );
    }
    let mut about = NewEvent::of_snapshot(Kind::SnapshotState, snapshot)
        .saying("image", &transfer.image)
        .saying("state", transfer.state.as_str());
    if let Some(reason) = &transfer.failure {
        warn!(reason, "a copy to a registry, or from one, failed");
        about.says("detail", reason);
    }
    shared.events.record(about);
}

/// Says why something failed, and what to do.
fn reason(error: &DriverError) -> String {
    let full = match error {
        DriverError::DiskFull { .. } => true,
        DriverError::File { source, .. } => source.kind() == io::ErrorKind::StorageFull,
        _ => false,
    };
    if full {
        let text = chain(error);
        return format!("{text}: make room there (`devgate snapshots delete`), then try again");
    }
    chain(error)
}
