//! What ends an exchange early: a login that ended, a share that ran out, the gateway's end.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Ends an exchange when a login ends or a time has come, whichever is first. The
/// default never does.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// The login, or the token, by which the exchange is allowed.
    pub revoked: Option<CancellationToken>,
    /// What was shared with whoever isn't its owner; held while it is used.
    pub share: Option<Arc<CancellationToken>>,
    /// The time for which the workspace belongs to whom it did.
    pub tenure: Option<CancellationToken>,
    /// When what allows the exchange runs out.
    pub deadline: Option<Instant>,
    /// What becomes of it once the gateway is to end, where it was upgraded.
    pub at_stop: AtStop,
}

/// What becomes of an upgraded connection once the gateway is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtStop {
    /// It ends: whoever has it comes back by themselves.
    #[default]
    Ends,
    /// It goes on for as long as the gateway waits for what is open.
    GoesOn,
}

/// A [`Cut`] that is waited for.
pub(super) type Due = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Cut {
    /// Whether the exchange must end now.
    pub fn is_due(&self) -> bool {
        ended(self.revoked.as_ref())
            || ended(self.tenure.as_ref())
            || self
                .share
                .as_ref()
                .is_some_and(|share| share.is_cancelled())
            || self.deadline.is_some_and(|due| due <= Instant::now())
    }

    /// Whether what ends it is that the workspace belongs to somebody else, and nothing that
    /// happened to the caller.
    pub fn is_by_tenure(&self) -> bool {
        ended(self.tenure.as_ref()) && !ended(self.revoked.as_ref())
    }

    /// Whether it may ever end the exchange.
    pub(super) fn can_be(&self) -> bool {
        self.revoked.is_some()
            || self.tenure.is_some()
            || self.share.is_some()
            || self.deadline.is_some()
    }

    /// Waits until the exchange must end.
    pub async fn due(self) {
        let ended = async |token: &Option<CancellationToken>| match token {
            Some(token) => token.cancelled().await,
            None => pending().await,
        };
        let shared = async {
            match &self.share {
                Some(token) => token.cancelled().await,
                None => pending().await,
            }
        };
        let deadline = async {
            match self.deadline {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = ended(&self.revoked) => {}
            () = ended(&self.tenure) => {}
            () = shared => {}
            () = deadline => {}
        }
    }
}

fn ended(token: Option<&CancellationToken>) -> bool {
    token.is_some_and(CancellationToken::is_cancelled)
}
