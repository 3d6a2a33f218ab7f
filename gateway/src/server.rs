//! The server: puts the parts together, runs them, and ends them in order.
//!
//! What can be checked without changing anything is checked first, so that a start
//! that fails leaves nothing half-made: the folder, the ports, the agent's binary.
//! Then the folder is locked for this process, and only its holder writes to it.

mod assemble;
mod browser;
mod collection;
mod driver;
mod error;
mod first_run;
mod folder;
mod host;
mod lifetimes;
mod limits;
mod listen;
mod lost_records;
mod other_driver;
mod pools;
mod ports;
mod ready;
mod web;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{Config, admin_socket};
use crate::http::Readiness;
use crate::http::admin::Server;
use crate::http::proxy::Proxy;
use crate::store::Store;
use crate::tunnel::Tunnels;
use crate::workspaces::Workspaces;

pub use driver::engines;
pub use error::StartError;
pub use first_run::{FirstRun, Ground};
pub use folder::server_of;
pub use listen::Port;
pub use web::{given, public_host};

use folder::DataFolder;
use ports::LastPorts;
use ready::{Ready, ReadyFile};

/// Name of the part that people's connections end with.
const SSH_PART: &str = "the SSH listener";

/// What is asked of a start.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// What to set up first; absent: nothing.
    pub first_run: Option<FirstRun>,
    /// The file to write once everything accepts connections.
    pub ready_file: Option<PathBuf>,
}

/// A start whose ground was found good; nothing is changed yet but that the ports
/// are taken.
#[derive(Debug)]
pub struct Prepared {
    start: Start,
    agent: PathBuf,
    ssh: TcpListener,
    http: TcpListener,
    ports: LastPorts,
}

/// A server that accepts connections.
#[derive(Debug)]
pub struct Running {
    server: Server,
    ground: Option<Ground>,
    drain_timeout: Duration,
    parts: JoinSet<&'static str>,
    stop: CancellationToken,
    /// Ends the HTTPS listener, once no open connection needs agents to dial in.
    stop_agents: CancellationToken,
    readiness: Readiness,
    store: Store,
    workspaces: Workspaces,
    tunnels: Tunnels,
    proxy: Proxy,
    _ready: Option<ReadyFile>,
    /// Last, so that the folder is free only once everything has ended.
    _folder: DataFolder,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All connections had ended.
    Drained,
    /// Some were still open when the time was over, or when it was told to end at
    /// once.
    CutShort,
    /// A part of it failed.
    Failed,
}

impl Prepared {
    /// Checks what can be checked without changing anything, and takes the ports.
    pub async fn new(start: Start) -> Result<Self, StartError> {
        let config = &start.config;
        let path = config.data_dir.clone();
        spawn_blocking(move || DataFolder::inspect(&path)).await??;
        let agent = assemble::agent_binary(config.process.agent.as_deref())?;
        let last = LastPorts::read(&config.data_dir);
        let (ssh, http) = (&config.ssh.listen, &config.http.listen);
        let ssh = listen::bind(Port::Ssh, ssh, last.of(Port::Ssh)).await?;
        let http = listen::bind(Port::Http, http, last.of(Port::Http)).await?;
        if let Some(path) = &start.ready_file {
            ReadyFile::prepare(path, &config.data_dir).map_err(ready_file(path))?;
        }
        Ok(Self {
            start,
            agent,
            ssh,
            http,
            ports: last,
        })
    }

    /// Starts everything. Returns once all of it accepts connections.
    pub async fn start(self) -> Result<Running, StartError> {
        let ready_file_path = self.start.ready_file.clone();
        let data_dir = self.start.config.data_dir.clone();
        let running = assemble::start(self).await;
        let running = running.map_err(|error| error.or_full(&data_dir))?;
        let (ssh, http) = (&running.server.ssh, &running.server.http);
        info!(%ssh, %http, "ready");
        if let Some(path) = ready_file_path {
            let ready = Ready {
                ssh: running.server.ssh,
                http: running.server.http,
                workspace: running.ground.as_ref().map(|ground| &ground.workspace),
                pid: std::process::id(),
            };
            let file = ReadyFile::write(&path, &ready).map_err(ready_file(&path))?;
            return Ok(Running {
                _ready: Some(file),
                ..running
            });
        }
        Ok(running)
    }
}

impl Running {
    /// Returns where it listens, and with which keys.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns what was set up, where that was asked for.
    pub fn ground(&self) -> Option<&Ground> {
        self.ground.as_ref()
    }

    /// Runs until `asked` ends; then accepts nothing new, sends the agents that dialled
    /// in away, and waits for open connections, up to the time in the configuration or
    /// until `at_once` ends. The workspaces go on running: the next server adopts them.
    pub async fn run(
        mut self,
        asked: impl Future<Output = ()>,
        at_once: impl Future<Output = ()>,
    ) -> Ended {
        let failed = tokio::select! {
            () = asked => None,
            part = self.parts.join_next() => Some(part),
        };
        if let Some(part) = &failed {
            error!(?part, "a part of the server ended by itself");
        }
        info!("draining");
        self.readiness.set_unready();
        self.stop.cancel();
        self.tunnels.go_away();
        if failed.is_some() {
            self.stop_agents.cancel();
        }
        let drained = async {
            while let Some(ended) = self.parts.join_next().await {
                if ended.is_ok_and(|part| part == SSH_PART) {
                    self.stop_agents.cancel();
                }
            }
        };
        let drained = tokio::select! {
            result = timeout(self.drain_timeout, drained) => result.is_ok(),
            () = at_once => false,
        };
        if !drained {
            warn!("open connections are cut");
            self.proxy.end().await;
            self.parts.shutdown().await;
        }
        self.workspaces.shutdown().await;
        self.tunnels.shutdown().await;
        self.store.close().await;
        // Nobody else's: the folder is still locked. One that stays is replaced.
        let _ = std::fs::remove_file(admin_socket(&self.server.data_dir));
        info!("ended");
        match (failed, drained) {
            (Some(_), _) => Ended::Failed,
            (None, true) => Ended::Drained,
            (None, false) => Ended::CutShort,
        }
    }
}

fn ready_file(path: &Path) -> impl Fn(io::Error) -> StartError {
    move |cause| StartError::ReadyFile {
        path: path.to_owned(),
        cause,
    }
}
