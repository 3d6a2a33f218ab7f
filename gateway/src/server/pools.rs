//! Keeps workspaces ready, as templates want it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::chain::chain;
use crate::config::StartupConfig;
use crate::templates::{AtStart, Templates};
use crate::workspaces::Workspaces;

/// Pause between two looks: templates' files are read for each.
const PAUSE: Duration = Duration::from_millis(100);

/// Pause after one that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Returns what all workspaces get and run.
pub(super) fn at_start(startup: &StartupConfig) -> AtStart {
    AtStart {
        secrets: !startup.secrets.is_empty(),
        script: startup.script.is_some(),
    }
}

/// Looks at pools at once, then whenever there may be something to do, until `stop`.
pub(super) async fn run(workspaces: Workspaces, templates: Templates, stop: CancellationToken) {
    // In a box: keeping them takes a large future.
    let work = Box::pin(async {
        loop {
            workspaces.make_room().await;
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
