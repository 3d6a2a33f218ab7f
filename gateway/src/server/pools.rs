//! Keeps workspaces ready, as templates want it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::chain::chain;
use crate::config::StartupConfig;
use crate::templates::{Poolable, Templates};
use crate::workspaces::Workspaces;

/// Pause between two looks: templates' files are read for each.
const PAUSE: Duration = Duration::from_millis(100);

/// Pause after one that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Tells which templates may keep workspaces ready.
pub(super) fn poolable(startup: &StartupConfig) -> Poolable {
    if startup.secrets.is_empty() {
        Poolable::Any
    } else if startup.script.is_none() {
        Poolable::WithoutScript
    } else {
        Poolable::None
    }
}

/// Looks at pools at once, then whenever there may be something to do, until `stop`.
pub(super) async fn run(workspaces: Workspaces, templates: Templates, stop: CancellationToken) {
    // In a box: keeping them takes a large future.
    let work = Box::pin(async {
        loop {
            let pause = match templates.pools().await {
                Ok(wanted) => workspaces.keep_pools(&wanted).await,
                Err(error) => {
                    warn!(error = chain(&error), "can't tell what is to be kept ready");
                    AFTER_FAILURE
                }
            };
            sleep(PAUSE).await;
            let _ = timeout(pause, workspaces.pools_to_look_at()).await;
        }
    });
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}
