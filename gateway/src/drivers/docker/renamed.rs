//! Containers of workspaces that somebody has given another name, started beside or paused.
//!
//! A container is a workspace's by its labels and by the home that it has: what is made by hand
//! of an image of one has the labels alone.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use bollard::models::ContainerSummaryStateEnum;
use bollard::query_parameters::{
    EventsOptionsBuilder, ListContainersOptionsBuilder, RenameContainerOptionsBuilder,
    StopContainerOptions,
};
use futures_util::StreamExt as _;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::containers::Containers;
use super::engine::{is_conflict, is_missing};
use super::spec;
use crate::chain::chain;
use crate::drivers::DriverError;
use crate::names::WorkspaceId;

/// What others do to containers that is looked at.
const EVENTS: [&str; 3] = ["start", "pause", "unpause"];

/// How long the engine's word is waited for before it is looked: a connection to another host
/// may be cut without a word.
const LOOK: Duration = Duration::from_mins(5);

/// Pause before an engine is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// A container of a workspace's with another name than that has.
struct Renamed {
    id: String,
    runs: bool,
}

impl Containers {
    /// Gives a workspace's container its name back, where it has another one. Tells whether
    /// there is one.
    pub(super) async fn name_again(&self, id: &WorkspaceId) -> Result<bool, DriverError> {
        let others = self.renamed(id).await?;
        // One that runs is what its workspace goes on in.
        let other = others.iter().find(|other| other.runs).or(others.first());
        let Some(other) = other else {
            return Ok(false);
        };
        let name = spec::container(id);
        warn!(workspace = %id, container = other.id, "a container was renamed: it gets its name back");
        let options = RenameContainerOptionsBuilder::new().name(&name).build();
        let client = self.engine.client().await?;
        match client.rename_container(&other.id, options).await {
            Ok(()) => Ok(true),
            // It went meanwhile, or another call was faster.
            Err(error) if is_missing(&error) || is_conflict(&error) => Ok(true),
            Err(error) => Err(self.engine.failed("give a container its name back", error)),
        }
    }

    /// Ends what runs of a workspace beside its container: both would write to its home.
    pub(super) async fn end_others(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        for other in self.renamed(id).await?.iter().filter(|other| other.runs) {
            let container = &other.id;
            warn!(workspace = %id, container, "a second container of a workspace is ended");
            let client = self.engine.patient_client().await?;
            let ended = client
                .stop_container(container, None::<StopContainerOptions>)
                .await;
            self.done("end a second container", ended)?;
        }
        Ok(())
    }

    /// Ends what is started beside a workspace's container as soon as that is, and takes note
    /// of it when others pause that, for as long as it is polled.
    pub(super) async fn keep_alone(&self, id: &WorkspaceId) -> Infallible {
        loop {
            if let Err(error) = self.watch_others(id).await {
                debug!(workspace = %id, error = chain(&error), "can't look for what others do");
            }
            sleep(PAUSE).await;
        }
    }

    /// Does so until the engine ends its word.
    async fn watch_others(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("event", EVENTS.map(str::to_owned).to_vec()),
            ("label", self.labels(id)),
        ]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let client = self.engine.client().await?;
        let mut events = pin!(client.events(Some(options)));
        // What was done before the engine heard of this it doesn't tell.
        let mut patience = PAUSE;
        while let Ok(Some(Ok(_))) | Err(_) = timeout(patience, events.next()).await {
            // A container that was renamed is the workspace's own.
            self.watched_state(id).await?;
            self.end_others(id).await?;
            patience = LOOK;
        }
        Ok(())
    }

    /// Returns the labels that what is a workspace's has in an engine.
    fn labels(&self, id: &WorkspaceId) -> Vec<String> {
        vec![
            format!("{}={}", spec::INSTALLATION, self.installation),
            format!("{}={id}", spec::WORKSPACE),
        ]
    }

    async fn renamed(&self, id: &WorkspaceId) -> Result<Vec<Renamed>, DriverError> {
        let filters = HashMap::from([("label", self.labels(id))]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let found = self.engine.client().await?.list_containers(Some(options));
        let found = found
            .await
            .map_err(|error| self.engine.failed("look for the container", error))?;
        let name = format!("/{}", spec::container(id));
        let renamed = found.into_iter().filter_map(|one| {
            use ContainerSummaryStateEnum::{DEAD, PAUSED, REMOVING, RESTARTING, RUNNING};
            let mut homes = one
                .mounts
                .iter()
                .flatten()
                .filter_map(|it| it.name.as_ref());
            let has_home = homes.any(|volume| spec::is_home(id, volume));
            let is_named = one.names.iter().flatten().any(|other| *other == name);
            if !has_home || is_named || matches!(one.state, Some(DEAD | REMOVING)) {
                return None;
            }
            let runs = matches!(one.state, Some(RUNNING | PAUSED | RESTARTING));
            Some(Renamed { id: one.id?, runs })
        });
        Ok(renamed.collect())
    }
}
