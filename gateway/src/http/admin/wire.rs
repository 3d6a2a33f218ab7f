//! What the administration API says, in JSON: the same shapes on both sides.

use std::path::PathBuf;

use devgate_protocol::Secret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::config::{Cpus, DriverName, Size};
pub use crate::http::api::wire::{
    CloneWorkspace, Event as EventView, ExtendWorkspace, PullSnapshot, PushSnapshot, PutTemplate,
    RebuildWorkspace, Snapshot as SnapshotView, SnapshotStateName, TakeSnapshot,
    Template as TemplateView, WorkspaceTemplate,
};
pub use crate::http::wire::sleep;
pub use crate::http::wire::{Failure, HostKey, KilledProgram, RoleName, SignInLink, StateName};
use crate::names::{TemplateName, UserId, UserName, WorkspaceId, WorkspaceName};
use crate::secrets::SecretName;

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
    /// What its workspaces are; an older server doesn't tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverName>,
    /// Where it takes SSH connections.
    pub ssh: String,
    /// Where it takes HTTPS connections.
    pub http: String,
    /// What the authority of its certificate hashes to, where that is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_fingerprint: Option<String>,
    /// Its SSH host keys.
    pub host_keys: Vec<HostKey>,
    /// How many users there are.
    pub users: usize,
    /// How many workspaces there are.
    pub workspaces: usize,
    /// How many of them run.
    pub running: usize,
    /// How long the home of a deleted workspace is kept, in seconds.
    #[serde(default)]
    pub delete_grace_seconds: u64,
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
    /// The last program that was killed for want of memory; of a single workspace only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_memory: Option<KilledProgram>,
    /// Why its start-up failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_failure: Option<String>,
    /// Whether it runs, as far as is known, and its agent can't be reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub agent_unreachable: bool,
    /// What its repository says and isn't done, in lines for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// When it was created.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When its time to live is over and it is deleted; absent: never.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<OffsetDateTime>,
    /// When it was deleted, where it was.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub deleted: Option<OffsetDateTime>,
    /// Until when it can be restored, where it was deleted.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub restorable_until: Option<OffsetDateTime>,
}

/// What is left of a workspace that is deleted, as a query: `?purge=true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Whether nothing is, at once.
    #[serde(default)]
    pub purge: bool,
}

/// Whose limits, as a query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsQuery {
    /// Of this user alone.
    #[serde(default)]
    pub user: Option<UserName>,
}

/// Changes a workspace; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeWorkspace {
    /// Its name from now on.
    #[serde(default)]
    pub name: Option<WorkspaceName>,
    /// Whose it is from now on.
    #[serde(default)]
    pub owner: Option<UserName>,
}

/// Has a deleted workspace live again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Its name from now on; absent: the one that it had.
    #[serde(default)]
    pub name: Option<WorkspaceName>,
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
    /// The snapshot that it is made from instead: its id, `NAME` or `NAME.OWNER`.
    #[serde(default)]
    pub snapshot: Option<String>,
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

/// Asks for a workspace to be made anew from a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// Which one, by name; absent: that which it was taken of.
    #[serde(default)]
    pub workspace: Option<String>,
}

/// Asks for a snapshot of a registry's.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequest {
    /// Whose it will be; absent: that of the administrator named like the server's
    /// account, else of the first.
    #[serde(default)]
    pub owner: Option<UserName>,
    /// What is asked for.
    pub pull: PullSnapshot,
}

/// How many events, as a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// At most 1000. Default: 50.
    #[serde(default)]
    pub lines: Option<u32>,
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
    /// From this time on, RFC 3339.
    #[serde(default, with = "rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// Up to this time.
    #[serde(default, with = "rfc3339::option")]
    pub until: Option<OffsetDateTime>,
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
    /// How many keys the user has; absent where only they see that.
    pub keys: Option<usize>,
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

/// A secret, without what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretView {
    /// Its name.
    pub name: SecretName,
    /// When it was first set.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When it was last set.
    #[serde(with = "rfc3339")]
    pub changed: OffsetDateTime,
}

/// Sets a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSecret {
    /// What it is.
    pub value: Secret<String>,
}
