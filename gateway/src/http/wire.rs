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
}

/// Why a workspace failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
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
