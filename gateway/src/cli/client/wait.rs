//! How long an answer is waited for.

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::ANSWER_TIMEOUT;

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// As long as a server takes that is well.
    Usual,
    /// As long as it works: what it does has no limit, and one that is away is noticed all
    /// the same, as the connection looks whether it is there.
    Forever,
}

impl Wait {
    /// Waits for an answer.
    pub(super) async fn answer<F: Future>(self, answer: F) -> Result<F::Output, Elapsed> {
        match self {
            Self::Usual => timeout(ANSWER_TIMEOUT, answer).await,
            Self::Forever => Ok(answer.await),
        }
    }
}
