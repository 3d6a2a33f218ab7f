//! What a client has proven in its log-in.

use tokio_util::sync::CancellationToken;

use crate::identity::{Admitted, SshActions, User};

/// Whom a log-in signs in, by what, and what ends it.
#[derive(Debug)]
pub(super) struct Proof {
    /// Whose it is.
    pub(super) user: User,
    /// What they showed, for the log.
    pub(super) by: &'static str,
    /// What they may do.
    pub(super) actions: SshActions,
    /// What the connection ends with, whichever is cancelled first.
    pub(super) ends: Vec<CancellationToken>,
}

impl Proof {
    /// A key of theirs.
    pub(super) fn key(user: User) -> Self {
        Self {
            user,
            by: "key",
            actions: SshActions::all(),
            ends: Vec::new(),
        }
    }

    /// Their word in a browser.
    pub(super) fn approved(user: User, ends: [CancellationToken; 2]) -> Self {
        Self {
            user,
            by: "browser",
            actions: SshActions::all(),
            ends: ends.into(),
        }
    }

    /// A certificate's key.
    pub(super) fn certificate(Admitted { record, ends }: Admitted) -> Self {
        Self {
            user: record.user,
            by: "certificate",
            actions: record.actions,
            ends: ends.into(),
        }
    }
}
