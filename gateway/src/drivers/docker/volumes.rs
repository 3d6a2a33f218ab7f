//! The volumes that an image declares: folders whose content is no part of a container.
//!
//! A workspace has a volume of its own for each, filled by the engine with what the image has
//! there. It stays when the container is made anew, is in snapshots and clones as the home is,
//! and goes with the workspace.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, Mount, MountType, MountVolumeOptions,
};
use sha2::{Digest as _, Sha256};
use tracing::info;

use super::containers::{Containers, PATIENCE};
use super::kept_home::{self, KEPT};
use super::{exit, image, spec, transfer};
use crate::drivers::DriverError;
use crate::fingerprint::beginning;
use crate::names::{InstallationId, WorkspaceId};
use crate::workspaces::Workspace;

/// A volume that a container has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Volume {
    /// The engine's name for it.
    pub(super) name: String,
    /// Where in the container it is.
    pub(super) path: String,
}

fn prefix(id: &WorkspaceId) -> String {
    format!("devgate-{id}-image-")
}

fn named(id: &WorkspaceId, restoring: &str, path: &str) -> String {
    let hash = beginning(&Sha256::digest(path), 8);
    let name = format!("{}{hash}", prefix(id));
    if restoring.is_empty() {
        name
    } else {
        format!("{name}-{restoring}")
    }
}

/// Names a workspace's volume for a folder that its image declares one. As with the home, one
/// that comes from a snapshot has a name of its own.
pub(super) fn name(workspace: &Workspace, path: &str) -> String {
    named(&workspace.id, workspace.blueprint.restoring(), path)
}

/// Tells whether a volume of that name is a home or a declared volume of that workspace's, from
/// before its last restoring.
pub(super) fn is_before(workspace: &Workspace, volume: &str) -> bool {
    let id = &workspace.id;
    match volume.strip_prefix(&prefix(id)) {
        Some(rest) => {
            let restoring = rest.split_once('-').map_or("", |(_, restoring)| restoring);
            restoring != workspace.blueprint.restoring()
        }
        None => spec::is_home(id, volume) && volume != spec::volume(workspace),
    }
}

/// Returns a container's home.
pub(super) fn home_of(id: &WorkspaceId, container: &ContainerInspectResponse) -> Option<String> {
    let mounts = container.mounts.iter().flatten();
    let mut names = mounts.filter_map(|mount| mount.name.as_ref());
    names.find(|name| spec::is_home(id, name)).cloned()
}

/// Returns the volumes of a container that its image declares: the workspace's own, and those
/// without a name, which go with the container.
pub(super) fn declared(id: &WorkspaceId, container: &ContainerInspectResponse) -> Vec<Volume> {
    let prefix = prefix(id);
    let mounts = container.mounts.iter().flatten();
    let volumes = mounts.filter_map(|mount| {
        let (name, path) = (mount.name.clone()?, mount.destination.clone()?);
        let is_declared = name.starts_with(&prefix) || is_nameless(&name);
        let is_ours = Path::new(&path).starts_with(spec::FOLDER);
        (is_declared && !is_ours).then_some(Volume { name, path })
    });
    volumes.collect()
}

/// Tells whether the engine has made up a volume's name.
fn is_nameless(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Adds a volume to a container's settings for each folder that its image declares one, where
/// nothing else is mounted. That isn't worth a new container: the digest is without it.
pub(super) fn add(
    body: &mut ContainerCreateBody,
    (installation, workspace): (&InstallationId, &Workspace),
    declared: &[String],
) {
    let host = body.host_config.get_or_insert_default();
    let memory = host.tmpfs.clone().unwrap_or_default();
    let mounts = host.mounts.get_or_insert_default();
    for path in declared.iter().filter_map(|path| folder(path)) {
        let mounted = mounts.iter().filter_map(|mount| mount.target.as_deref());
        let mounted = mounted.chain(memory.keys().map(String::as_str));
        let is_taken = mounted.filter_map(folder).any(|taken| taken == path);
        if is_taken || Path::new(&path).starts_with(spec::FOLDER) {
            continue;
        }
        mounts.push(Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name(workspace, &path)),
            target: Some(path),
            volume_options: Some(MountVolumeOptions {
                labels: Some(spec::labels(installation, workspace)),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        });
    }
}

/// Returns a folder as the engine writes it, where that is plain.
fn folder(path: &str) -> Option<String> {
    let path = Path::new(path);
    let mut parts = path.components();
    let is_plain = parts.all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let is_plain = is_plain && path.is_absolute() && path.parent().is_some();
    let clean = || path.components().collect::<PathBuf>();
    is_plain.then(|| clean().to_string_lossy().into_owned())
}

/// Returns the settings of a container that never runs and has volumes in a folder of ours, by
/// their names in there. Nothing is put into them, and nothing but them is in that folder.
pub(super) fn holder(
    installation: &InstallationId,
    image: String,
    volumes: impl IntoIterator<Item = (String, String)>,
) -> ContainerCreateBody {
    let mount = |source, target| Mount {
        typ: Some(MountType::VOLUME),
        source,
        target: Some(target),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    };
    // Hides what the image has there, and goes with the container.
    let below = mount(None, KEPT.to_owned());
    let volumes = volumes.into_iter();
    let volumes = volumes.map(|(at, name)| mount(Some(name), format!("{KEPT}/{at}")));
    ContainerCreateBody {
        image: Some(image),
        labels: Some(spec::no_workspace(installation)),
        host_config: Some(HostConfig {
            mounts: Some(std::iter::once(below).chain(volumes).collect()),
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

impl Containers {
    /// Adds to a container's settings what its image declares.
    pub(super) async fn add_declared(
        &self,
        body: &mut ContainerCreateBody,
        workspace: &Workspace,
    ) -> Result<(), DriverError> {
        let image = body.image.as_deref().unwrap_or_default();
        let declared = image::volumes(&self.engine, image).await?;
        add(body, (&self.installation, workspace), &declared);
        Ok(())
    }

    /// Removes a workspace's container, which is made anew, and keeps its volumes.
    pub(super) async fn put_container_away(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        if let Some(found) = self.find(id).await?
            && !exit::has_never_run(&found.state.clone().unwrap_or_default())
        {
            self.adopt(id, &found).await?;
        }
        self.remove_container(id).await
    }

    /// Copies the volumes of a container that would go with it into such as are the
    /// workspace's own.
    async fn adopt(
        &self,
        id: &WorkspaceId,
        container: &ContainerInspectResponse,
    ) -> Result<(), DriverError> {
        let mut volumes = declared(id, container);
        volumes.retain(|volume| is_nameless(&volume.name));
        let (Some(home), Some(image)) = (home_of(id, container), container.image.clone()) else {
            return Ok(());
        };
        if volumes.is_empty() {
            return Ok(());
        }
        let _doing = self.doings.begin(id.as_str(), "keeping the volumes");
        let home = home.strip_prefix(&format!("devgate-{id}-home"));
        let restoring = home.unwrap_or_default().trim_start_matches('-');
        let (from, to) = (
            kept_home::from(&spec::helper(&self.installation, id.as_str())),
            spec::helper(&self.installation, id.as_str()),
        );
        let labels = HashMap::from([
            (spec::INSTALLATION.to_owned(), self.installation.to_string()),
            (spec::WORKSPACE.to_owned(), id.to_string()),
        ]);
        self.remove_helpers(id).await?;
        let (mut olds, mut news) = (Vec::new(), Vec::new());
        for (at, volume) in volumes.into_iter().enumerate() {
            let new = named(id, restoring, &volume.path);
            // While the other one is there, this can only be half of it.
            self.remove_volume(&new, PATIENCE).await?;
            self.have_volume(&new, labels.clone()).await?;
            olds.push((at.to_string(), volume.name));
            news.push((at.to_string(), new));
        }
        let body = holder(&self.installation, image.clone(), olds);
        self.make_helper(&from, body).await?;
        self.make_helper(&to, holder(&self.installation, image, news))
            .await?;
        let names = (from.as_str(), to.as_str());
        let doing = self.doings.begin(&to, "keeping the volumes");
        transfer::copy_folder(
            &self.engine,
            names,
            (KEPT, "/"),
            (&doing, "keeping the volumes"),
        )
        .await?;
        self.remove_helpers(id).await?;
        info!(workspace = %id, "the container's volumes are the workspace's own now");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::MountPoint;

    use super::*;
    use crate::drivers::contract::{restored, workspace};
    use crate::names::SnapshotId;

    #[test]
    fn what_is_declared_is_mounted_once_and_never_over_something_else() {
        let (installation, workspace) = (InstallationId::random(), workspace());
        let mut body = ContainerCreateBody::default();
        let host = body.host_config.get_or_insert_default();
        host.mounts = Some(vec![Mount {
            target: Some("/home/dev/".to_owned()),
            ..Mount::default()
        }]);
        host.tmpfs = Some(HashMap::from([("/tmp".to_owned(), String::new())]));
        let declared = [
            "/data/",
            "/data",
            "/home/dev",
            "/tmp",
            "/.devgate",
            "/",
            "data",
            "/a/../b",
        ];
        let declared = declared.map(str::to_owned);
        add(&mut body, (&installation, &workspace), &declared);
        let mounts = body.host_config.unwrap().mounts.unwrap();
        assert_eq!(mounts.len(), 2, "{mounts:?}");
        assert_eq!(mounts[1].target.as_deref(), Some("/data"));
        assert_eq!(mounts[1].source, Some(name(&workspace, "/data")));
    }

    #[test]
    fn a_volume_is_from_before_where_its_restoring_is_another_one() {
        let first = workspace();
        let second = restored(&first, &SnapshotId::random());
        let (old, new) = (name(&first, "/data"), name(&second, "/data"));
        assert!(is_before(&second, &old) && !is_before(&second, &new));
        assert!(is_before(&first, &new) && !is_before(&first, &old));
        assert!(is_before(&second, &spec::volume(&first)));
        assert!(!is_before(&second, &spec::volume(&second)));
        let own = format!("devgate-{}-own-cafe", first.id);
        assert!(!is_before(&second, &own));
    }

    #[test]
    fn the_volumes_of_a_container_are_told_apart() {
        let workspace = workspace();
        let point = |name: &str, path: &str| MountPoint {
            name: Some(name.to_owned()),
            destination: Some(path.to_owned()),
            ..MountPoint::default()
        };
        let (home, own) = (spec::volume(&workspace), name(&workspace, "/data"));
        let nameless = "0a".repeat(32);
        let container = ContainerInspectResponse {
            mounts: Some(vec![
                point(&home, "/home/dev"),
                point("go-cache", "/var/cache/go"),
                point(&own, "/data"),
                point(&nameless, "/other"),
            ]),
            ..ContainerInspectResponse::default()
        };
        assert_eq!(home_of(&workspace.id, &container), Some(home));
        let found = declared(&workspace.id, &container);
        let paths: Vec<_> = found.iter().map(|volume| volume.path.as_str()).collect();
        assert_eq!(paths, ["/data", "/other"]);
    }
}
