//! Whose a workspace is, and until when.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::state::Workspace;
use crate::names::UserId;

/// The time for which somebody owns a workspace.
#[derive(Clone, Debug)]
struct Tenure {
    owner: UserId,
    ended: CancellationToken,
}

/// Held by a workspace's task, which alone changes the owner.
#[derive(Debug)]
pub(super) struct Owned(watch::Sender<Tenure>);

/// Tells whose a workspace is. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Owner(watch::Receiver<Tenure>);

impl Owned {
    pub(super) fn by(owner: UserId) -> Self {
        let ended = CancellationToken::new();
        Self(watch::Sender::new(Tenure { owner, ended }))
    }

    pub(super) fn watch(&self) -> Owner {
        Owner(self.0.subscribe())
    }

    /// Gives the workspace to somebody: what its owner until now has open ends.
    pub(super) fn pass_on(&self, owner: UserId) {
        let ended = CancellationToken::new();
        let before = self.0.send_replace(Tenure { owner, ended });
        before.ended.cancel();
    }
}

impl Owner {
    /// Returns what is cancelled once a workspace isn't its owner's any more, as far as
    /// that copy knows the owner.
    pub(super) fn tenure(&self, workspace: &Workspace) -> CancellationToken {
        let tenure = self.0.borrow();
        if tenure.owner == workspace.owner {
            return tenure.ended.clone();
        }
        let ended = CancellationToken::new();
        ended.cancel();
        ended
    }
}
