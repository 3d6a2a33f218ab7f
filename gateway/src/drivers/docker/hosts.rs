//! Several Docker hosts: which workspace is on which, and the choice for a new one.
//!
//! Where a workspace is was decided before anything of it was made, and is written down in
//! its folder; it stays there, as its home does. A host that is away takes its workspaces
//! with it until it is back, and no other's.

mod places;
mod snapshots;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::timeout;
use tracing::{debug, warn};

use self::places::Places;
use super::{DockerDriver, DockerOptions};
use crate::chain::chain;
use crate::drivers::{
    Driver, DriverError, Exit, Follow, HomeSize, Kept, Logs, Pending, Presence, Reach, Started,
    blocking,
};
use crate::names::WorkspaceId;
use crate::workspaces::Workspace;

/// Longest wait for the answer to a question that costs an engine little. One that makes
/// many containers at once takes its time.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

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

/// What hosts say.
struct Answers<T> {
    /// The answers of those that answer.
    said: Vec<T>,
    /// Why one of the others doesn't.
    unsaid: Option<DriverError>,
}

impl Host {
    /// Fails soon where it doesn't answer.
    async fn answers(&self) -> Result<(), DriverError> {
        self.driver.containers.engine().answers().await
    }

    /// Asks it what costs it little, unless it doesn't answer.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        self.answers().await?;
        let answer = timeout(ASK_TIMEOUT, question).await;
        answer.unwrap_or_else(|_| Err(self.driver.containers.engine().away()))
    }
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

    /// Asks all hosts.
    ///
    /// # Errors
    /// Where none answers.
    async fn ask_all<'a, T, F>(
        &'a self,
        question: impl Fn(&'a Host) -> F,
    ) -> Result<Answers<T>, DriverError>
    where
        F: Future<Output = Result<T, DriverError>>,
    {
        let asked = self.hosts.iter().map(question);
        let mut answers = Answers {
            said: Vec::new(),
            unsaid: None,
        };
        for (host, answer) in self.hosts.iter().zip(join_all(asked).await) {
            match answer {
                Ok(said) => answers.said.push(said),
                Err(error) => {
                    let reason = chain(&error);
                    debug!(host = host.name, reason, "a host doesn't tell what it has");
                    answers.unsaid = Some(error);
                }
            }
        }
        match answers.unsaid {
            Some(error) if answers.said.is_empty() => Err(error),
            _ => Ok(answers),
        }
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
            self.places.lock().coming.remove(&workspace.id);
            started
        })
    }

    fn go_on<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(host) => host.driver.go_on(id).await,
                None => Ok(()),
            }
        })
    }

    fn stop<'a>(
        &'a self,
        id: &'a WorkspaceId,
        grace: Duration,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(host) => host.driver.stop(id, grace).await,
                None => Ok(()),
            }
        })
    }

    fn release<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(host) => host.driver.release(id).await,
                None => Ok(()),
            }
        })
    }

    fn remove<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            match self.of(id).await {
                Ok(Some(host)) => host.driver.remove(id).await?,
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
            self.places.lock().forget(id);
            Ok(())
        })
    }

    fn inspect<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Presence, DriverError>> {
        Box::pin(async move {
            if let Some(answered) = self.is_awaited(id).await {
                return answered.map(|()| Presence::Absent);
            }
            match self.of(id).await? {
                Some(host) => host.ask(host.driver.inspect(id)).await,
                None => Ok(Presence::Absent),
            }
        })
    }

    fn exited<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Exit, DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(host) => host.driver.exited(id).await,
                None => Ok(Exit::Unseen),
            }
        })
    }

    fn kept(&self) -> Pending<'_, Result<Kept, DriverError>> {
        Box::pin(async move {
            let all = self.ask_all(|host| host.ask(host.driver.kept())).await?;
            let ids = all.said.into_iter().flat_map(|kept| kept.workspaces);
            let ids: BTreeSet<_> = ids.collect();
            Ok(Kept {
                workspaces: ids.into_iter().collect(),
                unknown: all.unsaid,
            })
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
                Some(host) => host.driver.logs(id, lines, follow).await,
                None => Ok(Box::pin(futures_util::stream::empty()) as Logs),
            }
        })
    }

    fn home_file<'a>(
        &'a self,
        id: &'a WorkspaceId,
        path: &'a str,
    ) -> Pending<'a, Result<Option<String>, DriverError>> {
        Box::pin(async move {
            match self.of(id).await? {
                Some(host) => host.driver.home_file(id, path).await,
                None => Ok(None),
            }
        })
    }
}

#[cfg(test)]
mod tests;
