//! What is left of workspaces that are no more.
//!
//! A deletion removes everything before the record, so there is something only where
//! records were lost or put back from an older copy. What can be made anew is ended and
//! removed; homes are somebody's work, and only told of.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::Shared;
use crate::chain::chain;
use crate::drivers::DriverError;
use crate::names::WorkspaceId;

/// Longest pause before it is tried again.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How many of the pauses before a driver is asked again are between two looks: an engine may
/// come to what a gateway asked it for when that is gone.
const LOOKS_APART: u32 = 600;

/// Ends and releases what runs of workspaces that have no record, now and later, until the
/// gateway ends.
pub(super) async fn release(shared: Arc<Shared>) {
    tokio::select! {
        () = shared.stop.cancelled() => {}
        never = look_now_and_then(&shared) => match never {},
    }
}

async fn look_now_and_then(shared: &Shared) -> Infallible {
    let mut told = HashSet::new();
    loop {
        release_all(shared, &mut told).await;
        sleep(shared.options.recovery_pause * LOOKS_APART).await;
    }
}

/// Tries until nothing is left to do, also where that can only be told later. Adds those to
/// `told` whose homes are kept.
async fn release_all(shared: &Shared, told: &mut HashSet<WorkspaceId>) {
    let mut pause = shared.options.recovery_pause;
    let mut done = HashSet::new();
    loop {
        let kept = match shared.driver.kept().await {
            Ok(kept) => kept,
            // Told of by whoever needs it.
            Err(DriverError::EngineUnreachable { .. }) => {
                sleep(shared.options.recovery_pause).await;
                continue;
            }
            Err(error) => {
                warn!(error = chain(&error), "can't look for what workspaces left");
                rest(&mut pause).await;
                continue;
            }
        };
        release_some(shared, &kept.workspaces, (&mut done, told)).await;
        let is_done = kept.workspaces.iter().all(|id| done.contains(id));
        if is_done && kept.unknown.is_none() {
            return;
        }
        rest(&mut pause).await;
    }
}

/// Waits, the next time for longer.
async fn rest(pause: &mut Duration) {
    sleep(*pause).await;
    *pause = pause.saturating_mul(2).min(MAX_PAUSE);
}

/// Adds those to `done` of which nothing is left to do.
async fn release_some(
    shared: &Shared,
    kept: &[WorkspaceId],
    (done, told): (&mut HashSet<WorkspaceId>, &mut HashSet<WorkspaceId>),
) {
    for id in kept {
        if done.contains(id) {
            continue;
        }
        // A record is there before anything else is, and ids aren't used again: what
        // has none now will have none.
        let released = match shared.store.workspace(id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                let released = release_one(shared, id).await;
                if released.is_ok() && told.insert(id.clone()) {
                    warn!(workspace = %id, "a home without a workspace is kept");
                }
                released
            }
            Err(error) => {
                let error = chain(&error);
                warn!(workspace = %id, error, "can't look for what workspaces left");
                continue;
            }
        };
        match released {
            Ok(()) => drop(done.insert(id.clone())),
            Err(error) => {
                let error = chain(&error);
                warn!(workspace = %id, error, "can't remove what a workspace left");
            }
        }
    }
}

async fn release_one(shared: &Shared, id: &WorkspaceId) -> Result<(), DriverError> {
    shared.driver.stop(id, Duration::ZERO).await?;
    shared.driver.release(id).await
}
