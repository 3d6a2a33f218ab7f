//! What certificates allow beside running programs and moving files.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What may be done on a connection beside running programs and moving files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SshAction {
    /// To have a terminal (`pty-req`).
    Pty,
    /// To forward ports and Unix sockets, either way.
    PortForwarding,
    /// To forward the authentication agent.
    AgentForwarding,
    /// To forward X11.
    X11Forwarding,
}

/// What is allowed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshActions(BTreeSet<SshAction>);

/// A text that names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an action is 'pty', 'port-forwarding', 'agent-forwarding' or 'x11-forwarding'")]
pub struct InvalidSshAction;

impl SshAction {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::Pty,
        Self::PortForwarding,
        Self::AgentForwarding,
        Self::X11Forwarding,
    ];

    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pty => "pty",
            Self::PortForwarding => "port-forwarding",
            Self::AgentForwarding => "agent-forwarding",
            Self::X11Forwarding => "x11-forwarding",
        }
    }

    /// Returns the certificate's extension that allows it.
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Pty => "permit-pty",
            Self::PortForwarding => "permit-port-forwarding",
            Self::AgentForwarding => "permit-agent-forwarding",
            Self::X11Forwarding => "permit-X11-forwarding",
        }
    }
}

impl fmt::Display for SshAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SshAction {
    type Err = InvalidSshAction;

    fn from_str(text: &str) -> Result<Self, InvalidSshAction> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(InvalidSshAction)
    }
}

impl SshActions {
    /// All there are: what a key allows.
    pub fn all() -> Self {
        SshAction::ALL.into_iter().collect()
    }

    /// Tells whether something is allowed.
    pub fn allows(&self, action: SshAction) -> bool {
        self.0.contains(&action)
    }

    /// Returns what is allowed.
    pub fn iter(&self) -> impl Iterator<Item = SshAction> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<SshAction> for SshActions {
    fn from_iter<T: IntoIterator<Item = SshAction>>(actions: T) -> Self {
        Self(actions.into_iter().collect())
    }
}
