//! Snapshots on several hosts: each is an image of the host that its workspace is on, and
//! what is made from it goes there.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{DockerHosts, Host};
use crate::drivers::{Credentials, DriverError, Label, Pending, Snapshots, Taken};
use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::{Image, Workspace};

impl DockerHosts {
    /// Returns the host that has something of a snapshot.
    async fn of_snapshot(&self, id: &SnapshotId) -> Result<Option<&Host>, DriverError> {
        let hosts = self.hosts.iter();
        let asked = hosts.map(|host| host.ask(host.driver.kept_snapshots()));
        let mut away = None;
        for (host, kept) in self.hosts.iter().zip(join_all(asked).await) {
            match kept {
                Ok(kept) if kept.contains(id) => return Ok(Some(host)),
                Ok(_) => {}
                Err(error) => away = Some(error),
            }
        }
        away.map_or(Ok(None), Err)
    }

    /// Returns the index of the host that a workspace has to be on because of the snapshot
    /// that it is made from.
    pub(super) async fn bound(&self, workspace: &Workspace) -> Result<Option<usize>, DriverError> {
        let Some(Image::Snapshot(id)) = &workspace.blueprint.image else {
            return Ok(None);
        };
        let host = self.of_snapshot(id).await?;
        let name = host.map(|host| &host.name);
        Ok(self.hosts.iter().position(|it| Some(&it.name) == name))
    }

    fn first(&self) -> Result<&Host, DriverError> {
        self.hosts.first().ok_or_else(|| DriverError::NoHost {
            detail: "there is none".to_owned(),
        })
    }
}

impl Snapshots for DockerHosts {
    fn take<'a>(
        &'a self,
        workspace: &'a Workspace,
        id: &'a SnapshotId,
        label: &'a Label,
    ) -> Pending<'a, Result<Taken, DriverError>> {
        Box::pin(async move {
            let host = self.place(workspace).await?;
            host.driver.take(workspace, id, label).await
        })
    }

    fn remove_snapshot<'a>(&'a self, id: &'a SnapshotId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of_snapshot(id).await? {
                Some(host) => host.driver.remove_snapshot(id).await,
                None => Ok(()),
            }
        })
    }

    fn kept_snapshots(&self) -> Pending<'_, Result<Vec<SnapshotId>, DriverError>> {
        Box::pin(async move {
            let mut ids = BTreeSet::new();
            let all = self.ask_all(|host| host.ask(host.driver.kept_snapshots()));
            for kept in all.await?.said {
                ids.extend(kept);
            }
            Ok(ids.into_iter().collect())
        })
    }

    fn can_restore<'a>(
        &'a self,
        workspace: &'a WorkspaceId,
        id: &'a SnapshotId,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            let missing = |detail| DriverError::SnapshotMissing {
                snapshot: id.clone(),
                detail,
            };
            if let Some(host) = self.of(workspace).await? {
                let asked = host.ask(host.driver.can_restore(workspace, id)).await;
                return asked.map_err(|error| match error {
                    DriverError::SnapshotMissing { .. } => {
                        missing(format!("the Docker host {} has no image of it", host.name))
                    }
                    error => error,
                });
            }
            let found = self.of_snapshot(id).await?;
            found
                .map(drop)
                .ok_or_else(|| missing("no host has it".to_owned()))
        })
    }

    fn home_is_in_place<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<bool, DriverError>> {
        // What tells that is on the gateway's own disk, in one folder for all hosts.
        Box::pin(async move { self.first()?.driver.home_is_in_place(workspace).await })
    }

    fn needed_by<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<Vec<SnapshotId>, DriverError>> {
        // What it is made from doesn't depend on where it is, or whether that is there.
        let needed = workspace.blueprint.all_snapshots().cloned().collect();
        Box::pin(std::future::ready(Ok(needed)))
    }

    fn snapshot_progress(&self, id: &SnapshotId) -> Option<String> {
        let hosts = self.hosts.iter();
        let mut progress = hosts.filter_map(|host| host.driver.snapshot_progress(id));
        progress.next()
    }

    fn push<'a>(
        &'a self,
        id: &'a SnapshotId,
        image: &'a str,
        credentials: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            let host = self.of_snapshot(id).await?;
            let host = host.ok_or_else(|| DriverError::SnapshotMissing {
                snapshot: id.clone(),
                detail: "no host has it".to_owned(),
            })?;
            host.driver.push(id, image, credentials).await
        })
    }

    fn pull<'a>(
        &'a self,
        id: &'a SnapshotId,
        image: &'a str,
        credentials: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(Label, Taken), DriverError>> {
        Box::pin(async move {
            let host = match self.of_snapshot(id).await? {
                Some(host) => host,
                None => self.first()?,
            };
            host.driver.pull(id, image, credentials).await
        })
    }

    fn end_transfer<'a>(&'a self, image: &'a str) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            let hosts = self.hosts.iter();
            let asked = hosts.map(|host| host.ask(host.driver.end_transfer(image)));
            join_all(asked).await.into_iter().collect()
        })
    }

    fn remove_builds<'a>(
        &'a self,
        needed: &'a [String],
    ) -> Pending<'a, Result<Vec<String>, DriverError>> {
        Box::pin(async move {
            let all = self.ask_all(|host| async move {
                host.answers().await?;
                host.driver.remove_builds(needed).await
            });
            Ok(all.await?.said.into_iter().flatten().collect())
        })
    }
}
