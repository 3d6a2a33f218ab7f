//! A snapshot, as the records have it.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::blueprint::Blueprint;
use super::state::Workspace;
use crate::names::{SnapshotId, SnapshotName, UserId, UserName, WorkspaceId, WorkspaceName};

/// What a workspace had at one time. Its owner is the workspace's, and what is in it
/// reaches only workspaces of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Whose it is.
    pub owner: UserId,
    /// Their name.
    pub owner_name: UserName,
    /// Its name among its owner's.
    pub name: SnapshotName,
    /// What it is for.
    pub description: String,
    /// Why it is there.
    pub purpose: Purpose,
    /// Of which workspace it was taken, which may be gone; absent: it was pulled.
    pub workspace: Option<(WorkspaceId, WorkspaceName)>,
    /// What that was made of.
    pub blueprint: Arc<Blueprint>,
    /// When it was asked for.
    pub created: OffsetDateTime,
    /// Where it is.
    pub state: SnapshotState,
    /// What it takes on disk beside what its workspace was made of, in bytes.
    pub size: Option<u64>,
    /// Its last copy to a registry, or that from one that it came by.
    pub transfer: Option<Transfer>,
}

/// A snapshot that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct NewSnapshot {
    /// Whose it will be.
    pub(crate) owner: UserId,
    /// Their name.
    pub(crate) owner_name: UserName,
    /// Its name.
    pub(crate) name: SnapshotName,
    /// What it is for.
    pub(crate) description: String,
    /// Why it is there.
    pub(crate) purpose: Purpose,
    /// The workspace; absent: it is pulled.
    pub(crate) workspace: Option<Workspace>,
    /// Where it is pulled from.
    pub(crate) from: Option<String>,
}

/// Why a snapshot is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody wants it.
    Kept,
    /// Workspaces are made from it; it goes once none needs it.
    Passing,
}

/// Where a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotState {
    /// It is taken or pulled.
    Making,
    /// It is there.
    Ready,
    /// It couldn't be made; why.
    Failed(String),
}

/// A copy to a registry, or from one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Transfer {
    /// Where: `REGISTRY/REPOSITORY:TAG`.
    pub image: String,
    /// Where it is.
    pub state: TransferState,
    /// Why it failed, where it did.
    #[serde(default)]
    pub failure: Option<String>,
}

/// Where such a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferState {
    /// It goes to the registry.
    Pushing,
    /// It is there.
    Pushed,
    /// It comes from the registry.
    Pulling,
    /// It has come.
    Pulled,
    /// It failed.
    Failed,
}

/// A text that names no purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a purpose is 'kept' or 'passing'")]
pub struct InvalidPurpose;

impl SnapshotState {
    /// Returns its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Ready => "ready",
            Self::Failed(_) => "failed",
        }
    }

    /// Returns why it failed, where it did.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            Self::Making | Self::Ready => None,
        }
    }
}

impl TransferState {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pushing => "pushing",
            Self::Pushed => "pushed",
            Self::Pulling => "pulling",
            Self::Pulled => "pulled",
            Self::Failed => "failed",
        }
    }
}

impl Purpose {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Passing => "passing",
        }
    }
}

impl FromStr for Purpose {
    type Err = InvalidPurpose;

    fn from_str(text: &str) -> Result<Self, InvalidPurpose> {
        match text {
            "kept" => Ok(Self::Kept),
            "passing" => Ok(Self::Passing),
            _ => Err(InvalidPurpose),
        }
    }
}
