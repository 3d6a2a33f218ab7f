//! What an engine keeps of workspaces: which they are, and their volumes beside the home.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptions,
};
use tokio::time::{Instant, sleep};

use super::containers::{Containers, PATIENCE, PAUSE, goes_on};
use super::spec;
use crate::drivers::DriverError;
use crate::names::WorkspaceId;

impl Containers {
    /// Removes the volumes that are a workspace's own.
    pub(super) async fn remove_volumes(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        let deadline = Instant::now() + PATIENCE;
        let label = format!("{}={}", spec::INSTALLATION, self.installation);
        let own = format!("{}={id}", spec::WORKSPACE);
        let filters = HashMap::from([("label", vec![label.as_str(), own.as_str()])]);
        let client = self.engine.client().await?;
        let failed = |error| self.engine.failed("remove a volume", error);
        loop {
            let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
            let listed = client.list_volumes(Some(options)).await.map_err(failed)?;
            let volumes = listed.volumes.unwrap_or_default();
            let Some(volume) = volumes.first() else {
                return Ok(());
            };
            match client
                .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
                .await
            {
                Ok(()) => {}
                // A container that is being removed still holds it.
                Err(error) if goes_on(&error, deadline) => sleep(PAUSE).await,
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Returns the workspaces that have a container or a home.
    pub(super) async fn kept(&self) -> Result<Vec<WorkspaceId>, DriverError> {
        let label = format!("{}={}", spec::INSTALLATION, self.installation);
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let client = self.engine.client().await?;
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let containers = client.list_containers(Some(options)).await;
        let containers =
            containers.map_err(|error| self.engine.failed("list the containers", error))?;
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let volumes = client.list_volumes(Some(options)).await;
        let volumes = volumes.map_err(|error| self.engine.failed("list the volumes", error))?;
        let labels = containers.into_iter().filter_map(|found| found.labels);
        let volumes = volumes.volumes.unwrap_or_default();
        let labels = labels.chain(volumes.into_iter().map(|found| found.labels));
        let mut ids: Vec<WorkspaceId> = labels
            .filter_map(|labels| labels.get(spec::WORKSPACE)?.parse().ok())
            .collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }
}
