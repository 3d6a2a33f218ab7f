//! What happened: to workspaces, to people's accounts.
//!
//! Whoever tells of something doesn't wait for the disk: one task writes it down a
//! moment later, in order, and then wakes those who listen. They read from the records,
//! so that one who is slow loses nothing and holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::chain::chain;
use crate::identity::User;
use crate::names::{UserId, UserName, WorkspaceId, WorkspaceName};
use crate::store::{Store, StoreError};
use crate::workspaces::{Snapshot, Workspace};

/// What isn't written down yet. When it is full, which takes a disk that hangs, what
/// happens goes unrecorded, and the log says so.
const QUEUE: usize = 4096;

/// Events that are written at one time.
const BATCH: usize = 256;

/// Pause after the records failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A workspace was created.
    WorkspaceCreated,
    /// A workspace's state changed.
    WorkspaceState,
    /// A workspace has another name.
    WorkspaceRenamed,
    /// A workspace has another owner: told to both.
    WorkspaceTransferred,
    /// Nothing goes on in a workspace, and it goes to sleep soon.
    WorkspaceSleepSoon,
    /// A workspace's time to live is over soon, and it is deleted then.
    WorkspaceExpiresSoon,
    /// A workspace lives longer than it would have.
    WorkspaceExtended,
    /// A workspace was deleted.
    WorkspaceDeleted,
    /// A deleted workspace lives again.
    WorkspaceRestored,
    /// Nothing is left of a deleted workspace.
    WorkspacePurged,
    /// A program was killed because its workspace's memory was used up.
    OutOfMemory,
    /// Somebody's homes take up more than they may.
    DiskLimitExceeded,
    /// Somebody asked something of a workspace.
    WorkspaceCommand,
    /// A snapshot of a workspace is there, or failed.
    SnapshotState,
    /// A snapshot was deleted.
    SnapshotDeleted,
    /// Something that a workspace's repository says isn't done, or that the workspace has as many
    /// processes as it may.
    WorkspaceNotice,
    /// A user was added.
    UserCreated,
    /// A user's role or password was changed.
    UserChanged,
    /// A user was removed.
    UserDeleted,
    /// A key was added.
    KeyAdded,
    /// A key was removed.
    KeyRemoved,
    /// A token was made.
    TokenCreated,
    /// A token was deleted.
    TokenDeleted,
    /// A link was made that signs somebody in.
    LinkCreated,
    /// Somebody signed in.
    Login,
    /// A login ended.
    Logout,
    /// Somebody decided on SSH connections that wait, or ended what let them in.
    SshApproval,
    /// An SSH certificate was signed, revoked, or refused to sign somebody in.
    SshCertificate,
    /// Others may open a port, or no longer.
    PortChanged,
    /// A workspace's start-up failed.
    StartupFailed,
    /// A workspace started without secrets that it was to get.
    SecretsMissing,
    /// A secret was set.
    SecretSet,
    /// A secret was removed.
    SecretRemoved,
}

/// Something that happened a moment ago.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// When.
    pub time: OffsetDateTime,
    /// What.
    pub kind: Kind,
    /// Whom it is about; they may see it.
    pub user: Option<(UserId, UserName)>,
    /// Which workspace it is about.
    pub workspace: Option<(WorkspaceId, WorkspaceName)>,
    /// What more there is to say.
    pub data: Map<String, Value>,
}

/// Something that happened, as the records have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id: later ones are greater.
    pub id: i64,
    /// When.
    pub time: OffsetDateTime,
    /// What, by [`Kind::as_str`] or as another version named it.
    pub kind: String,
    /// Whom it is about.
    pub user: Option<UserName>,
    /// Which workspace it is about.
    pub workspace: Option<(WorkspaceId, WorkspaceName)>,
    /// What more there is to say.
    pub data: Map<String, Value>,
}

/// Takes in what happens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    queue: mpsc::Sender<NewEvent>,
    /// The other end, until the task takes it.
    waiting: Mutex<Option<mpsc::Receiver<NewEvent>>>,
    /// Counts what was written.
    written: watch::Sender<u64>,
}

impl Kind {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkspaceCreated => "workspace-created",
            Self::WorkspaceState => "workspace-state",
            Self::WorkspaceRenamed => "workspace-renamed",
            Self::WorkspaceTransferred => "workspace-transferred",
            Self::WorkspaceSleepSoon => "workspace-sleep-soon",
            Self::WorkspaceExpiresSoon => "workspace-expires-soon",
            Self::WorkspaceExtended => "workspace-extended",
            Self::WorkspaceDeleted => "workspace-deleted",
            Self::WorkspaceRestored => "workspace-restored",
            Self::WorkspacePurged => "workspace-purged",
            Self::OutOfMemory => "out-of-memory",
            Self::DiskLimitExceeded => "disk-limit-exceeded",
            Self::WorkspaceCommand => "workspace-command",
            Self::SnapshotState => "snapshot-state",
            Self::SnapshotDeleted => "snapshot-deleted",
            Self::WorkspaceNotice => "workspace-notice",
            Self::UserCreated => "user-created",
            Self::UserChanged => "user-changed",
            Self::UserDeleted => "user-deleted",
            Self::KeyAdded => "key-added",
            Self::KeyRemoved => "key-removed",
            Self::TokenCreated => "token-created",
            Self::TokenDeleted => "token-deleted",
            Self::LinkCreated => "link-created",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::SshApproval => "ssh-approval",
            Self::SshCertificate => "ssh-certificate",
            Self::PortChanged => "port-changed",
            Self::StartupFailed => "startup-failed",
            Self::SecretsMissing => "secrets-missing",
            Self::SecretSet => "secret-set",
            Self::SecretRemoved => "secret-removed",
        }
    }
}

impl NewEvent {
    /// Tells of a workspace; its owner may see it.
    pub fn of_workspace(kind: Kind, workspace: &Workspace) -> Self {
        Self {
            time: OffsetDateTime::now_utc(),
            kind,
            user: Some((workspace.owner.clone(), workspace.owner_name.clone())),
            workspace: Some((workspace.id.clone(), workspace.name.clone())),
            data: Map::new(),
        }
    }

    /// Tells of a snapshot, and of the workspace that it was taken of; its owner may see it.
    pub fn of_snapshot(kind: Kind, snapshot: &Snapshot) -> Self {
        let mut event = Self {
            time: OffsetDateTime::now_utc(),
            kind,
            user: Some((snapshot.owner.clone(), snapshot.owner_name.clone())),
            workspace: snapshot.workspace.clone(),
            data: Map::new(),
        };
        event.says("snapshot", snapshot.name.as_str());
        event
    }

    /// Tells of somebody's account; they may see it.
    pub fn of_user(kind: Kind, user: &User) -> Self {
        Self {
            time: OffsetDateTime::now_utc(),
            kind,
            user: Some((user.id.clone(), user.name.clone())),
            workspace: None,
            data: Map::new(),
        }
    }

    /// Tells of the installation; administrators see it.
    pub fn of_installation(kind: Kind) -> Self {
        Self {
            time: OffsetDateTime::now_utc(),
            kind,
            user: None,
            workspace: None,
            data: Map::new(),
        }
    }

    /// Says more of it.
    pub fn says(&mut self, name: &str, value: &str) {
        self.data.insert(name.to_owned(), value.into());
    }

    /// Returns it with more said of it.
    #[must_use]
    pub fn saying(mut self, name: &str, value: &str) -> Self {
        self.says(name, value);
        self
    }
}

impl Events {
    /// Writes to these records, once [`Self::run`] runs.
    pub fn new(store: Store) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self(Arc::new(Inner {
            store,
            queue,
            waiting: Mutex::new(Some(waiting)),
            written: watch::channel(0).0,
        }))
    }

    /// Tells of something, unless it is about nobody. Doesn't wait.
    pub fn record(&self, event: NewEvent) {
        let nobody = UserId::nobody();
        if event.user.as_ref().is_some_and(|(user, _)| *user == nobody) {
            // Nobody wants to know.
            return;
        }
        let kind = event.kind.as_str();
        if self.0.queue.try_send(event).is_err() {
            warn!(kind, "an event goes unrecorded");
        }
    }

    /// Returns what changes with everything that was written.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.written.subscribe()
    }

    /// Writes down what happens, until `stop` and what happened before it.
    pub async fn run(self, stop: CancellationToken) {
        let taken = self.0.waiting.lock().take();
        let Some(mut waiting) = taken else {
            error!("events are written down already");
            return stop.cancelled().await;
        };
        let mut batch = Vec::new();
        loop {
            // What couldn't be written is tried again first.
            if batch.is_empty() {
                tokio::select! {
                    biased;
                    _ = waiting.recv_many(&mut batch, BATCH) => {}
                    () = stop.cancelled() => return,
                }
            }
            match self.write(&batch).await {
                Ok(()) => batch.clear(),
                Err(failure) => {
                    error!(failure = chain(&failure), "events aren't recorded");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => return,
                    }
                }
            }
        }
    }

    async fn write(&self, batch: &[NewEvent]) -> Result<(), StoreError> {
        self.0.store.add_events(batch).await?;
        self.0.written.send_modify(|count| *count += 1);
        Ok(())
    }
}
