//! What runs agents.
//!
//! [`Driver`] is dispatched through `dyn`: its calls start and stop whole agents, so
//! a boxed future costs nothing that matters, and the lifecycle isn't compiled once
//! more for each driver.

pub mod docker;
pub mod process;
mod snapshots;
mod startup;

#[cfg(test)]
pub(crate) mod contract;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devgate_certs::AgentIdentity;
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::Workspace;

pub use snapshots::{Credentials, Label, Snapshots, Taken};

/// What a driver's method returns: a future of `T`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The output of an agent, in chunks that end at line ends where lines are short.
pub type Logs = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// Runs the agents of workspaces, and nothing else: it holds facts, not intent.
///
/// The contract, which `drivers::contract` tests:
///
/// - Every method is idempotent: called again, or after the gateway was killed in
///   the middle of it, it finishes what is left to do.
/// - Calls for one workspace come one after another, except that `inspect`,
///   `exited`, `reach`, `home`, `sizes`, `logs` and `home_file` come at any time; calls for
///   different workspaces run side by side.
/// - Dropping a method's future leaves the workspace in one of the states that
///   `inspect` tells, and nothing half-made that a later call can't finish.
/// - Agents survive their gateway, however it ends. A driver made anew finds them
///   again: `inspect` says `Running` and `start` leaves them as they are.
/// - No method ever harms a process that isn't the workspace's own.
pub trait Driver: Snapshots + fmt::Debug + Send + Sync + 'static {
    /// Makes what the workspace keeps while it is stopped: its home; from a snapshot where
    /// it is made of one. A home that was there before is kept until that is in its place.
    /// Gets what a start needs and may take its time, such as an image.
    fn create<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<(), DriverError>>;

    /// Starts the workspace's agent, unless it runs. Doesn't wait until it can be
    /// reached. `create` comes first.
    fn start<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<Started, DriverError>>;

    /// Lets an agent go on that somebody else made stand still. `Ok` where none does, and
    /// where nobody can.
    fn go_on<'a>(&'a self, _id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Ends the agent and everything that runs in the workspace: asks, and after
    /// `grace` kills. `Ok` where nothing ran; once it returns nothing does.
    fn stop<'a>(
        &'a self,
        id: &'a WorkspaceId,
        grace: Duration,
    ) -> Pending<'a, Result<(), DriverError>>;

    /// Removes what can be made anew: everything but the home. `stop` comes first, and
    /// `create` and `start` may follow.
    fn release<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>>;

    /// Removes everything that the workspace keeps. `stop` comes first.
    fn remove<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>>;

    /// Tells what there is of the workspace now.
    fn inspect<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Presence, DriverError>>;

    /// Waits until no agent runs, and tells how the last one ended. Returns at once
    /// where none runs. Cancel-safe.
    fn exited<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Exit, DriverError>>;

    /// Tells of which workspaces anything is kept, whatever state it is in.
    fn kept(&self) -> Pending<'_, Result<Kept, DriverError>>;

    /// Measures the homes: those that it can, which takes its time.
    fn sizes(&self) -> Pending<'_, Result<HashMap<WorkspaceId, HomeSize>, DriverError>>;

    /// Tells a person who waits what a start that is under way takes its time with, or what
    /// keeps an agent from going on; where there is something to tell.
    fn doing(&self, id: &WorkspaceId) -> Option<String>;

    /// Tells how the agent is reached.
    fn reach(&self, id: &WorkspaceId) -> Reach;

    /// Tells where the workspace's home is, or will be: absolute, as its own programs
    /// see it.
    fn home(&self, id: &WorkspaceId) -> PathBuf;

    /// Returns the agent's output: the last `lines`, then what follows.
    fn logs<'a>(
        &'a self,
        id: &'a WorkspaceId,
        lines: usize,
        follow: Follow,
    ) -> Pending<'a, Result<Logs, DriverError>>;

    /// Returns a file of the home of a workspace whose agent doesn't run, as text, up to
    /// [`MAX_FILE`]; `path` is from the home on. `None` where it or the home isn't there.
    fn home_file<'a>(
        &'a self,
        id: &'a WorkspaceId,
        path: &'a str,
    ) -> Pending<'a, Result<Option<String>, DriverError>>;
}

/// Longest file of a home that a driver reads, in bytes.
pub const MAX_FILE: usize = 2 * 1024 * 1024;

/// PATH of programs where nobody sets one: what the Docker Engine and our agent give them.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the certificate of a workspace's agent.
pub type Issue = Arc<
    dyn Fn(&WorkspaceId) -> Result<AgentCredentials, Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync,
>;

/// What an agent needs to dial in.
#[derive(Debug)]
pub struct AgentCredentials {
    /// Its certificate and key.
    pub identity: AgentIdentity,
    /// The gateway's CA, PEM.
    pub ca_pem: String,
}

/// What there is of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing: not created, or removed.
    Absent,
    /// Its home, without an agent.
    Stopped,
    /// Its agent.
    Running {
        /// The agent's process id, as the host sees it.
        pid: u32,
    },
}

/// The workspaces of which anything is kept.
#[derive(Debug)]
pub struct Kept {
    /// Those that are known of, each once.
    pub workspaces: Vec<WorkspaceId>,
    /// Why there may be others.
    pub unknown: Option<DriverError>,
}

/// What a home takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeSize {
    /// On disk, in bytes.
    pub bytes: u64,
    /// When it was measured.
    pub at: OffsetDateTime,
}

/// The agent that runs after a start; its process id as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It was started.
    New(u32),
    /// It ran before.
    Found(u32),
}

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exit", content = "with", rename_all = "kebab-case")]
pub enum Exit {
    /// By itself, with a status.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// Killed because the workspace's memory was used up.
    OutOfMemory,
    /// Nobody was there to see.
    Unseen,
}

/// How the gateway reaches an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By connecting to a Unix socket, behind which is this process's own user.
    Socket(PathBuf),
    /// By connecting to a Unix socket in a folder that the workspace can write to, and
    /// nobody else but the gateway: behind it is the workspace, as whatever user.
    SharedSocket(PathBuf),
    /// The agent dials in.
    Dial,
}

/// Whether logs end with what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// They end.
    No,
    /// They go on as long as they are read.
    Yes,
}

/// What a driver can't do.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// There is no agent to start.
    #[error("the agent's program {} is missing", path.display())]
    AgentMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The system refuses to start the agent.
    #[error("the agent's program {} can't be started", path.display())]
    SpawnFailed {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The home can't be made or written to.
    #[error("the home {} can't be written to", path.display())]
    HomeUnwritable {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The home was there and is gone.
    #[error("the home's volume {volume} is missing")]
    HomeMissing {
        /// Its name.
        volume: String,
    },
    /// The same of a home that is a folder.
    #[error("the home {} is missing", path.display())]
    HomeGone {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder can't be handled.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A process can't be watched or signalled.
    #[error("can't {action} the agent's process {pid}")]
    Process {
        /// What was tried.
        action: &'static str,
        /// Its id.
        pid: u32,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Processes of the workspace can't be ended.
    #[error("{count} processes of the workspace don't end")]
    Unstoppable {
        /// How many are left.
        count: usize,
    },
    /// An agent runs that the driver can't find.
    #[error("another agent holds {}", lock.display())]
    LostAgent {
        /// The file that it has locked.
        lock: PathBuf,
    },
    /// What runs the containers doesn't answer. Nothing is lost by that.
    #[error("the Docker Engine at {engine} doesn't answer")]
    EngineUnreachable {
        /// Where it should listen.
        engine: String,
        /// What is to be done.
        remedy: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The workspace is on a host that isn't configured any more.
    #[error("the Docker host {host} is not in the configuration")]
    HostGone {
        /// The host's name.
        host: String,
    },
    /// No host can take the workspace.
    #[error("no Docker host can take the workspace ({detail})")]
    NoHost {
        /// What was looked for, or what is wrong with each.
        detail: String,
    },
    /// The engine refuses something.
    #[error("the Docker Engine can't {action} ({detail})")]
    Engine {
        /// What was tried.
        action: &'static str,
        /// The engine's words.
        detail: String,
    },
    /// The image is neither there nor to be had.
    #[error("the image {image} is not on this host and can't be pulled ({detail})")]
    ImageMissing {
        /// Its name.
        image: String,
        /// The engine's words.
        detail: String,
    },
    /// The snapshot that a workspace is made from isn't there.
    #[error("the snapshot {snapshot} is missing ({detail})")]
    SnapshotMissing {
        /// Its id.
        snapshot: SnapshotId,
        /// Why, as far as that is known.
        detail: String,
    },
    /// What a registry has there is no snapshot.
    #[error("{image} is no snapshot of a workspace")]
    NoSnapshot {
        /// Its name.
        image: String,
    },
    /// A registry refuses, or isn't there.
    #[error("can't {action} {image} ({detail})")]
    Registry {
        /// What was tried.
        action: &'static str,
        /// With what.
        image: String,
        /// The engine's words.
        detail: String,
    },
    /// Only containers have it.
    #[error("workspaces that are processes have no image to push or pull")]
    NeedsContainers,
    /// The image can't be built.
    #[error("the image can't be built ({detail})")]
    BuildFailed {
        /// The end of the build's output.
        detail: String,
    },
    /// The image has no such user.
    #[error("the image {image} has no user {user:?}")]
    UserMissing {
        /// The image's name.
        image: String,
        /// The user's.
        user: String,
    },
    /// The engine's disk is full.
    #[error("the Docker Engine's disk is full ({detail})")]
    DiskFull {
        /// The engine's words.
        detail: String,
    },
    /// A container, volume or network of that name is there and isn't this
    /// installation's.
    #[error("{name} belongs to somebody else")]
    Foreign {
        /// Its name.
        name: String,
    },
    /// No certificate can be made for the agent.
    #[error("can't make the agent's certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Kept {
    /// Returns that there are these and no others.
    pub fn all(workspaces: Vec<WorkspaceId>) -> Self {
        Self {
            workspaces,
            unknown: None,
        }
    }
}

impl Started {
    /// Returns the agent's process id.
    pub fn pid(self) -> u32 {
        match self {
            Self::New(pid) | Self::Found(pid) => pid,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::OutOfMemory => f.write_str("its memory used up"),
            Self::Unseen => f.write_str("an unknown status"),
        }
    }
}

/// Runs what blocks on a thread that may. It comes to its end even where the
/// caller goes away.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) => match failure.try_into_panic() {
            Ok(panicked) => std::panic::resume_unwind(panicked),
            // Cancelled: the runtime shuts down, and polls this no more.
            Err(_) => std::future::pending().await,
        },
    }
}
