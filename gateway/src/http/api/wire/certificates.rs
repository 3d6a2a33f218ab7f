//! SSH user certificates.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::ToSchema;

use crate::identity::SshAction;

/// What may be done on an SSH connection beside running programs and moving files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = SshAction)]
pub enum ActionName {
    /// To have a terminal.
    Pty,
    /// To forward ports and Unix sockets, either way.
    PortForwarding,
    /// To forward the authentication agent.
    AgentForwarding,
    /// To forward X11.
    X11Forwarding,
}

/// Asks for an SSH user certificate.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignSshCertificate {
    /// The public key that it is for, as in a `.pub` file.
    #[schema(min_length = 1, max_length = 16384)]
    pub public_key: String,
    /// For how many seconds. Absent: 8 hours; never longer than the token that asks.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86_400)]
    pub valid_seconds: Option<u32>,
    /// Addresses and networks that it counts from. Absent or empty: from everywhere.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub source_addresses: Option<Vec<String>>,
    /// Names of the workspaces that it leads to. Absent or empty: to all of one's own.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub workspaces: Option<Vec<String>>,
    /// What it allows beside running programs and moving files. Absent: everything.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub actions: Option<Vec<ActionName>>,
}

/// An SSH user certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshCertificate {
    /// Its serial number.
    pub serial: u64,
    /// What it is called in logs.
    pub key_id: String,
    /// The fingerprint of the key that it is for.
    pub fingerprint: String,
    /// What it stands for: its user, or single workspaces as `WORKSPACE.OWNER`.
    pub principals: Vec<String>,
    /// Networks that it counts from; empty: from everywhere.
    pub source_addresses: Vec<String>,
    /// What it allows.
    pub actions: Vec<ActionName>,
    /// When it was signed.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When it ends.
    #[serde(with = "rfc3339")]
    pub expires_at: OffsetDateTime,
    /// When it was revoked; null: it wasn't.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub revoked: Option<OffsetDateTime>,
}

/// A certificate that was signed just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedSshCertificate {
    /// The certificate, as in a `-cert.pub` file.
    pub certificate: String,
    /// What is recorded of it.
    pub about: SshCertificate,
}

impl From<SshAction> for ActionName {
    fn from(action: SshAction) -> Self {
        match action {
            SshAction::Pty => Self::Pty,
            SshAction::PortForwarding => Self::PortForwarding,
            SshAction::AgentForwarding => Self::AgentForwarding,
            SshAction::X11Forwarding => Self::X11Forwarding,
        }
    }
}

impl From<ActionName> for SshAction {
    fn from(name: ActionName) -> Self {
        match name {
            ActionName::Pty => Self::Pty,
            ActionName::PortForwarding => Self::PortForwarding,
            ActionName::AgentForwarding => Self::AgentForwarding,
            ActionName::X11Forwarding => Self::X11Forwarding,
        }
    }
}
