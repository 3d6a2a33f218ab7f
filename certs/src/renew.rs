//! Keeps the gateway's certificate fresh.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::Authority;

/// Longest sleep between two looks: a clock that jumps is noticed within it.
const LONGEST: Duration = Duration::from_hours(1);

/// Pause after a renewal that failed.
const RETRY: Duration = Duration::from_mins(1);

/// Renews the gateway's certificate at two thirds of its life, each time, until
/// `stop`. A failure is logged and tried again: the old certificate still has a
/// third of its life.
pub async fn renew_forever(authority: Arc<Authority>, stop: CancellationToken) {
    loop {
        let pause = renew(&authority).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Renews where the time has come, and returns how long to wait for the next look.
async fn renew(authority: &Arc<Authority>) -> Duration {
    let due = authority
        .leaf
        .validity()
        .is_some_and(|validity| validity.renew_at() <= authority.now());
    if due {
        let authority = Arc::clone(authority);
        let renewed = tokio::task::spawn_blocking(move || authority.renew_gateway_leaf()).await;
        match renewed {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                error!(%error, cause, "can't renew the gateway's certificate, trying again");
                return RETRY;
            }
            Err(error) => {
                error!(%error, "the renewal of the gateway's certificate died, trying again");
                return RETRY;
            }
        }
    }
    let left = authority
        .leaf
        .validity()
        .map(|validity| validity.renew_at() - authority.now());
    match left.map(Duration::try_from) {
        Some(Ok(left)) => left.clamp(Duration::from_secs(1), LONGEST),
        Some(Err(_)) => RETRY,
        None => LONGEST,
    }
}
