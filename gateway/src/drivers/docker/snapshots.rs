//! Snapshots of containers: images that have the home in them.
//!
//! What a container's programs have changed is committed to an image, and the home, which
//! is in a volume, is put into a container of that image, which is committed in its turn.
//! Each thing has a name that follows from the snapshot's id.

use std::collections::{BTreeSet, HashMap};

use bollard::models::{ContainerConfig, ContainerCreateBody, ContainerInspectResponse, HostConfig};
use tracing::info;

use super::bare::Source;
use super::containers::{Containers, PATIENCE, Prepared};
use super::flatten::{MAX_LAYERS, flat, layers};
use super::{DockerDriver, agent, exit, image, kept_home, spec, volumes};
use crate::drivers::{Credentials, DriverError, Label, Pending, Snapshots, Taken, blocking};
use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::Workspace;

impl DockerDriver {
    async fn take_one(
        &self,
        workspace: &Workspace,
        id: &SnapshotId,
        label: &Label,
    ) -> Result<Taken, DriverError> {
        let containers = &self.containers;
        let doing = containers
            .doings
            .begin(id.as_str(), "saving what the container changed");
        // Whoever looks for what nothing needs leaves this to us from here on.
        self.remove_one(id).await?;
        let _ours = containers.pauses.copying(&workspace.id);
        let source = Box::pin(self.container_of(workspace)).await?;
        let repository = spec::snapshots(containers.installation());
        let base = base(id);
        self.commit_without_ours(workspace, &source, (&repository, &base), &doing)
            .await?;
        let helper = spec::helper(containers.installation(), id.as_str());
        let body = helper_body(containers, format!("{repository}:{base}"));
        containers.make_helper(&helper, body).await?;
        let base = format!("{repository}:{base}");
        let kept = self.keep_home((workspace, &source), (base, &helper), &doing);
        let kept = Box::pin(kept).await?;
        doing.tell("writing the image".to_owned());
        let labels = labels(id, label, kept);
        self.finish(id, &helper, labels, source.image.as_deref(), &doing)
            .await
    }

    /// Makes a snapshot's image of a container that has all its files, and removes what it
    /// was made of.
    pub(super) async fn finish(
        &self,
        id: &SnapshotId,
        helper: &str,
        labels: HashMap<String, String>,
        beside: Option<&str>,
        doing: &super::doings::Doing<'_>,
    ) -> Result<Taken, DriverError> {
        let containers = &self.containers;
        let repository = spec::snapshots(containers.installation());
        let config = ContainerConfig {
            labels: Some(labels),
            ..ContainerConfig::default()
        };
        containers
            .commit(helper, (&repository, id.as_str()), config)
            .await?;
        let name = spec::snapshot(containers.installation(), id);
        let made = self.image(&name).await?;
        let mut flattened = false;
        if layers(&made) > MAX_LAYERS {
            containers.flatten(id, helper, made, doing).await?;
            flattened = true;
        }
        containers.remove_helper(helper, PATIENCE).await?;
        containers
            .remove_image(&format!("{repository}:{}", base(id)))
            .await?;
        let size = |image: bollard::models::ImageInspect| image.size.unwrap_or_default();
        let whole = size(self.image(&name).await?);
        let shared = match beside {
            Some(image) if !flattened => self.image(image).await.map_or(0, size),
            _ => 0,
        };
        let size = u64::try_from(whole.saturating_sub(shared)).unwrap_or_default();
        Ok(Taken { size })
    }

    /// Returns what the engine knows of an image.
    pub(super) async fn image(
        &self,
        image: &str,
    ) -> Result<bollard::models::ImageInspect, DriverError> {
        let engine = self.containers.engine();
        let found = engine.client().await?.inspect_image(image).await;
        found.map_err(|error| engine.failed("look at an image", error))
    }

    /// Finds a workspace's container, or makes it where it has none.
    async fn container_of(&self, workspace: &Workspace) -> Result<Source, DriverError> {
        let id = &workspace.id;
        if let Some(found) = self.containers.find(id).await? {
            let runs = exit::is_running(&found.state.clone().unwrap_or_default());
            return Ok(source(workspace, runs, Some(found)));
        }
        self.have_home(workspace).await?;
        let installation = self.containers.installation();
        let options = self.options.of(&workspace.blueprint, installation);
        let shared = self.folder(id).shared();
        let mut wanted = spec::body(&options, installation, workspace, &shared);
        if let Some(agent) = self.agent.path(&options).await? {
            spec::share_agent(&mut wanted, &agent);
        }
        let build = options.build.as_ref();
        let prepared = self.containers.prepare(workspace, &wanted, build).await?;
        let found = self.containers.find(id).await?;
        let runs = matches!(prepared, Prepared::Running(_));
        Ok(source(workspace, runs, found))
    }

    pub(super) async fn remove_one(&self, id: &SnapshotId) -> Result<(), DriverError> {
        let containers = &self.containers;
        let installation = containers.installation();
        let helper = |what: &str| spec::helper(installation, what);
        let own = helper(id.as_str());
        for helper in [kept_home::from(&own), own, helper(&flat(id))] {
            containers.remove_helper(&helper, PATIENCE).await?;
        }
        let name = spec::snapshot(installation, id);
        let labels = image::labels(containers.engine(), &name).await?;
        if !labels.is_empty() {
            containers.check(name.clone(), Some(&labels))?;
        }
        let repository = spec::snapshots(installation);
        for tag in [id.to_string(), base(id), flat(id)] {
            containers
                .remove_image(&format!("{repository}:{tag}"))
                .await?;
        }
        Ok(())
    }

    async fn kept_images(&self) -> Result<Vec<SnapshotId>, DriverError> {
        let containers = &self.containers;
        let installation = containers.installation();
        let repository = spec::snapshots(installation);
        let images = self.images("reference", &repository).await?;
        let prefix = format!("{repository}:");
        let tags = images.iter().flat_map(|image| &image.repo_tags);
        let tags = tags.filter_map(|name| name.strip_prefix(&prefix));
        let helpers = self.helpers().await?;
        let prefix = spec::helpers(installation);
        let names = helpers.iter().filter_map(|name| name.strip_prefix(&prefix));
        let ids = tags.chain(names);
        // A helper may be a workspace's, too: nothing of that id is found then.
        let ids: BTreeSet<SnapshotId> = ids
            .filter_map(|name| name.split('-').next()?.parse().ok())
            .collect();
        let mut kept = Vec::new();
        for id in ids {
            let id_text = id.as_str().parse();
            let is_workspace = match id_text {
                Ok(workspace) => !containers.homes(&workspace).await?.is_empty(),
                Err(_) => false,
            };
            if !is_workspace {
                kept.push(id);
            }
        }
        Ok(kept)
    }
}

impl Snapshots for DockerDriver {
    fn take<'a>(
        &'a self,
        workspace: &'a Workspace,
        id: &'a SnapshotId,
        label: &'a Label,
    ) -> Pending<'a, Result<Taken, DriverError>> {
        Box::pin(self.take_one(workspace, id, label))
    }

    fn remove_snapshot<'a>(&'a self, id: &'a SnapshotId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.remove_one(id))
    }

    fn kept_snapshots(&self) -> Pending<'_, Result<Vec<SnapshotId>, DriverError>> {
        Box::pin(self.kept_images())
    }

    fn can_restore<'a>(
        &'a self,
        _: &'a WorkspaceId,
        id: &'a SnapshotId,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            let image = spec::snapshot(self.containers.installation(), id);
            self.containers.check_snapshot(&image).await
        })
    }

    fn home_is_in_place<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<bool, DriverError>> {
        let folder = self.folder(&workspace.id);
        let wanted = workspace.blueprint.restoring().to_owned();
        Box::pin(blocking(move || Ok(folder.home_of()? == Some(wanted))))
    }

    fn needed_by<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<Vec<SnapshotId>, DriverError>> {
        let needed = workspace.blueprint.all_snapshots().cloned().collect();
        Box::pin(std::future::ready(Ok(needed)))
    }

    fn snapshot_progress(&self, id: &SnapshotId) -> Option<String> {
        self.containers.doings.text(id.as_str())
    }

    fn push<'a>(
        &'a self,
        id: &'a SnapshotId,
        image: &'a str,
        credentials: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.push_one(id, image, credentials))
    }

    fn pull<'a>(
        &'a self,
        id: &'a SnapshotId,
        image: &'a str,
        credentials: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(Label, Taken), DriverError>> {
        Box::pin(self.pull_one(id, image, credentials))
    }

    fn end_transfer<'a>(&'a self, image: &'a str) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.forget_name(image))
    }

    fn remove_builds<'a>(
        &'a self,
        needed: &'a [String],
    ) -> Pending<'a, Result<Vec<String>, DriverError>> {
        Box::pin(async move {
            let removed = self.remove_unneeded(needed).await?;
            if !removed.is_empty() {
                info!(count = removed.len(), "removed images");
            }
            Ok(removed)
        })
    }
}

/// Returns what of a workspace's container a snapshot is taken of.
fn source(workspace: &Workspace, runs: bool, found: Option<ContainerInspectResponse>) -> Source {
    let found = found.unwrap_or_default();
    let id = &workspace.id;
    Source {
        name: spec::container(id),
        runs,
        shares_agent: agent::is_shared(&found),
        home: volumes::home_of(id, &found).unwrap_or_else(|| spec::volume(workspace)),
        volumes: volumes::declared(id, &found),
        image: found.image,
    }
}

/// Returns the tag of what a container's programs have changed, without the home.
fn base(id: &SnapshotId) -> String {
    format!("{id}-base")
}

/// Returns the settings of a container that never runs and has no volumes of ours.
pub(super) fn helper_body(containers: &Containers, image: String) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image),
        labels: Some(spec::no_workspace(containers.installation())),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Returns what a snapshot's image says of itself, beside where the home is in it.
pub(super) fn labels(
    id: &SnapshotId,
    label: &Label,
    kept: HashMap<String, String>,
) -> HashMap<String, String> {
    let labels = [
        (spec::SNAPSHOT, id.to_string()),
        (spec::SNAPSHOT_NAME, label.name.clone()),
        (spec::SNAPSHOT_DESCRIPTION, label.description.clone()),
        (spec::SNAPSHOT_USER, label.user.clone().unwrap_or_default()),
    ];
    let labels = labels.map(|(label, value)| (label.to_owned(), value));
    labels.into_iter().chain(kept).collect()
}
