//! Where a workspace is, and where it is wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::blueprint::Blueprint;
use super::failure::FailureReason;
use crate::identity::Target;
use crate::names::{UserId, UserName, WorkspaceId, WorkspaceName};

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
