//! What a client has proven in its log-in.

use tokio_util::sync::CancellationToken;

use crate::identity::{Admitted, Hold, SshActions, User};

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
    /// Its share in the approval that let it in, if one did.
    pub(super) hold: Option<Hold>,
}

impl Proof {
    /// A key of theirs.
    pub(super) fn key(user: User) -> Self {
        Self {
            user,
            by: "key",
            actions: SshActions::all(),
            ends: Vec::new(),
            hold: None,
        }
    }

    /// Their word in a browser.
    pub(super) fn approved(user: User, hold: Hold, revoked: CancellationToken) -> Self {
        Self {
            user,
            by: "browser",
            actions: SshActions::all(),
            ends: vec![hold.over(), revoked],
            hold: Some(hold),
        }
    }

    /// A certificate's key.
    pub(super) fn certificate(Admitted { record, ends }: Admitted) -> Self {
        Self {
            user: record.user,
            by: "certificate",
            actions: record.actions,
            ends: ends.into(),
            hold: None,
        }
    }
}
