//! Where workspaces are: what is written down of it, and the choice for a new one.
//!
//! Nothing here waits for a host that doesn't answer while others wait behind it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use futures_util::future::join_all;
use tracing::{info, warn};

use super::super::folder::Folder;
use super::super::{Capacity, spec};
use super::{DockerHosts, Host};
use crate::chain::chain;
use crate::drivers::{Driver as _, DriverError, Presence, blocking};
use crate::files::replace;
use crate::names::WorkspaceId;
use crate::workspaces::Workspace;

/// File in a workspace's folder that names its host.
const HOST: &str = "host";

/// What a container without a limit of its own is taken for, in bytes.
const UNLIMITED: u64 = 2 << 30;

/// Which host each workspace is on, by its index.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) known: HashMap<WorkspaceId, usize>,
    /// Those that don't run yet: the host doesn't count them.
    pub(super) coming: HashMap<WorkspaceId, u64>,
    /// The hosts that could take those for which none of them answered.
    waiting: HashMap<WorkspaceId, Vec<usize>>,
}

impl Places {
    /// Forgets all of a workspace.
    pub(super) fn forget(&mut self, id: &WorkspaceId) {
        self.known.remove(id);
        self.coming.remove(id);
        self.waiting.remove(id);
    }
}

impl DockerHosts {
    fn note(&self, id: &WorkspaceId) -> PathBuf {
        self.folder.join(id.as_str()).join(HOST)
    }

    /// Returns the host that is written down for a workspace.
    pub(super) fn written(&self, id: &WorkspaceId) -> Result<Option<usize>, DriverError> {
        if let Some(index) = self.places.lock().known.get(id) {
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
        self.places.lock().known.insert(id.clone(), index);
        Ok(Some(index))
    }

    /// Returns a workspace's host: that which is written down, or else the one that has
    /// something of it.
    pub(super) async fn of(&self, id: &WorkspaceId) -> Result<Option<&Host>, DriverError> {
        let index = match self.written(id)? {
            Some(index) => Some(index),
            None => self.search(id).await?,
        };
        Ok(index.and_then(|index| self.hosts.get(index)))
    }

    /// Tells of a workspace that is nowhere yet, and waits for a host, whether one of those
    /// answers that could take it.
    pub(super) async fn is_awaited(&self, id: &WorkspaceId) -> Option<Result<(), DriverError>> {
        let waiting = self.places.lock().waiting.get(id).cloned()?;
        let hosts = waiting
            .into_iter()
            .filter_map(|index| self.hosts.get(index));
        let mut silent = None;
        for answer in join_all(hosts.map(Host::answers)).await {
            match answer {
                Ok(()) => return Some(Ok(())),
                Err(error) => silent = Some(error),
            }
        }
        silent.map(Err)
    }

    /// Looks on all hosts for something of a workspace.
    async fn search(&self, id: &WorkspaceId) -> Result<Option<usize>, DriverError> {
        let hosts = self.hosts.iter();
        let asked = hosts.map(|host| host.ask(host.driver.inspect(id)));
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
    pub(super) async fn place(&self, workspace: &Workspace) -> Result<&Host, DriverError> {
        let index = match self.written(&workspace.id)? {
            Some(index) => index,
            None => self.find_place(workspace).await?,
        };
        let host = self.hosts.get(index).ok_or_else(|| DriverError::NoHost {
            detail: "there is none".to_owned(),
        })?;
        // What follows may wait for long, and starts on other hosts for that.
        host.answers().await?;
        Ok(host)
    }

    /// Finds the host of a workspace of which nothing is written down, or chooses one for
    /// what never had a home, and writes it down.
    async fn find_place(&self, workspace: &Workspace) -> Result<usize, DriverError> {
        let id = &workspace.id;
        let had_home = self.had_home(id).await?;
        let found = match self.search(id).await {
            Ok(Some(index)) => Some(index),
            Err(error) if had_home => return Err(error),
            // New ones needn't wait for a host that is away: nothing of them is anywhere.
            Ok(None) | Err(DriverError::EngineUnreachable { .. }) => self.bound(workspace).await?,
            Err(error) => return Err(error),
        };
        if let Some(index) = found {
            self.write(id, index).await?;
            return Ok(index);
        }
        if had_home {
            // Its host isn't among these: chosen now, it would never be looked for again.
            return Err(DriverError::HomeMissing {
                volume: spec::volume(workspace),
            });
        }
        let _turn = self.choosing.lock().await;
        let index = self.choose(workspace).await?;
        self.write(id, index).await?;
        Ok(index)
    }

    /// Tells whether a workspace ever had a home, on whichever host.
    async fn had_home(&self, id: &WorkspaceId) -> Result<bool, DriverError> {
        // What is on the gateway's own disk is in one folder for all hosts.
        let folder = Folder::new(&self.folder, id);
        blocking(move || folder.had_home()).await
    }

    pub(super) async fn write(&self, id: &WorkspaceId, index: usize) -> Result<(), DriverError> {
        let path = self.note(id);
        let name = self.hosts.get(index).map(|host| host.name.clone());
        let name = name.unwrap_or_default();
        let folder = Folder::new(&self.folder, id);
        let written = blocking(move || {
            folder.create()?;
            replace(&path, name.as_bytes()).map_err(|source| DriverError::File {
                action: "write",
                path,
                source,
            })
        });
        written.await?;
        self.places.lock().known.insert(id.clone(), index);
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
        let hosts = fitting.iter().map(|(_, host)| host);
        let asked = hosts.map(|host| host.ask(host.driver.capacity()));
        let answers = join_all(asked).await;
        let mut best: Option<(u64, usize)> = None;
        let mut away = Vec::new();
        let mut unreachable = None;
        let all: Vec<usize> = fitting.iter().map(|(index, _)| *index).collect();
        for ((index, host), answer) in fitting.into_iter().zip(answers) {
            match answer {
                Ok(capacity) => {
                    let free = self.free(index, &capacity);
                    if best.is_none_or(|(most, _)| free > most) {
                        best = Some((free, index));
                    }
                }
                Err(error) => {
                    let reason = chain(&error);
                    warn!(host = host.name, reason, "a host takes no workspaces now");
                    away.push(format!("{}: {reason}", host.name));
                    if matches!(error, DriverError::EngineUnreachable { .. }) {
                        unreachable = Some(error);
                    }
                }
            }
        }
        let Some((_, index)) = best else {
            let detail = away.join("; ");
            let Some(error) = unreachable else {
                return Err(DriverError::NoHost { detail });
            };
            // It passes: until then nothing else need be asked.
            self.places.lock().waiting.insert(workspace.id.clone(), all);
            return Err(error);
        };
        if let Some(host) = self.hosts.get(index) {
            info!(workspace = %workspace.id, host = host.name, "workspace placed");
            let taken = host.driver.memory_of(workspace).unwrap_or(UNLIMITED);
            let mut places = self.places.lock();
            places.waiting.remove(&workspace.id);
            places.coming.insert(workspace.id.clone(), taken);
        }
        Ok(index)
    }

    /// Returns what memory is free on a host, in bytes, once all are there that are on
    /// their way.
    fn free(&self, index: usize, capacity: &Capacity) -> u64 {
        let places = self.places.lock();
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
