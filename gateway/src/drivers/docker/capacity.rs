//! What an engine's host has, and what is taken of it.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;

use super::containers::Containers;
use super::spec;
use crate::drivers::DriverError;
use crate::names::WorkspaceId;

/// What a host has, and what of this installation runs there.
#[derive(Clone, Debug)]
pub(super) struct Capacity {
    /// Its memory, in bytes.
    pub(super) memory: u64,
    /// The memory that each running workspace may use, in bytes; all where absent.
    pub(super) running: HashMap<WorkspaceId, Option<u64>>,
}

impl Containers {
    /// Tells what the host has, and what is taken.
    pub(super) async fn capacity(&self) -> Result<Capacity, DriverError> {
        let client = self.engine().client().await?;
        let info = client.info().await;
        let info = info.map_err(|error| self.engine().failed("tell about its host", error))?;
        let label = format!("{}={}", spec::INSTALLATION, self.installation());
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListContainersOptionsBuilder::new()
            .filters(&filters)
            .build();
        let listed = client.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| self.engine().failed("list the containers", error))?;
        let labels = listed.into_iter().filter_map(|found| found.labels);
        let running = labels.filter_map(|labels| {
            let id = labels.get(spec::WORKSPACE)?.parse().ok()?;
            let memory = labels.get(spec::MEMORY);
            Some((id, memory.and_then(|bytes| bytes.parse().ok())))
        });
        let memory = info.mem_total.and_then(|bytes| u64::try_from(bytes).ok());
        Ok(Capacity {
            memory: memory.unwrap_or_default(),
            running: running.collect(),
        })
    }
}
