//! Workspaces as containers of Docker Engines, on the gateway's host and on others.
//!
//! A workspace is a container, which can be made anew at any time, and a volume, its
//! home. The agent is the container's first process. On the gateway's host its socket is in a
//! folder that the host shares with the container, below one that only the gateway enters;
//! elsewhere it dials in. Beside
//! it a note is kept once the home is ready: a home that is gone then is somebody's loss,
//! and never silently made anew.
//!
//! Each call finishes what an earlier one has left, so one that is dropped or killed
//! leaves nothing that a later one can't use (see [`containers`]).

mod account;
mod agent;
mod bare;
mod build;
mod capacity;
mod containers;
mod doings;
mod engine;
mod environment;
mod exit;
mod files;
mod filling;
mod flatten;
mod folder;
mod homes;
mod hosts;
mod identity;
mod image;
mod kept;
mod kept_home;
mod logs;
mod makings;
mod network;
mod options;
mod pauses;
mod registry;
mod renamed;
mod room;
mod snapshots;
mod spec;
mod transfer;
mod unneeded;
mod unreached;
mod usage;
mod volumes;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::config::{AgentConfig, Reach as AgentReach, Startup};
use tracing::warn;

use self::agent::SharedAgent;
use self::capacity::Capacity;
use self::containers::{Containers, Launch, Prepared};
pub use self::engine::Endpoint;
use self::engine::Engine;
use self::folder::Folder;
pub use self::hosts::{DockerHost, DockerHosts};
pub(crate) use self::options::nanos;
pub use self::options::{DockerOptions, DockerReach};
pub(crate) use self::unreached::at_socket;
use super::{
    Driver, DriverError, Exit, Follow, HomeSize, Kept, Logs, MAX_FILE, Pending, Presence, Reach,
    Started, blocking, startup,
};
use crate::chain::chain;
use crate::config::Size;
use crate::devcontainer::with_container;
use crate::names::WorkspaceId;
use crate::workspaces::Workspace;

/// Name of the agent's socket.
const SOCKET: &str = "agent.sock";

/// Runs agents in containers.
#[derive(Debug)]
pub struct DockerDriver {
    options: DockerOptions,
    containers: Arc<Containers>,
    agent: SharedAgent,
}

impl DockerDriver {
    /// Runs agents with these options. The engine needn't be there yet. Blocks.
    ///
    /// # Errors
    /// `File` where the installation's id can't be read or written down.
    pub fn open(options: DockerOptions) -> Result<Self, DriverError> {
        let installation = folder::installation(&options.folder)?;
        let engine = Arc::new(Engine::new(options.engine.clone()));
        let containers = Arc::new(Containers::new(engine, installation));
        Ok(Self {
            options,
            containers,
            agent: SharedAgent::default(),
        })
    }

    fn folder(&self, id: &WorkspaceId) -> Folder {
        Folder::new(&self.options.folder, id)
    }

    /// Tells what the engine's host has, and what is taken of it.
    async fn capacity(&self) -> Result<Capacity, DriverError> {
        self.containers.capacity().await
    }

    /// Tells what memory a workspace may use, in bytes; all where absent.
    fn memory_of(&self, workspace: &Workspace) -> Option<u64> {
        let own = workspace.blueprint.memory.map(Size::bytes);
        own.or(self.options.memory)
    }

    async fn begin(&self, workspace: &Workspace) -> Result<Started, DriverError> {
        let id = &workspace.id;
        let shared = self.folder(id).shared();
        let installation = self.containers.installation();
        let options = self.options.of(&workspace.blueprint, installation);
        let mut wanted = spec::body(&options, installation, workspace, &shared);
        if let Some(agent) = self.agent.path(&options).await? {
            spec::share_agent(&mut wanted, &agent);
        }
        let mut is_again = false;
        loop {
            let build = options.build.as_ref();
            let prepared = self.containers.prepare(workspace, &wanted, build).await?;
            self.containers.end_others(id).await?;
            let fresh = match prepared {
                Prepared::Running(pid) => {
                    if let Err(error) = self.make_good(workspace, &options).await {
                        warn!(
                            error = chain(&error),
                            "can't look after what the agent needs"
                        );
                    }
                    return Ok(Started::Found(pid));
                }
                Prepared::Fresh(fresh) => fresh,
            };
            match self.launch(&fresh, workspace, &options).await? {
                Launch::Done => break,
                Launch::Lacking(error) if is_again => return Err(error),
                // A network that was removed and made again is another one.
                Launch::Lacking(error) => {
                    let error = chain(&error);
                    warn!(error, "the container lacks something: it is made anew");
                    Box::pin(self.containers.put_container_away(id)).await?;
                    is_again = true;
                }
            }
        }
        let state = self.containers.state(id).await?;
        // One that has ended already has no number; its end is seen by who waits.
        Ok(Started::New(state.as_ref().map_or(0, exit::pid)))
    }
}

impl Driver for DockerDriver {
    fn create<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<(), DriverError>> {
        let engine = self.containers.engine();
        Box::pin(engine.while_it_lives(async move {
            self.have_home(workspace).await?;
            if self.containers.find(&workspace.id).await?.is_some() {
                return Ok(());
            }
            let installation = self.containers.installation();
            let options = self.options.of(&workspace.blueprint, installation);
            let (id, build) = (&workspace.id, options.build.as_ref());
            self.containers
                .have_image(id, &options.image, build)
                .await?;
            Ok(())
        }))
    }

    fn start<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<Started, DriverError>> {
        let engine = self.containers.engine();
        Box::pin(engine.while_it_lives(self.begin(workspace)))
    }

    fn go_on<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        let engine = self.containers.engine();
        Box::pin(engine.while_it_lives(self.containers.let_go_on(id)))
    }

    fn stop<'a>(
        &'a self,
        id: &'a WorkspaceId,
        grace: Duration,
    ) -> Pending<'a, Result<(), DriverError>> {
        let engine = self.containers.engine();
        Box::pin(engine.while_it_lives(self.containers.stop(id, grace)))
    }

    fn release<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        let engine = self.containers.engine();
        Box::pin(engine.while_it_lives(async move {
            Box::pin(self.containers.put_container_away(id)).await?;
            let folder = self.folder(id);
            blocking(move || folder.release()).await
        }))
    }

    fn remove<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        let engine = self.containers.engine();
        Box::pin(engine.while_it_lives(async move {
            self.containers.remove_container(id).await?;
            self.containers.remove_homes(id).await?;
            self.containers.remove_volumes(id).await?;
            let folder = self.folder(id);
            blocking(move || folder.remove()).await
        }))
    }

    fn inspect<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Presence, DriverError>> {
        Box::pin(async move {
            let state = self.containers.state(id).await?;
            if let Some(state) = state.filter(exit::is_running) {
                let pid = exit::pid(&state);
                return Ok(Presence::Running { pid });
            }
            Ok(if self.containers.homes(id).await?.is_empty() {
                Presence::Absent
            } else {
                Presence::Stopped
            })
        })
    }

    fn exited<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Exit, DriverError>> {
        Box::pin(self.containers.exited(id))
    }

    fn kept(&self) -> Pending<'_, Result<Kept, DriverError>> {
        Box::pin(async { self.containers.kept().await.map(Kept::all) })
    }

    fn sizes(&self) -> Pending<'_, Result<HashMap<WorkspaceId, HomeSize>, DriverError>> {
        Box::pin(usage::sizes(
            &self.options.engine,
            self.containers.installation(),
        ))
    }

    fn doing(&self, id: &WorkspaceId) -> Option<String> {
        self.containers.waits_for(id)
    }

    fn reach(&self, id: &WorkspaceId) -> Reach {
        match self.options.reach {
            DockerReach::Folder => Reach::SharedSocket(self.folder(id).shared().join(SOCKET)),
            DockerReach::Dial { .. } => Reach::Dial,
        }
    }

    fn home(&self, _id: &WorkspaceId) -> PathBuf {
        self.options.home.clone()
    }

    fn logs<'a>(
        &'a self,
        id: &'a WorkspaceId,
        lines: usize,
        follow: Follow,
    ) -> Pending<'a, Result<Logs, DriverError>> {
        let containers = Arc::clone(&self.containers);
        Box::pin(logs::read(containers, id, lines, follow))
    }

    fn home_file<'a>(
        &'a self,
        id: &'a WorkspaceId,
        path: &'a str,
    ) -> Pending<'a, Result<Option<String>, DriverError>> {
        let (engine, container) = (self.containers.engine(), spec::container(id));
        let path = text(&self.options.home.join(path));
        Box::pin(async move { files::read(engine, &container, &path, MAX_FILE).await })
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Returns what a workspace's agent is told; `container_has` is the environment of its
/// container.
fn agent_config(
    workspace: &Workspace,
    options: &DockerOptions,
    container_has: &BTreeMap<String, String>,
) -> Result<String, DriverError> {
    let mut environment = options.environment.clone();
    for (name, value) in &options.remote_environment {
        let known = |name: &str| {
            let known = options
                .environment
                .get(name)
                .or_else(|| container_has.get(name));
            known.cloned()
        };
        environment.insert(name.clone(), with_container(value, known));
    }
    environment.extend(workspace.variables());
    let config = AgentConfig {
        workspace: workspace.id.to_string(),
        home: options.home.clone(),
        runtime: spec::RUNTIME.into(),
        shell: options.shell.clone(),
        reach: match &options.reach {
            DockerReach::Folder => AgentReach::Socket {
                path: PathBuf::from(spec::SHARED).join(SOCKET),
                gateway: Some(rustix::process::geteuid().as_raw()),
            },
            DockerReach::Dial { gateways, .. } => identity::reach(gateways),
        },
        environment,
        editor: options.editor.clone(),
        terminals: options.terminals.clone(),
        startup: Startup {
            state_folder: Some(spec::STATE.into()),
            ..startup::of(&options.startup, &workspace.blueprint, |name| {
                let known = options.environment.get(name);
                known.or_else(|| container_has.get(name)).cloned()
            })
        },
    };
    toml::to_string(&config).map_err(|error| DriverError::File {
        action: "write",
        path: spec::CONFIG.into(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    })
}

#[cfg(test)]
mod tests;
