//! Making one layer of many.
//!
//! An engine takes no more than 127 layers, and each costs a look-up wherever a file is
//! opened; a snapshot of what was restored from a snapshot has two more each time.

use bollard::models::{ContainerConfig, ContainerCreateBody, HostConfig, ImageInspect};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::TryStreamExt as _;
use tracing::info;

use super::containers::{Containers, PATIENCE};
use super::doings::Doing;
use super::engine::{is_conflict, is_missing};
use super::{image, spec, transfer};
use crate::drivers::DriverError;
use crate::names::SnapshotId;

/// Most layers of a snapshot.
pub(super) const MAX_LAYERS: usize = 40;

/// Returns how many layers an image has.
pub(super) fn layers(image: &ImageInspect) -> usize {
    let layers = image.root_fs.as_ref().and_then(|root| root.layers.as_ref());
    layers.map_or(0, Vec::len)
}

impl Containers {
    /// Makes a snapshot's image anew with few layers, from the container that it was made
    /// of and that has all its files.
    pub(super) async fn flatten(
        &self,
        id: &SnapshotId,
        container: &str,
        before: ImageInspect,
        doing: &Doing<'_>,
    ) -> Result<(), DriverError> {
        let engine = self.engine();
        doing.tell("making one layer of many".to_owned());
        let client = engine.patient_client().await?;
        let repository = spec::snapshots(&self.installation);
        let tag = flat(id);
        let (chunks, carried) = transfer::counted(client.export_container(container));
        let body = bollard::body_try_stream(chunks);
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(&repository)
            .tag(&tag)
            .build();
        let steps = client.create_image(Some(options), Some(body), None);
        let import = steps.try_for_each(|_| std::future::ready(Ok(())));
        let imported = transfer::telling(import, &carried, doing, "making one layer of many");
        let imported = imported.await;
        if let Some(error) = carried.failure() {
            return Err(engine.failed("read a snapshot's files", error));
        }
        imported.map_err(|error| engine.failed("make one layer of many", error))?;
        // What isn't a file went with the layers.
        let helper = spec::helper(&self.installation, &tag);
        self.remove_helper(&helper, PATIENCE).await?;
        let config = before.config.unwrap_or_default();
        let body = ContainerCreateBody {
            image: Some(format!("{repository}:{tag}")),
            user: config.user,
            env: config.env,
            cmd: config.cmd,
            entrypoint: config.entrypoint,
            working_dir: config.working_dir,
            exposed_ports: config.exposed_ports,
            volumes: config.volumes,
            stop_signal: config.stop_signal,
            shell: config.shell,
            labels: config.labels,
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        self.make_helper(&helper, body).await?;
        self.commit(
            &helper,
            (&repository, id.as_str()),
            ContainerConfig::default(),
        )
        .await?;
        self.remove_helper(&helper, PATIENCE).await?;
        self.remove_image(&format!("{repository}:{tag}")).await?;
        if let Some(before) = before.id {
            self.remove_image(&before).await?;
        }
        info!(snapshot = %id, "made one layer of many");
        Ok(())
    }

    /// Makes an image of a container's files.
    pub(super) async fn commit(
        &self,
        container: &str,
        (repository, tag): (&str, &str),
        config: ContainerConfig,
    ) -> Result<(), DriverError> {
        // Nothing runs while the engine reads them; it goes on by itself whatever becomes
        // of who asked.
        let options = CommitContainerOptionsBuilder::new()
            .container(container)
            .repo(repository)
            .tag(tag)
            .pause(true)
            .build();
        let client = self.engine().patient_client().await?;
        let committed = client.commit_container(options, config).await;
        committed
            .map(drop)
            .map_err(|error| self.engine().failed("keep the container's files", error))
    }

    /// Removes an image's name, and the image with its last one; `Ok` where there is none,
    /// or where something that isn't known here is made of it.
    pub(super) async fn remove_image(&self, name: &str) -> Result<bool, DriverError> {
        let client = self.engine().patient_client().await?;
        let options = RemoveImageOptionsBuilder::new().build();
        match client.remove_image(name, Some(options), None).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) || is_conflict(&error) => Ok(false),
            // Of two that remove one at the same time, the engine tells one that it fails.
            Err(_) if image::find(self.engine(), name).await?.is_none() => Ok(false),
            Err(error) => Err(self.engine().failed("remove an image", error)),
        }
    }
}

/// Returns the tag of an image that is being made flat.
pub(super) fn flat(id: &SnapshotId) -> String {
    format!("{id}-flat")
}
