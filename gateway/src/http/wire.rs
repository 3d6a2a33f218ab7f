//! What both APIs say in the same words: the one on the administration socket and
//! the one under `/api/v1`.

pub mod sleep;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A public host key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostKey {
    /// Its algorithm, as SSH names it.
    pub algorithm: String,
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
}

/// Where a workspace is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = WorkspaceState)]
pub enum StateName {
    /// Never started.
    Created,
    /// On its way up.
    Starting,
    /// Takes connections.
    Running,
    /// On its way down.
    Stopping,
    /// Down, until somebody starts it.
    Stopped,
    /// Down, until somebody comes.
    Asleep,
    /// Down, though it should run.
    Failed,
    /// Nobody knows: the host that it is on doesn't answer. It goes on once that does.
    Unreachable,
    /// Deleted, and its home still kept.
    Deleted,
}

/// Why a workspace failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

/// A program that was killed because its workspace's memory was used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KilledProgram {
    /// Its name; null: unknown.
    #[schema(required = true)]
    pub program: Option<String>,
    /// Its process id in the workspace; null: unknown.
    #[schema(required = true)]
    pub pid: Option<u32>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub time: time::OffsetDateTime,
}

/// How much there may be of something that is counted, and is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountLimit {
    /// How much there may be; null: anything.
    #[schema(required = true)]
    pub limit: Option<u64>,
    /// How much there is.
    pub used: u64,
}

/// How many processors there may be, and are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CpusLimit {
    /// How many there may be; null: any number.
    #[schema(required = true)]
    pub limit: Option<f64>,
    /// How many there are.
    pub used: f64,
}

/// What homes may take up, and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskLimit {
    /// Beyond how many bytes nothing more is made or started; null: none.
    #[schema(required = true)]
    pub limit: Option<u64>,
    /// How many bytes there were; null: not measured yet.
    #[schema(required = true)]
    pub used: Option<u64>,
    /// When the first of the homes was measured.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub measured_at: Option<time::OffsetDateTime>,
}

/// What workspaces may be together, and are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Allotment {
    /// How many there are, without deleted ones.
    pub workspaces: CountLimit,
    /// How many run.
    pub running: CountLimit,
    /// Processors that those may use.
    pub cpus: CpusLimit,
    /// Memory that those may use, in bytes.
    pub memory_bytes: CountLimit,
    /// What the homes take up, those of deleted workspaces too.
    pub disk_bytes: DiskLimit,
}

/// What a user may have, and has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsView {
    /// Whose they are.
    pub user: crate::names::UserName,
    /// What the user may have, and has.
    pub own: Allotment,
    /// What all may have together, and have; null: for administrators alone.
    #[schema(required = true)]
    pub total: Option<Allotment>,
}

/// What a user may do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Role)]
pub enum RoleName {
    /// Administers the server.
    Admin,
    /// Has workspaces.
    #[default]
    Member,
}

/// A link that signs somebody in once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInLink {
    /// The link, to be handed to whom it is for.
    pub url: String,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: time::OffsetDateTime,
}

/// The link itself isn't printed.
impl fmt::Debug for SignInLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SignInLink");
        shown
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_link_is_not_printed() {
        let link = SignInLink {
            url: "https://localhost/sign-in#link=s3cret".to_owned(),
            expires_at: time::OffsetDateTime::UNIX_EPOCH,
        };
        let printed = format!("{link:?}");
        assert!(
            printed.contains("1970") && !printed.contains("s3cret"),
            "{printed}"
        );
    }
}
