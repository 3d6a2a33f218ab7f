//! Workspaces and their ports.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::{IntoParams, ToSchema};

use super::WorkspaceTemplate;
use crate::config::{Cpus, Size};
use crate::http::wire::{Failure, KilledProgram, StateName};
use crate::names::{SnapshotId, TemplateName, UserName, WorkspaceId, WorkspaceName};
use crate::store::Visibility;

/// Longest wait of one request, in seconds.
pub const MAX_WAIT: u32 = 60;

/// Most lines of a log that are sent.
pub const MAX_TAIL: u32 = 100_000;

/// Lines of a log that are sent unless others are asked for.
pub const TAIL: u32 = 1000;

/// One workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    /// Its id, which no other workspace will ever have.
    pub id: WorkspaceId,
    /// Its name, unique among its owner's.
    pub name: WorkspaceName,
    /// Whose it is.
    pub owner: UserName,
    /// Where it is in its life.
    pub state: StateName,
    /// Why it failed, where it did.
    #[schema(required = true)]
    pub reason: Option<Failure>,
    /// What its start takes its time with, where there is something to tell: an image
    /// that is pulled, a script.
    #[schema(required = true)]
    pub doing: Option<String>,
    /// The template that it was made from, where it was.
    #[schema(required = true)]
    pub template: Option<WorkspaceTemplate>,
    /// The last program in it that was killed because its memory was used up.
    #[schema(required = true)]
    pub out_of_memory: Option<KilledProgram>,
    /// How far its start-up is; null where nothing is known.
    #[schema(required = true)]
    pub startup: Option<super::StartupSummary>,
    /// What its repository says and isn't done, in lines for people.
    pub notices: Vec<String>,
    /// When it was created.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When its state last changed.
    #[serde(with = "rfc3339")]
    pub changed: OffsetDateTime,
    /// When its time to live is over and it is deleted; null: never.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was deleted, where it was.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub deleted_at: Option<OffsetDateTime>,
    /// Until when it can be restored, where it was deleted; then its home is removed.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub restorable_until: Option<OffsetDateTime>,
    /// Its agent, where one runs.
    #[schema(required = true)]
    pub agent: Option<Agent>,
    /// Its home directory, as its own programs see it.
    pub home: String,
    /// The command that opens a shell in it.
    pub ssh: String,
    /// Its addresses for browsers.
    pub urls: Urls,
    /// Whether the one who asks may enter it, and not only administer it.
    pub may_enter: bool,
}

/// The process that serves a workspace from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its version.
    pub version: String,
    /// Whether it is connected.
    pub connected: bool,
}

/// A workspace's addresses for browsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Urls {
    /// VS Code in the browser.
    pub editor: String,
    /// A web application; `{port}` stands for its port.
    pub application_template: String,
}

/// Creates a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspace {
    /// Its name.
    pub name: WorkspaceName,
    /// Whether it starts at once.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub start: bool,
    /// Whose it will be; default: the caller's. Administrators alone name others.
    #[serde(default)]
    pub owner: Option<UserName>,
    /// What it is made from; default: what the server's configuration says.
    #[serde(default)]
    pub template: Option<TemplateName>,
    /// The snapshot that it is made from, its home included, instead; of the same owner's.
    #[serde(default)]
    pub snapshot: Option<SnapshotId>,
    /// Processors, where the template leaves a choice.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2")]
    pub cpus: Option<Cpus>,
    /// Memory, where the template leaves a choice.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "4GiB")]
    pub memory: Option<Size>,
}

const fn yes() -> bool {
    true
}

/// Which workspaces, and which page of them.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WorkspaceQuery {
    /// Of this owner alone.
    #[serde(default)]
    pub owner: Option<UserName>,
    /// With this name alone.
    #[serde(default)]
    pub name: Option<WorkspaceName>,
    /// In this state alone.
    #[serde(default)]
    pub state: Option<StateName>,
    /// The deleted ones of which something is left, instead of those that live.
    #[serde(default)]
    #[param(default = false)]
    pub deleted: Option<bool>,
    /// Most entries of the page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default)]
    #[param(max_length = 100, pattern = "^[A-Za-z0-9._-]+$")]
    pub cursor: Option<String>,
}

/// Whether to wait for the end of what goes on.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// How many seconds the answer may wait until the workspace is neither starting
    /// nor stopping, or is gone.
    #[serde(default)]
    #[param(minimum = 0, maximum = 60, default = 0)]
    pub wait: Option<u32>,
}

/// How a workspace is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Whether its home is removed at once, of a deleted workspace too. It can't be
    /// restored.
    #[serde(default)]
    #[param(default = false)]
    pub purge: Option<bool>,
    /// How many seconds the answer may wait until it is deleted, or nothing is left.
    #[serde(default)]
    #[param(minimum = 0, maximum = 60, default = 0)]
    pub wait: Option<u32>,
}

/// Changes a workspace; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeWorkspace {
    /// Its name from now on.
    #[serde(default)]
    pub name: Option<WorkspaceName>,
    /// Whose it is from now on; for administrators alone.
    #[serde(default)]
    pub owner: Option<UserName>,
}

/// Has a workspace live longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendWorkspace {
    /// For how many seconds from now on; default: its template's time to live, which is
    /// the most, too.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub seconds: Option<u64>,
}

/// Has a deleted workspace live again.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreWorkspace {
    /// Its name from now on; default: the one that it had.
    #[serde(default)]
    pub name: Option<WorkspaceName>,
}

/// Whose limits.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LimitsQuery {
    /// Of this user; default: the caller's. Administrators alone name others.
    #[serde(default)]
    pub user: Option<UserName>,
}

/// Which part of a log.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// How many of the last lines.
    #[serde(default)]
    #[param(minimum = 0, maximum = 100_000, default = 1000)]
    pub tail: Option<u32>,
    /// What was logged from this time on.
    #[serde(default, with = "rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<OffsetDateTime>,
    /// What was logged up to this time.
    #[serde(default, with = "rfc3339::option")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<OffsetDateTime>,
    /// Whether a browser is to keep it as a file.
    #[serde(default)]
    pub download: Option<bool>,
}

/// Who may open a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Visibility)]
pub enum VisibilityName {
    /// The workspace's owner.
    Private,
    /// Everybody who is signed in.
    Members,
    /// Everybody.
    Public,
}

/// A port of a workspace: one that something listens on, that others may open, or that its
/// template names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Port {
    /// The port.
    pub port: u16,
    /// What it is, where the workspace's template says so.
    #[schema(required = true)]
    pub name: Option<String>,
    /// The address that is listened on; null where nothing listens.
    #[schema(required = true)]
    pub address: Option<String>,
    /// Name of the process that listens.
    #[schema(required = true)]
    pub process: Option<String>,
    /// Its id.
    #[schema(required = true)]
    pub pid: Option<u32>,
    /// Since when it listens.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub since: Option<OffsetDateTime>,
    /// Whether something listens.
    pub listening: bool,
    /// Who may open it.
    pub visibility: VisibilityName,
    /// When it is private again; null: when somebody says so.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub expires_at: Option<OffsetDateTime>,
    /// Its address for browsers.
    pub url: String,
}

/// Who may open a port from now on.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPort {
    /// Who may open it.
    pub visibility: VisibilityName,
    /// When it is private again; default: when somebody says so.
    #[serde(default, with = "rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// Who may open a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortSetting {
    /// The port.
    pub port: u16,
    /// Who may open it.
    pub visibility: VisibilityName,
    /// When it is private again; null: when somebody says so.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub expires_at: Option<OffsetDateTime>,
    /// Its address for browsers.
    pub url: String,
}

impl From<Visibility> for VisibilityName {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Private => Self::Private,
            Visibility::Members => Self::Members,
            Visibility::Public => Self::Public,
        }
    }
}

impl From<VisibilityName> for Visibility {
    fn from(visibility: VisibilityName) -> Self {
        match visibility {
            VisibilityName::Private => Self::Private,
            VisibilityName::Members => Self::Members,
            VisibilityName::Public => Self::Public,
        }
    }
}

/// Where a connection goes inside a workspace.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForwardQuery {
    /// The port.
    #[param(value_type = u16, minimum = 1, maximum = 65535)]
    pub port: std::num::NonZeroU16,
    /// Host that it is on, seen from the workspace.
    #[serde(default)]
    #[param(max_length = 255, default = "localhost")]
    pub host: Option<String>,
}
