//! Looks now and then at what homes and snapshots take up.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::Shared;
use crate::chain::chain;
use crate::drivers::DriverError;
use crate::events::{Kind, NewEvent};

/// Part of the time that measuring may take: a twentieth.
const SHARE: u32 = 20;

/// Measures until the gateway ends.
pub(super) async fn measure(shared: Arc<Shared>) {
    tokio::select! {
        () = shared.stop.cancelled() => {}
        never = measure_all(&shared) => match never {},
    }
}

async fn measure_all(shared: &Shared) -> std::convert::Infallible {
    loop {
        let since = Instant::now();
        count_snapshots(shared).await;
        match shared.driver.sizes().await {
            Ok(sizes) => {
                debug!(homes = sizes.len(), elapsed = ?since.elapsed(), "homes measured");
                for (id, size) in sizes {
                    shared.ledger.measured(&id, size);
                }
                tell(shared);
            }
            // Told of by whoever needs it.
            Err(DriverError::EngineUnreachable { .. }) => {}
            Err(error) => warn!(error = chain(&error), "the homes can't be measured"),
        }
        let pause: Duration = since.elapsed() * SHARE;
        sleep(pause.max(shared.options.measure_pause)).await;
    }
}

/// Counts what snapshots take up, as their records say.
pub(super) async fn count_snapshots(shared: &Shared) {
    match shared.store.snapshots().await {
        Ok(snapshots) => {
            let sizes = snapshots.into_iter();
            let sizes = sizes.map(|one| (one.owner, one.size.unwrap_or_default()));
            shared.ledger.kept(sizes);
        }
        Err(error) => warn!(error = chain(&error), "the snapshots can't be counted"),
    }
}

/// Tells of people who have too much.
fn tell(shared: &Shared) {
    for workspace in shared.ledger.newly_over() {
        let usage = shared.ledger.usage(Some(&workspace.owner));
        let limit = shared.ledger.limits().user.disk.unwrap_or_default();
        warn!(owner = %workspace.owner_name, used = usage.disk, limit, "homes and snapshots are larger than the limit");
        let mut about = NewEvent::of_workspace(Kind::DiskLimitExceeded, &workspace);
        // It is about all that they have.
        about.workspace = None;
        about.says("used-bytes", &usage.disk.to_string());
        about.says("limit-bytes", &limit.to_string());
        shared.events.record(about);
    }
}
