//! Several Docker hosts: which workspace is on which, and the choice for a new one.
//!
//! Where a workspace is was decided before anything of it was made, and is written down in
//! its folder; it stays there, as its home does. A host that is away takes its workspaces
//! with it until it is back, and no other's.

mod snapshots;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{info, warn};

use super::{Capacity, DockerDriver, DockerOptions};
use crate::chain::chain;
use crate::drivers::{
    Driver, DriverError, Exit, Follow, HomeSize, Logs, Pending, Presence, Reach, Started, blocking,
};
use crate::files::replace;
use crate::names::WorkspaceId;
use crate::workspaces::Workspace;

/// File in a workspace's folder that names its host.
const HOST: &str = "host";

/// What a container without a limit of its own is taken for, in bytes.
const UNLIMITED: u64 = 2 << 30;

/// One host, as it is configured.
#[derive(Clone, Debug)]
pub struct DockerHost {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub labels: Vec<String>,
    /// How agents run there.
    pub options: DockerOptions,
}

/// Runs agents in containers on several hosts.
#[derive(Debug)]
pub struct DockerHosts {
    hosts: Vec<Host>,
    /// Folder that holds one folder a workspace.
    folder: PathBuf,
    places: Mutex<Places>,
    /// Held while a place is chosen: one after the other sees what the last one took.
    choosing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Host {
    name: String,
    labels: Vec<String>,
    driver: DockerDriver,
}

/// Which host each workspace is on, by its index.
#[derive(Debug, Default)]
struct Places {
    known: HashMap<WorkspaceId, usize>,
    /// Those that don't run yet: the host doesn't count them.
    coming: HashMap<WorkspaceId, u64>,
}

impl DockerHosts {
    /// Runs agents on these hosts, of which there is at least one. None needs to be there
    /// yet. Blocks.
    ///
    /// # Errors
    /// `File` where the installation's id can't be read or written down.
    pub fn open(folder: PathBuf, hosts: Vec<DockerHost>) -> Result<Self, DriverError> {
        let open = |host: DockerHost| {
            Ok(Host {
                name: host.name,
                labels: host.labels,
                driver: DockerDriver::open(host.options)?,
            })
        };
        Ok(Self {
            hosts: hosts.into_iter().map(open).collect::<Result<_, _>>()?,
            folder,
            places: Mutex::default(),
            choosing: tokio::sync::Mutex::default(),
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // A map is whole after every change: a panic elsewhere breaks nothing.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: &WorkspaceId) -> PathBuf {
        self.folder.join(id.as_str()).join(HOST)
    }

    /// Returns the host that is written down for a workspace.
    fn written(&self, id: &WorkspaceId) -> Result<Option<usize>, DriverError> {
        if let Some(index) = self.places().known.get(id) {
            return Ok(Some(*index));
        }
        let path = self.note(id);
        let name = match fs::read_to_string(&path) {
            Ok(name) => name.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(DriverError::File {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        let index = self.hosts.iter().position(|host| host.name == name);
        let index = index.ok_or(DriverError::HostGone { host: name })?;
        self.places().known.insert(id.clone(), index);
        Ok(Some(index))
    }

    /// Returns a workspace's host: that which is written down, or else the one that has
    /// something of it.
    async fn of(&self, id: &WorkspaceId) -> Result<Option<&DockerDriver>, DriverError> {
        let index = match self.written(id)? {
            Some(index) => Some(index),
            None => self.search(id).await?,
        };
        let host = index.and_then(|index| self.hosts.get(index));
        Ok(host.map(|host| &host.driver))
    }

    /// Looks on all hosts for something of a workspace.
    async fn search(&self, id: &WorkspaceId) -> Result<Option<usize>, DriverError> {
        let asked = self.hosts.iter().map(|host| host.driver.inspect(id));
        let mut away = None;
        for (index, presence) in join_all(asked).await.into_iter().enumerate() {
            match presence {
                Ok(Presence::Absent) => {}
                Ok(_) => return Ok(Some(index)),
                Err(error) => away = Some(error),
            }
        }
        // It may be on one that doesn't answer.
        away.map_or(Ok(None), Err)
    }

    /// Returns a workspace's host, and chooses one for a new one.
    async fn place(&self, workspace: &Workspace) -> Result<&Host, DriverError> {
        let id = &workspace.id;
        let _turn = self.choosing.lock().await;
        let index = match self.written(id)? {
            Some(index) => index,
            None => {
                let bound = self.bound(workspace).await?;
                let index = match (self.search(id).await, bound) {
                    (Ok(Some(index)), _) | (Ok(None), Some(index)) => index,
                    // New ones needn't wait for a host that is away: nothing of them is
                    // anywhere, or it would be written down.
                    (Ok(None) | Err(DriverError::EngineUnreachable { .. }), _) => {
                        self.choose(workspace).await?
                    }
                    (Err(error), _) => return Err(error),
                };
                self.write(id, index).await?;
                index
            }
        };
        self.hosts.get(index).ok_or_else(|| DriverError::NoHost {
            detail: "there is none".to_owned(),
        })
    }

    async fn write(&self, id: &WorkspaceId, index: usize) -> Result<(), DriverError> {
        let path = self.note(id);
        let name = self.hosts.get(index).map(|host| host.name.clone());
        let name = name.unwrap_or_default();
        let driver = self.hosts.get(index).map(|host| host.driver.folder(id));
        let written = blocking(move || {
            if let Some(folder) = driver {
                folder.create()?;
            }
            replace(&path, name.as_bytes()).map_err(|source| DriverError::File {
                action: "write",
                path,
                source,
            })
        });
        written.await?;
        self.places().known.insert(id.clone(), index);
        Ok(())
    }

    /// Chooses the host with the most memory free among those that fit and answer.
    async fn choose(&self, workspace: &Workspace) -> Result<usize, DriverError> {
        let wanted = &workspace.blueprint.host_labels;
        let fits = |host: &Host| wanted.iter().all(|label| host.labels.contains(label));
        let fitting: Vec<_> = (0..).zip(&self.hosts).filter(|(_, it)| fits(it)).collect();
        if fitting.is_empty() {
            let detail = format!("none has the labels {}", wanted.join(", "));
            return Err(DriverError::NoHost { detail });
        }
        let asked = fitting.iter().map(|(_, host)| host.driver.capacity());
        let answers = join_all(asked).await;
        let mut best: Option<(u64, usize)> = None;
        let mut away = Vec::new();
        for ((index, host), answer) in fitting.into_iter().zip(answers) {
            match answer {
                Ok(capacity) => {
                    let free = self.free(index, &capacity);
                    if best.is_none_or(|(most, _)| free > most) {
                        best = Some((free, index));
                    }
                }
                Err(error) => {
                    let error = chain(&error);
                    warn!(host = host.name, error, "a host takes no workspaces now");
                    away.push(format!("{}: {error}", host.name));
                }
            }
        }
        let detail = away.join("; ");
        let (_, index) = best.ok_or(DriverError::NoHost { detail })?;
        if let Some(host) = self.hosts.get(index) {
            info!(workspace = %workspace.id, host = host.name, "workspace placed");
            let taken = host.driver.memory_of(workspace).unwrap_or(UNLIMITED);
            let mut places = self.places();
            places.coming.insert(workspace.id.clone(), taken);
        }
        Ok(index)
    }

    /// Returns what memory is free on a host, in bytes, once all are there that are on
    /// their way.
    fn free(&self, index: usize, capacity: &Capacity) -> u64 {
        let places = self.places();
        let coming = places.coming.iter();
        let coming = coming.filter(|(id, _)| {
            places.known.get(*id) == Some(&index) && !capacity.running.contains_key(*id)
        });
        let coming: u64 = coming.map(|(_, memory)| *memory).sum();
        let taken = capacity.running.values();
        let taken: u64 = taken.map(|memory| memory.unwrap_or(UNLIMITED)).sum();
        // Below zero, too, the emptier one is better.
        (u64::MAX / 2)
            .saturating_add(capacity.memory)
            .saturating_sub(taken)
            .saturating_sub(coming)
    }
}

impl Driver for DockerHosts {
    fn create<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move { self.place(workspace).await?.driver.create(workspace).await })
    }

    fn start<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<Started, DriverError>> {
        Box::pin(async move {
            let host = self.place(workspace).await?;
            let started = host.driver.start(workspace).await;
            self.places().coming.remove(&workspace.id);
            started
        })
    }

    fn stop<'a>(
        &'a self,
        id: &'a WorkspaceId,
        grace: Duration,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(driver) => driver.stop(id, grace).await,
                None => Ok(()),
            }
        })
    }

    fn release<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(driver) => driver.release(id).await,
                None => Ok(()),
            }
        })
    }

    fn remove<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of(id).await {
                Ok(Some(driver)) => driver.remove(id).await?,
                Ok(None) => {}
                // What is on a host that was taken away is its owner's to remove.
                Err(DriverError::HostGone { host }) => {
                    warn!(workspace = %id, host, "what a workspace has on a host is left there");
                    let path = self.folder.join(id.as_str());
                    let removed = blocking(move || match fs::remove_dir_all(&path) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            Err(DriverError::File {
                                action: "remove",
                                path,
                                source: error,
                            })
                        }
                        _ => Ok(()),
                    });
                    removed.await?;
                }
                Err(error) => return Err(error),
            }
            let mut places = self.places();
            places.known.remove(id);
            places.coming.remove(id);
            Ok(())
        })
    }

    fn inspect<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Presence, DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(driver) => driver.inspect(id).await,
                None => Ok(Presence::Absent),
            }
        })
    }

    fn exited<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Exit, DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(driver) => driver.exited(id).await,
                None => Ok(Exit::Unseen),
            }
        })
    }

    fn kept(&self) -> Pending<'_, Result<Vec<WorkspaceId>, DriverError>> {
        Box::pin(async move {
            let asked = self.hosts.iter().map(|host| host.driver.kept());
            let mut ids = HashSet::new();
            for kept in join_all(asked).await {
                ids.extend(kept?);
            }
            let mut ids: Vec<_> = ids.into_iter().collect();
            ids.sort();
            Ok(ids)
        })
    }

    fn sizes(&self) -> Pending<'_, Result<HashMap<WorkspaceId, HomeSize>, DriverError>> {
        Box::pin(async move {
            let asked = self.hosts.iter().map(|host| host.driver.sizes());
            let mut sizes = HashMap::new();
            // One that is away is measured when it is back.
            for found in join_all(asked).await.into_iter().flatten() {
                sizes.extend(found);
            }
            Ok(sizes)
        })
    }

    fn doing(&self, id: &WorkspaceId) -> Option<String> {
        let hosts = self.hosts.iter();
        let mut doing = hosts.filter_map(|host| host.driver.doing(id));
        doing.next()
    }

    fn reach(&self, id: &WorkspaceId) -> Reach {
        let index = self.written(id).ok().flatten();
        let host = index.and_then(|index| self.hosts.get(index));
        host.map_or(Reach::Dial, |host| host.driver.reach(id))
    }

    fn home(&self, id: &WorkspaceId) -> PathBuf {
        // All hosts have the same settings but for where they are.
        let first = self.hosts.first();
        first.map_or_else(PathBuf::new, |host| host.driver.home(id))
    }

    fn logs<'a>(
        &'a self,
        id: &'a WorkspaceId,
        lines: usize,
        follow: Follow,
    ) -> Pending<'a, Result<Logs, DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(driver) => driver.logs(id, lines, follow).await,
                None => Ok(Box::pin(futures_util::stream::empty()) as Logs),
            }
        })
    }
}
