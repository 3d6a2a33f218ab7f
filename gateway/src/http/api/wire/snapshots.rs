//! Snapshots.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::{IntoParams, ToSchema};

use super::{EventWorkspace, Workspace};
use crate::names::{SnapshotId, SnapshotName, TemplateName, UserName, WorkspaceId, WorkspaceName};
use crate::workspaces;

/// What a workspace had at one time, its home included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Its id, which no other snapshot will ever have.
    pub id: SnapshotId,
    /// Its name, unique among its owner's.
    pub name: SnapshotName,
    /// Whose it is.
    pub owner: UserName,
    /// What it is for.
    pub description: String,
    /// The workspace that it was taken of, which may be gone; null: it was pulled.
    #[schema(required = true)]
    pub workspace: Option<EventWorkspace>,
    /// The template that this was made from, where it was.
    #[schema(required = true)]
    pub template: Option<TemplateName>,
    /// When it was asked for.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// Where it is.
    pub state: SnapshotStateName,
    /// Why it failed, where it did.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// How far it is, while it is taken, pushed or pulled.
    #[schema(required = true)]
    pub doing: Option<String>,
    /// What it takes on disk beside what its workspace was made of, in bytes; null: that
    /// isn't known yet.
    #[schema(required = true)]
    pub size: Option<u64>,
    /// Its last copy to a registry, or that from one that it came by.
    #[schema(required = true)]
    pub transfer: Option<SnapshotTransfer>,
}

/// Where a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = SnapshotState)]
pub enum SnapshotStateName {
    /// It is taken or pulled.
    Making,
    /// Workspaces can be made from it.
    Ready,
    /// It couldn't be made.
    Failed,
}

/// A copy of a snapshot to a registry, or from one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotTransfer {
    /// Where: `REGISTRY/REPOSITORY:TAG`.
    pub image: String,
    /// Where it is: `pushing`, `pushed`, `pulling`, `pulled` or `failed`.
    pub state: String,
    /// Why it failed, where it did.
    #[schema(required = true)]
    pub reason: Option<String>,
}

/// Takes a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeSnapshot {
    /// Its name.
    pub name: SnapshotName,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: String,
}

/// Makes a workspace anew from a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreSnapshot {
    /// Which workspace, of the same owner's; default: the one that it was taken of.
    #[serde(default)]
    pub workspace: Option<WorkspaceId>,
}

/// Copies a snapshot to a registry.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushSnapshot {
    /// Where to: `REGISTRY/REPOSITORY:TAG`.
    #[schema(max_length = 512, example = "registry.example:5000/team/api:1")]
    pub to: String,
    /// The user's name there, where the registry asks for one.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub username: Option<String>,
    /// The password or token there. It isn't kept.
    #[serde(default)]
    #[schema(max_length = 4096, format = Password)]
    pub password: Option<String>,
}

/// Copies a snapshot from a registry.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PullSnapshot {
    /// Where from: `REGISTRY/REPOSITORY:TAG`.
    #[schema(max_length = 512, example = "registry.example:5000/team/api:1")]
    pub from: String,
    /// Its name here.
    pub name: SnapshotName,
    /// The user's name there, where the registry asks for one.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub username: Option<String>,
    /// The password or token there. It isn't kept.
    #[serde(default)]
    #[schema(max_length = 4096, format = Password)]
    pub password: Option<String>,
}

/// Makes workspaces like one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneWorkspace {
    /// How many.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 50, default = 1)]
    pub count: u32,
    /// What their names begin with, before `-1` and so on; default: the name of that one.
    #[serde(default)]
    pub prefix: Option<WorkspaceName>,
}

const fn one() -> u32 {
    1
}

/// Workspaces that are made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Clones {
    /// In the order of their names' numbers.
    pub workspaces: Vec<Workspace>,
}

/// Which snapshots, and which page of them.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SnapshotQuery {
    /// Taken of this workspace alone.
    #[serde(default)]
    pub workspace: Option<WorkspaceId>,
    /// Most entries of the page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default)]
    #[param(max_length = 100, pattern = "^[A-Za-z0-9._-]+$")]
    pub cursor: Option<String>,
}

impl Snapshot {
    /// Shows a snapshot; `doing` tells how far it is.
    pub fn of(snapshot: workspaces::Snapshot, doing: Option<String>) -> Self {
        let used = snapshot.blueprint.template.as_ref();
        Self {
            template: used.map(|used| used.name.clone()),
            state: match &snapshot.state {
                workspaces::SnapshotState::Making => SnapshotStateName::Making,
                workspaces::SnapshotState::Ready => SnapshotStateName::Ready,
                workspaces::SnapshotState::Failed(_) => SnapshotStateName::Failed,
            },
            reason: snapshot.state.failure().map(str::to_owned),
            id: snapshot.id,
            name: snapshot.name,
            owner: snapshot.owner_name,
            description: snapshot.description,
            workspace: snapshot
                .workspace
                .map(|(id, name)| EventWorkspace { id, name }),
            created: snapshot.created,
            doing,
            size: snapshot.size,
            transfer: snapshot.transfer.map(|transfer| SnapshotTransfer {
                image: transfer.image,
                state: transfer.state.as_str().to_owned(),
                reason: transfer.failure,
            }),
        }
    }

    /// Tells whether it stays as it is.
    pub fn is_settled(&self) -> bool {
        let goes_on =
            |transfer: &SnapshotTransfer| matches!(transfer.state.as_str(), "pushing" | "pulling");
        self.state != SnapshotStateName::Making && !self.transfer.as_ref().is_some_and(goes_on)
    }
}
