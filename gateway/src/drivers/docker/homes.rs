//! The homes of workspaces: volumes.
//!
//! A home that comes from a snapshot is filled in a volume of its own. The note beside the
//! workspace's socket says which one is ready; until then the one before is kept.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, Mount, MountType,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptions,
};
use tokio::time::{Instant, sleep};
use tracing::info;

use super::containers::{Containers, PATIENCE, PAUSE, goes_on};
use super::engine::is_missing;
use super::{DockerDriver, exit, image, kept_home, spec, volumes};
use crate::drivers::{DriverError, blocking};
use crate::names::WorkspaceId;
use crate::workspaces::{HomeOf, Workspace};

/// How long is waited for an engine that still fills a home which nobody waits for.
const FILL_TIMEOUT: Duration = Duration::from_mins(30);

impl DockerDriver {
    /// Makes a workspace's home, unless it is there.
    pub(super) async fn have_home(&self, workspace: &Workspace) -> Result<(), DriverError> {
        let folder = self.folder(&workspace.id);
        let noted = blocking(move || {
            folder.create()?;
            folder.home_of()
        });
        let noted = noted.await?;
        let Some(home) = &workspace.blueprint.home else {
            if noted.is_some() && !self.containers.has_home(workspace).await? {
                return Err(DriverError::HomeMissing {
                    volume: spec::volume(workspace),
                });
            }
            return self.containers.make_home(workspace).await;
        };
        if noted.as_deref() != Some(home.restoring.as_str()) {
            self.fill_home(workspace, home).await?;
            let folder = self.folder(&workspace.id);
            let restoring = home.restoring.clone();
            blocking(move || folder.note_home_of(restoring.as_str())).await?;
        } else if !self.containers.has_home(workspace).await? {
            return Err(DriverError::HomeMissing {
                volume: spec::volume(workspace),
            });
        }
        self.containers.remove_old_homes(workspace).await
    }

    /// Fills a volume with the home of a snapshot. The engine does that itself when a
    /// container is made over an empty one.
    async fn fill_home(&self, workspace: &Workspace, home: &HomeOf) -> Result<(), DriverError> {
        let (containers, id) = (&self.containers, workspace.id.as_str());
        let _doing = containers.doings.begin(id, "restoring the home");
        let image = spec::snapshot(containers.installation(), &home.snapshot);
        containers.check_snapshot(&image).await?;
        let helper = spec::helper(containers.installation(), id);
        let labels = image::labels(containers.engine(), &image).await?;
        let path = labels.get(spec::SNAPSHOT_HOME);
        let path = path.filter(|path| path.starts_with('/')).cloned();
        let path = path.unwrap_or_else(|| self.options.home.to_string_lossy().into_owned());
        let volumes = kept_home::volumes_in(&labels).into_iter();
        let volumes = volumes.map(|(of, path)| (volumes::name(workspace, &of), path));
        let mut mounts = Vec::new();
        for (volume, path) in std::iter::once((spec::volume(workspace), path)).chain(volumes) {
            containers.renew_volume(workspace, &helper, &volume).await?;
            mounts.push(Mount {
                typ: Some(MountType::VOLUME),
                source: Some(volume),
                target: Some(path),
                ..Mount::default()
            });
        }
        let body = ContainerCreateBody {
            image: Some(image),
            labels: Some(spec::no_workspace(containers.installation())),
            host_config: Some(HostConfig {
                mounts: Some(mounts),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        containers.make_helper(&helper, body).await?;
        containers.remove_helper(&helper, PATIENCE).await?;
        info!(snapshot = %home.snapshot, "a home is restored");
        Ok(())
    }
}

impl Containers {
    /// Makes a volume of a workspace's that is to be filled.
    async fn renew_volume(
        &self,
        workspace: &Workspace,
        helper: &str,
        volume: &str,
    ) -> Result<(), DriverError> {
        // What an earlier call has left is half of it at most.
        let deadline = Instant::now() + FILL_TIMEOUT;
        loop {
            self.remove_helper(helper, PATIENCE).await?;
            match self.remove_volume(volume, PAUSE).await {
                // The engine may still be filling it for a gateway that is gone.
                Err(DriverError::Engine { .. }) if Instant::now() < deadline => continue,
                removed => removed?,
            }
            let labels = spec::labels(&self.installation, workspace);
            match self.have_volume(volume, labels).await {
                // Or it makes one by itself, for a container that it only now comes to.
                Err(DriverError::Foreign { .. }) if Instant::now() < deadline => {
                    sleep(PAUSE).await;
                }
                made => return made,
            }
        }
    }

    /// Returns the volumes that are a workspace's home: one, and another one while that is
    /// restored.
    pub(super) async fn homes(&self, id: &WorkspaceId) -> Result<Vec<String>, DriverError> {
        let mut volumes = self.volumes(id).await?;
        volumes.retain(|volume| spec::is_home(id, volume));
        Ok(volumes)
    }

    /// Returns the volumes that are a workspace's.
    async fn volumes(&self, id: &WorkspaceId) -> Result<Vec<String>, DriverError> {
        let labels = [
            format!("{}={}", spec::INSTALLATION, self.installation),
            format!("{}={id}", spec::WORKSPACE),
        ];
        let filters = HashMap::from([("label", labels.to_vec())]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let client = self.engine().client().await?;
        let found = client.list_volumes(Some(options)).await;
        let found =
            found.map_err(|error| self.engine().failed("look for the home's volume", error))?;
        let volumes = found.volumes.unwrap_or_default().into_iter();
        Ok(volumes.map(|volume| volume.name).collect())
    }

    /// Tells whether a workspace has the home that it should have.
    pub(super) async fn has_home(&self, workspace: &Workspace) -> Result<bool, DriverError> {
        self.has_volume(&spec::volume(workspace)).await
    }

    async fn has_volume(&self, name: &str) -> Result<bool, DriverError> {
        match self.engine().client().await?.inspect_volume(name).await {
            Ok(found) => self
                .check(name.to_owned(), Some(&found.labels))
                .map(|()| true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(self.engine().failed("look for the home's volume", error)),
        }
    }

    /// Makes a workspace's home, unless it is there.
    pub(super) async fn make_home(&self, workspace: &Workspace) -> Result<(), DriverError> {
        let labels = spec::labels(&self.installation, workspace);
        self.have_volume(&spec::volume(workspace), labels).await
    }

    /// Makes a volume, unless it is there.
    pub(super) async fn have_volume(
        &self,
        name: &str,
        labels: HashMap<String, String>,
    ) -> Result<(), DriverError> {
        if self.has_volume(name).await? {
            return Ok(());
        }
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        let made = self.engine().client().await?.create_volume(request).await;
        made.map(drop)
            .map_err(|error| self.engine().failed("make the home's volume", error))
    }

    /// Removes a workspace's homes.
    pub(super) async fn remove_homes(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        self.remove_helpers(id).await?;
        for name in self.homes(id).await? {
            self.remove_volume(&name, PATIENCE).await?;
        }
        Ok(())
    }

    /// Removes the containers that a workspace's volumes are filled with.
    pub(super) async fn remove_helpers(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        let helper = spec::helper(&self.installation, id.as_str());
        let from = kept_home::from(&helper);
        self.remove_helper(&from, PATIENCE).await?;
        self.remove_helper(&helper, PATIENCE).await
    }

    /// Removes the homes that were a workspace's before the one that it has now, and the
    /// volumes that its image declared then.
    async fn remove_old_homes(&self, workspace: &Workspace) -> Result<(), DriverError> {
        let id = &workspace.id;
        let mut old = self.volumes(id).await?;
        old.retain(|volume| volumes::is_before(workspace, volume));
        let runs = async || -> Result<bool, DriverError> {
            Ok(self
                .state(id)
                .await?
                .is_some_and(|state| exit::is_running(&state)))
        };
        if old.is_empty() || runs().await? {
            return Ok(());
        }
        // It is of the old home; a start makes it anew.
        self.remove_container(id).await?;
        self.remove_helpers(id).await?;
        for name in old {
            self.remove_volume(&name, PATIENCE).await?;
        }
        Ok(())
    }

    /// Removes a volume of this installation's, if it is there.
    pub(super) async fn remove_volume(
        &self,
        name: &str,
        patience: Duration,
    ) -> Result<(), DriverError> {
        let deadline = Instant::now() + patience;
        loop {
            let client = self.engine().client().await?;
            let failed = |error| self.engine().failed("remove the home's volume", error);
            match client.inspect_volume(name).await {
                // One without labels the engine has made by itself, for a container of ours:
                // nobody else knows the name.
                Ok(found) if found.labels.is_empty() => {}
                Ok(found) => self.check(name.to_owned(), Some(&found.labels))?,
                Err(error) if is_missing(&error) => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
            match client
                .remove_volume(name, None::<RemoveVolumeOptions>)
                .await
            {
                Ok(()) => {}
                // A container that is being removed still holds it.
                Err(error) if goes_on(&error, deadline) => sleep(PAUSE).await,
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Removes a home that the engine has made by itself, for a container that came after its
    /// workspace was removed and never ran: it has no labels, and nothing in it.
    pub(super) async fn remove_stray_home(&self, name: &str) -> Result<(), DriverError> {
        match self.engine().client().await?.inspect_volume(name).await {
            Ok(found) if found.labels.is_empty() => self.remove_volume(name, PATIENCE).await,
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(self.engine().failed("look for the home's volume", error)),
        }
    }

    /// Makes a container that never runs.
    pub(super) async fn make_helper(
        &self,
        name: &str,
        mut body: ContainerCreateBody,
    ) -> Result<(), DriverError> {
        if body.cmd.is_none() && body.entrypoint.is_none() {
            // An image may have no command of its own, and the engine wants one.
            body.cmd = Some(vec!["none".to_owned()]);
        }
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let client = self.engine().patient_client().await?;
        let made = client.create_container(Some(options), body).await;
        made.map(drop)
            .map_err(|error| self.engine().failed("make a container for copying", error))
    }

    /// Removes such a container, if it is there; one that the engine still makes, once it
    /// is made.
    pub(super) async fn remove_helper(
        &self,
        name: &str,
        patience: Duration,
    ) -> Result<(), DriverError> {
        let deadline = Instant::now() + patience;
        loop {
            let client = self.engine().client().await?;
            let found = client
                .inspect_container(
                    name,
                    None::<bollard::query_parameters::InspectContainerOptions>,
                )
                .await;
            match found {
                Ok(found) => {
                    let labels = found.config.and_then(|config| config.labels);
                    self.check(name.to_owned(), labels.as_ref())?;
                }
                Err(error) if is_missing(&error) => return Ok(()),
                Err(error) => return Err(self.engine().failed("look for a container", error)),
            }
            let action = "remove a container for copying";
            self.remove_named(name, action, deadline).await?;
        }
    }

    /// Fails where an image is a snapshot's, and missing.
    pub(super) async fn check_snapshot(&self, name: &str) -> Result<(), DriverError> {
        let prefix = format!("{}:", spec::snapshots(&self.installation));
        let Some(Ok(snapshot)) = name.strip_prefix(&prefix).map(str::parse) else {
            return Ok(());
        };
        if image::find(self.engine(), name).await?.is_some() {
            return Ok(());
        }
        Err(DriverError::SnapshotMissing {
            snapshot,
            detail: format!("the engine has no image {name}"),
        })
    }
}

/// Returns those of a container's volumes that are its workspace's homes.
pub(super) fn homes_of(id: &WorkspaceId, container: ContainerInspectResponse) -> Vec<String> {
    let mounts = container.mounts.unwrap_or_default().into_iter();
    let names = mounts.filter_map(|mount| mount.name);
    names.filter(|name| spec::is_home(id, name)).collect()
}
