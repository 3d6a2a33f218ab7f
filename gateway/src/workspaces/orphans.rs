//! What is left of workspaces that are no more.
//!
//! A deletion removes everything before the record, so there is something only where
//! records were lost or put back from an older copy. What can be made anew is ended and
//! removed; homes are somebody's work, and only told of.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::Shared;
use crate::chain::chain;
use crate::drivers::DriverError;
use crate::names::WorkspaceId;

/// Ends and releases what runs of workspaces that have no record, until the gateway
/// ends.
pub(super) async fn release(shared: Arc<Shared>) {
    tokio::select! {
        () = shared.stop.cancelled() => {}
        () = release_all(&shared) => {}
    }
}

async fn release_all(shared: &Shared) {
    let kept = loop {
        match shared.driver.kept().await {
            Ok(kept) => break kept,
            Err(DriverError::EngineUnreachable { .. }) => {
                sleep(shared.options.recovery_pause).await;
            }
            Err(error) => {
                warn!(error = chain(&error), "can't look for what workspaces left");
                return;
            }
        }
    };
    for id in kept {
        // A record is there before anything else is, and ids aren't used again: what
        // has none now will have none.
        match shared.store.workspace(&id).await {
            Ok(Some(_)) => {}
            Ok(None) => match release_one(shared, &id).await {
                Ok(()) => warn!(workspace = %id, "a home without a workspace is kept"),
                Err(error) => {
                    let error = chain(&error);
                    warn!(workspace = %id, error, "can't remove what a workspace left");
                }
            },
            Err(error) => {
                warn!(error = chain(&error), "can't look for what workspaces left");
                return;
            }
        }
    }
}

async fn release_one(shared: &Shared, id: &WorkspaceId) -> Result<(), DriverError> {
    shared.driver.stop(id, Duration::ZERO).await?;
    shared.driver.release(id).await
}
