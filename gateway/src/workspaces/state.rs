//! Where a workspace is, and where it is wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::blueprint::Blueprint;
use crate::chain::chain;
use crate::drivers::{DriverError, Exit};
use crate::identity::Target;
use crate::names::{SnapshotId, UserId, UserName, WorkspaceId, WorkspaceName};
use crate::repositories::ReadError;

/// A workspace, as it is called and whose it is. Its id never changes; a copy's name and
/// owner are those of its moment ([`Workspaces::tenure`] tells when the owner is
/// another).
///
/// [`Workspaces::tenure`]: super::Workspaces::tenure
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name among its owner's.
    pub name: WorkspaceName,
    /// Whose it is.
    pub owner: UserId,
    /// Their name.
    pub owner_name: UserName,
    /// When it was made, or handed out of a pool.
    pub created: OffsetDateTime,
    /// When its time to live is over and it is deleted by itself; absent: never.
    pub expires: Option<OffsetDateTime>,
    /// What it is made of.
    pub blueprint: Arc<Blueprint>,
}

impl Workspace {
    /// Tells whether it is nobody's yet: a member of its template's pool.
    pub fn is_pooled(&self) -> bool {
        self.owner == UserId::nobody()
    }

    /// Returns it made of something else; its time to live begins anew where that says
    /// another one.
    #[must_use]
    pub(super) fn made_of(&self, blueprint: Blueprint) -> Self {
        let mut made = self.clone();
        if blueprint.time_to_live != self.blueprint.time_to_live {
            made.expires = blueprint.end_of_life(OffsetDateTime::now_utc());
        }
        made.blueprint = Arc::new(blueprint);
        made
    }

    /// Returns the variables that tell its programs how it is called, and whose it is.
    pub fn variables(&self) -> BTreeMap<String, String> {
        if self.is_pooled() {
            return BTreeMap::new();
        }
        [
            ("DEVGATE_WORKSPACE", self.name.to_string()),
            ("DEVGATE_OWNER", self.owner_name.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Returns it as people name it, wherever they are: `WORKSPACE.OWNER`.
    pub fn target(&self) -> Target {
        Target {
            workspace: self.name.clone(),
            owner: Some(self.owner_name.clone()),
        }
    }
}

/// A workspace in the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The workspace.
    pub workspace: Workspace,
    /// What is wanted of it.
    pub intent: Intent,
    /// Where it was last seen.
    pub state: State,
    /// When intent or state last changed.
    pub changed: OffsetDateTime,
    /// When it was deleted, if it was.
    pub deleted: Option<Deletion>,
}

/// A workspace's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// When somebody deleted it.
    pub at: OffsetDateTime,
    /// Until when it can be restored; then its home is removed.
    pub until: OffsetDateTime,
}

/// Where a workspace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "kebab-case")]
pub enum State {
    /// Never started.
    Created,
    /// On its way to running, for the first time or after its agent died.
    Starting,
    /// Its agent runs.
    Running,
    /// On its way to a stop, a restart or its removal.
    Stopping,
    /// Stopped by a person.
    Stopped,
    /// Stopped because nothing went on in it; the next connection wakes it.
    Asleep,
    /// Not running, though it should be.
    Failed(FailureReason),
    /// Deleted by a person: only its home is left, for a while.
    Deleted,
}

/// What is wanted of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// That it runs.
    Run,
    /// That it doesn't.
    Stop,
    /// That it doesn't until somebody comes.
    Sleep,
    /// That it goes away, and its home a while later.
    Delete,
    /// That it goes away with all that it keeps.
    Purge,
}

/// A text that names no intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an intent is 'run', 'stop', 'sleep', 'delete' or 'purge'")]
pub struct InvalidIntent;

/// Why a workspace failed, with the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum FailureReason {
    /// There is no agent to start.
    #[error("the agent's program {} is missing: install it there, then start again", path.display())]
    AgentMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The system refuses to start the agent.
    #[error("the agent can't be started ({detail}): see to that, then start again")]
    SpawnFailed {
        /// The system's words.
        detail: String,
    },
    /// The agent ended again and again.
    #[error(
        "the agent ended {crashes} times within a minute, at last with {last}: its log tells why"
    )]
    CrashLoop {
        /// How often.
        crashes: u32,
        /// How, the last time.
        last: Exit,
    },
    /// The agent runs but can't be reached.
    #[error("the agent started but did not answer within {seconds} s: its log may tell why")]
    AgentTimeout {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The home can't be made or written to.
    #[error("the home {} can't be written to ({detail}): see to that, then start again", path.display())]
    HomeUnwritable {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// The home was there and is gone.
    #[error(
        "the workspace's home, the Docker volume {volume}, is missing: restore the volume of that \
         name with its labels, then start again, or delete the workspace"
    )]
    HomeMissing {
        /// The volume's name.
        volume: String,
    },
    /// What runs in the workspace doesn't end.
    #[error("the workspace can't be stopped ({detail}): see to that, then stop again")]
    StopFailed {
        /// What is wrong.
        detail: String,
    },
    /// What the workspace keeps can't be removed.
    #[error(
        "the workspace can't be removed ({detail}): see to that; it is tried again by itself, and with \
         `devgate purge`"
    )]
    RemoveFailed {
        /// What is wrong.
        detail: String,
    },
    /// What runs the containers doesn't answer. It is asked again until it does.
    #[error(
        "the Docker Engine at {engine} doesn't answer ({detail}): start it (systemctl start \
         docker) and let devgate's user use it (group docker); the workspace goes on by itself then"
    )]
    EngineUnreachable {
        /// Where it should listen.
        #[serde(alias = "socket")]
        engine: String,
        /// The system's words.
        detail: String,
    },
    /// The workspace is on a host that isn't configured any more.
    #[error(
        "the workspace is on the Docker host {host}, which is not in the configuration: put it \
         back into docker.hosts and restart devgate, or delete the workspace"
    )]
    HostGone {
        /// The host's name.
        host: String,
    },
    /// No host can take the workspace.
    #[error("no Docker host can take the workspace ({detail}): see to that, then start again")]
    NoHost {
        /// What was looked for, or what is wrong with each.
        detail: String,
    },
    /// The image is neither there nor to be had.
    #[error(
        "the image {image} is not on the workspaces' host and can't be pulled ({detail}): `docker \
         pull {image}` there or name another one as docker.image, then start again"
    )]
    ImageMissing {
        /// Its name.
        image: String,
        /// The engine's words.
        detail: String,
    },
    /// The snapshot that the workspace is made from isn't there.
    #[error(
        "the snapshot that the workspace is made from isn't there ({detail}): restore another one \
         (`devgate snapshots restore`), rebuild the workspace if it ran before, which keeps its \
         home (`devgate rebuild`), or delete it"
    )]
    SnapshotMissing {
        /// Its id.
        snapshot: SnapshotId,
        /// Why, as far as that is known.
        detail: String,
    },
    /// The snapshot that the workspace was to be restored from isn't there any more.
    #[error(
        "the workspace can't be restored, as the snapshot isn't there any more ({detail}), and is \
         what it was before: start it again (`devgate start`), or restore another snapshot"
    )]
    RestoreFailed {
        /// Why, as far as that is known.
        detail: String,
    },
    /// The image can't be built.
    #[error(
        "the workspace's image can't be built ({detail}): mend the template or the repository, \
         then rebuild the workspace (`devgate rebuild`)"
    )]
    BuildFailed {
        /// The end of the build's output.
        detail: String,
    },
    /// The repository isn't to be had.
    #[error(
        "the repository {url} can't be read ({detail}): its address and its branch are in the \
         template; see to that, then start again"
    )]
    RepositoryUnreachable {
        /// Its address.
        url: String,
        /// git's words.
        detail: String,
    },
    /// The repository says something of its workspaces that can't be done.
    #[error("in the repository, {place}: {detail}; mend that there, then start again")]
    DevcontainerInvalid {
        /// The file and the line.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The image has no such user.
    #[error(
        "the image {image} has no user {user:?}: name one that it has, or numbers such as \
         1000:1000, as docker.user, in the template or as the repository's remoteUser, then \
         start again"
    )]
    UserMissing {
        /// The image's name.
        image: String,
        /// The user's.
        user: String,
    },
    /// The engine's disk is full.
    #[error(
        "the disk of the workspaces' host is full ({detail}): make room there, then start again"
    )]
    DiskFull {
        /// The engine's words.
        detail: String,
    },
    /// The driver can't do its work.
    #[error("the workspace can't be started ({detail}): see to that, then start again")]
    DriverFailed {
        /// What is wrong.
        detail: String,
    },
    /// A reason that another version recorded.
    #[serde(other)]
    #[error("the workspace failed: start it again to see why")]
    Unknown,
}

impl State {
    /// Returns its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Asleep => "asleep",
            Self::Failed(_) => "failed",
            Self::Deleted => "deleted",
        }
    }

    /// Tells whether it stays as it is until somebody asks for something else.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Created
            | Self::Running
            | Self::Stopped
            | Self::Asleep
            | Self::Failed(_)
            | Self::Deleted => true,
            Self::Starting | Self::Stopping => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Intent {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Stop => "stop",
            Self::Sleep => "sleep",
            Self::Delete => "delete",
            Self::Purge => "purge",
        }
    }

    /// Tells whether the workspace is on its way out, or out.
    pub fn ends(self) -> bool {
        match self {
            Self::Run | Self::Stop | Self::Sleep => false,
            Self::Delete | Self::Purge => true,
        }
    }
}

impl FromStr for Intent {
    type Err = InvalidIntent;

    fn from_str(text: &str) -> Result<Self, InvalidIntent> {
        match text {
            "run" => Ok(Self::Run),
            "stop" => Ok(Self::Stop),
            "sleep" => Ok(Self::Sleep),
            "delete" => Ok(Self::Delete),
            "purge" => Ok(Self::Purge),
            _ => Err(InvalidIntent),
        }
    }
}

impl FailureReason {
    /// Says why a start failed.
    pub(super) fn of_start(error: &DriverError) -> Self {
        match error {
            DriverError::AgentMissing { path } => Self::AgentMissing { path: path.clone() },
            DriverError::SpawnFailed { source, .. } => Self::SpawnFailed {
                detail: source.to_string(),
            },
            DriverError::HomeUnwritable { path, source } => Self::HomeUnwritable {
                path: path.clone(),
                detail: source.to_string(),
            },
            DriverError::HomeMissing { volume } => Self::HomeMissing {
                volume: volume.clone(),
            },
            DriverError::EngineUnreachable { engine, source } => Self::EngineUnreachable {
                engine: engine.clone(),
                detail: source.to_string(),
            },
            DriverError::HostGone { host } => Self::HostGone { host: host.clone() },
            DriverError::NoHost { detail } => Self::NoHost {
                detail: detail.clone(),
            },
            DriverError::ImageMissing { image, detail } => Self::ImageMissing {
                image: image.clone(),
                detail: detail.clone(),
            },
            DriverError::SnapshotMissing { snapshot, detail } => Self::SnapshotMissing {
                snapshot: snapshot.clone(),
                detail: detail.clone(),
            },
            DriverError::BuildFailed { detail } => Self::BuildFailed {
                detail: detail.clone(),
            },
            DriverError::UserMissing { image, user } => Self::UserMissing {
                image: image.clone(),
                user: user.clone(),
            },
            DriverError::DiskFull { detail } => Self::DiskFull {
                detail: detail.clone(),
            },
            DriverError::File { source, .. }
                if source.kind() == std::io::ErrorKind::StorageFull =>
            {
                Self::DiskFull {
                    detail: chain(error),
                }
            }
            DriverError::File { .. }
            | DriverError::NoSnapshot { .. }
            | DriverError::Registry { .. }
            | DriverError::NeedsContainers
            | DriverError::Engine { .. }
            | DriverError::Foreign { .. }
            | DriverError::Process { .. }
            | DriverError::Unstoppable { .. }
            | DriverError::LostAgent { .. }
            | DriverError::Certificate(_) => Self::DriverFailed {
                detail: chain(error),
            },
        }
    }

    /// Says why a repository couldn't be read.
    pub(super) fn of_repository(error: &ReadError) -> Self {
        match error {
            ReadError::Unreachable { url, detail } => Self::RepositoryUnreachable {
                url: url.clone(),
                detail: detail.clone(),
            },
            ReadError::NoToken { url, secret } => Self::RepositoryUnreachable {
                url: url.clone(),
                detail: format!("there is no secret {secret}: `devgate secrets set {secret}`"),
            },
            ReadError::Devcontainer(error) => Self::DevcontainerInvalid {
                place: error.place.clone(),
                detail: error.problem.clone(),
            },
            ReadError::Folder { .. } => Self::DriverFailed {
                detail: chain(error),
            },
        }
    }

    /// Says why a stop failed.
    pub(super) fn of_stop(error: &DriverError) -> Self {
        match error {
            DriverError::EngineUnreachable { .. } => Self::of_start(error),
            error => Self::StopFailed {
                detail: chain(error),
            },
        }
    }

    /// Says why a removal failed.
    pub(super) fn of_removal(error: &DriverError) -> Self {
        match error {
            DriverError::EngineUnreachable { .. } => Self::of_start(error),
            error => Self::RemoveFailed {
                detail: chain(error),
            },
        }
    }

    /// Tells whether it passes without anybody doing something to the workspace.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::EngineUnreachable { .. })
    }
}
