//! The network of an installation.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, NetworkConnectRequest, NetworkCreateRequest};
use bollard::query_parameters::InspectNetworkOptions;

use tracing::warn;

use super::containers::Containers;
use super::engine::{is_conflict, is_missing};
use super::spec;
use crate::drivers::DriverError;

/// Whether containers of a bridge reach each other.
const BETWEEN_CONTAINERS: &str = "com.docker.network.bridge.enable_icc";

impl Containers {
    /// Makes the installation's network, unless it is there. Containers in it reach
    /// the world, not each other.
    pub(super) async fn have_network(&self) -> Result<(), DriverError> {
        let name = spec::network(&self.installation);
        if self.has_network(&name).await? {
            return Ok(());
        }
        let _turn = self.making.lock().await;
        if self.has_network(&name).await? {
            return Ok(());
        }
        let label = (spec::INSTALLATION.to_owned(), self.installation.to_string());
        let apart = BETWEEN_CONTAINERS.to_owned();
        let request = NetworkCreateRequest {
            name,
            driver: Some("bridge".to_owned()),
            options: Some(HashMap::from([(apart, "false".to_owned())])),
            labels: Some(HashMap::from([label])),
            ..NetworkCreateRequest::default()
        };
        match self.engine.client().await?.create_network(request).await {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(self.engine.failed("make the network", error)),
        }
    }

    /// Puts a container back into its network.
    pub(super) async fn connect(&self, container: &str, network: &str) -> Result<(), DriverError> {
        warn!(
            container,
            network, "a container lost its network: it gets that back"
        );
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: None,
        };
        let client = self.engine.client().await?;
        let connected = client.connect_network(network, request).await;
        connected.map_err(|error| {
            self.engine
                .failed("put the container into its network", error)
        })
    }

    async fn has_network(&self, name: &str) -> Result<bool, DriverError> {
        let client = self.engine.client().await?;
        match client
            .inspect_network(name, None::<InspectNetworkOptions>)
            .await
        {
            Ok(found) => self
                .check(name.to_owned(), found.labels.as_ref())
                .map(|()| true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(self.engine.failed("look for the network", error)),
        }
    }
}

/// Returns the network that a container was made in, where it isn't in any: it would start
/// without one.
pub(super) fn lost(container: &ContainerInspectResponse) -> Option<String> {
    let settings = container.network_settings.as_ref()?;
    let is_in_one = settings.networks.as_ref().is_some_and(|it| !it.is_empty());
    let mode = container.host_config.as_ref()?.network_mode.clone()?;
    (!is_in_one && mode != "none" && mode != "host").then_some(mode)
}
