//! Removes what nothing needs any more: snapshots, and images that were built.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::chain::chain;
use crate::drivers::DriverError;
use crate::templates::Templates;
use crate::workspaces::{SnapshotError, Workspaces};

/// How often it is looked for, whatever happens.
const PERIOD: Duration = Duration::from_hours(1);

/// When it is looked for a second time; from then on, the time doubles up to [`PERIOD`]. An
/// engine may still be making what a gateway asked it for that is gone.
const SECOND: Duration = Duration::from_secs(10);

/// Pause between two looks: one costs some requests to the engine, and the files of
/// templates' builds are read for it.
const PAUSE: Duration = Duration::from_secs(3);

/// Pause after one that failed.
const AFTER_FAILURE: Duration = Duration::from_mins(1);

/// Looks for it at once, then whenever there may be something, until `stop`.
pub(super) async fn run(workspaces: Workspaces, templates: Templates, stop: CancellationToken) {
    let work = async {
        let mut period = SECOND;
        loop {
            let pause = match remove(&workspaces, &templates).await {
                Ok(()) => PAUSE,
                Err(SnapshotError::Driver(DriverError::EngineUnreachable { .. })) => {
                    debug!("what nothing needs is looked for once the engine is back");
                    AFTER_FAILURE
                }
                Err(error) => {
                    warn!(error = chain(&error), "can't look for what nothing needs");
                    AFTER_FAILURE
                }
            };
            sleep(pause).await;
            let _ = timeout(period, workspaces.may_have_unneeded()).await;
            period = (period * 2).min(PERIOD);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn remove(workspaces: &Workspaces, templates: &Templates) -> Result<(), SnapshotError> {
    let builds = match templates.builds().await {
        Ok(builds) => builds,
        Err(error) => {
            warn!(
                error = chain(&error),
                "can't tell which images templates need"
            );
            None
        }
    };
    workspaces.remove_unneeded(builds.as_deref()).await
}
