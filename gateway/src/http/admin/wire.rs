//! What the administration API says, in JSON: the same shapes on both sides.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::config::{Cpus, Size};
pub use crate::http::api::wire::{
    PutTemplate, RebuildWorkspace, Template as TemplateView, WorkspaceTemplate,
};
pub use crate::http::wire::{Failure, HostKey, RoleName, SignInLink, StateName};
use crate::names::{TemplateName, UserId, UserName, WorkspaceId, WorkspaceName};

/// The server as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    #[serde(with = "rfc3339")]
    pub started: OffsetDateTime,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Where it takes SSH connections.
    pub ssh: String,
    /// Where it takes HTTPS connections.
    pub http: String,
    /// Its SSH host keys.
    pub host_keys: Vec<HostKey>,
    /// How many users there are.
    pub users: usize,
    /// How many workspaces there are.
    pub workspaces: usize,
    /// How many of them run.
    pub running: usize,
}

/// One workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceView {
    /// Its id, which no other workspace will ever have.
    pub id: WorkspaceId,
    /// Its name, unique among its owner's.
    pub name: WorkspaceName,
    /// Whose it is.
    pub owner: UserName,
    /// Where it is in its life.
    pub state: StateName,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What its start takes its time with, where there is something to tell; of a single
    /// workspace only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// The template that it was made from, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<WorkspaceTemplate>,
    /// What its repository says and isn't done, in lines for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// When it was created.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
}

/// Whether a template is only checked, as a query: `?check=true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutQuery {
    /// Nothing is written then.
    #[serde(default)]
    pub check: bool,
}

/// Asks for a new workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// Its name.
    pub name: WorkspaceName,
    /// Whose it will be; absent: that of the administrator named like the server's
    /// account, else of the first.
    #[serde(default)]
    pub owner: Option<UserName>,
    /// What happens once it is created.
    #[serde(default)]
    pub then: AfterCreate,
    /// What it is made from; absent: what the configuration says.
    #[serde(default)]
    pub template: Option<TemplateName>,
    /// Processors, where the template leaves a choice.
    #[serde(default)]
    pub cpus: Option<Cpus>,
    /// Memory, where the template leaves a choice.
    #[serde(default)]
    pub memory: Option<Size>,
}

/// What happens with a workspace once it is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCreate {
    /// It starts.
    #[default]
    Start,
    /// It starts with the first connection.
    Nothing,
}

/// Whether to wait, as a query: `?wait=30`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long the answer may wait for the end of what goes on, in seconds, at
    /// most 60: until the workspace is neither starting nor stopping, or is gone.
    /// Default: 0.
    #[serde(default)]
    pub wait: u64,
}

/// Which part of a log, as a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// How many of the last lines, at most 100,000. Default: 200.
    #[serde(default)]
    pub lines: Option<usize>,
    /// Whether what is written later follows.
    #[serde(default)]
    pub follow: bool,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// The id, which no other user will ever have.
    pub id: UserId,
    /// The name.
    pub name: UserName,
    /// What the user may do.
    pub role: RoleName,
    /// How many keys the user has.
    pub keys: usize,
    /// How many workspaces the user has.
    pub workspaces: usize,
}

/// Asks for a new user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name.
    pub name: UserName,
    /// What the user may do.
    #[serde(default)]
    pub role: RoleName,
    /// Public keys to begin with, in OpenSSH's form; all of them or none are added.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// One public key of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
    /// Its algorithm, as SSH names it.
    pub algorithm: String,
    /// What its owner wrote beside it.
    pub comment: String,
    /// Whose it is.
    pub user: UserName,
}

/// Asks for a key to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// The public key in OpenSSH's form: algorithm, base64, comment.
    pub key: String,
}
