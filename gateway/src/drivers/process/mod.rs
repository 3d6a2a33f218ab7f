//! Workspaces as local processes: each agent is a process of the gateway's user.
//!
//! It doesn't isolate workspaces from each other or from the gateway: it is for one
//! person, or for people who trust each other.
//!
//! Each agent has a session of its own and no pipe to the gateway, so neither the
//! gateway's end nor a Ctrl-C on its terminal reaches it. The next gateway finds it
//! by the file `agent.pid` and holds it by a pidfd.

mod copy;
mod find;
mod folder;
mod logs;
mod pidfd;
mod size;
mod slot;
mod snapshots;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::config::{EditorConfig, Startup, TerminalsConfig};
use parking_lot::Mutex;
use rustix::process::Signal;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tracing::{debug, warn};

use super::{
    Driver, DriverError, Exit, Follow, HomeSize, Issue, Kept, Logs, Pending, Presence, Reach,
    Started, blocking,
};
use crate::names::WorkspaceId;
use crate::workspaces::Workspace;
use folder::Folder;
use pidfd::Process;
use slot::Slot;
use snapshots::Copies;

/// How often the logs' sizes are looked at.
const ROTATION: Duration = Duration::from_secs(30);

/// How long what runs in a workspace has to end whose folder was moved.
const GRACE_OF_DISPLACED: Duration = Duration::from_secs(10);

/// How the process driver runs agents.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// Folder that holds one folder a workspace.
    pub folder: PathBuf,
    /// The agent's program.
    pub agent: PathBuf,
    /// Login shell of all workspaces; the user's own where absent.
    pub shell: Option<PathBuf>,
    /// Environment of everything that runs in the workspaces.
    pub environment: BTreeMap<String, String>,
    /// The editor in the browser.
    pub editor: EditorConfig,
    /// Terminals in the browser.
    pub terminals: TerminalsConfig,
    /// What is done when an agent starts.
    pub startup: Startup,
    /// How agents are reached.
    pub reach: ProcessReach,
}

/// How agents are reached.
#[derive(Clone)]
pub enum ProcessReach {
    /// By a Unix socket in the workspace's folder.
    Socket,
    /// They dial in.
    Dial {
        /// The gateway's HTTPS addresses, `host:port`.
        gateways: Vec<String>,
        /// Makes an agent's certificate; called at each start, may block.
        issue: Issue,
    },
}

/// Runs agents as processes of this host.
#[derive(Debug)]
pub struct ProcessDriver {
    options: Arc<ProcessOptions>,
    agents: Agents,
    copies: Copies,
    /// Keeps the logs small; aborted when this is dropped.
    _rotation: JoinSet<()>,
}

type Agents = Arc<Mutex<HashMap<WorkspaceId, Arc<Slot>>>>;

impl fmt::Debug for ProcessReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("Socket"),
            Self::Dial { gateways, .. } => f
                .debug_struct("Dial")
                .field("gateways", gateways)
                .finish_non_exhaustive(),
        }
    }
}

impl ProcessDriver {
    /// Runs agents with these options. Needs tokio's context.
    pub fn new(options: ProcessOptions) -> Self {
        let options = Arc::new(options);
        let agents = Agents::default();
        let mut rotation = JoinSet::new();
        rotation.spawn(rotate_logs(Arc::clone(&options), Arc::clone(&agents)));
        Self {
            options,
            agents,
            copies: Copies::default(),
            _rotation: rotation,
        }
    }

    /// Takes note of the homes that are there: those of an earlier version have no note. Blocks.
    ///
    /// # Errors
    /// Where a file can't be read or written; what is there can be used all the same.
    pub fn note_homes(&self) -> Result<(), DriverError> {
        for id in folder::kept(&self.options.folder)? {
            snapshots::note_home(&self.folder(&id))?;
        }
        Ok(())
    }

    fn folder(&self, id: &WorkspaceId) -> Folder {
        Folder::new(&self.options.folder, id)
    }

    fn slot(&self, id: &WorkspaceId) -> Arc<Slot> {
        let mut agents = self.agents.lock();
        Arc::clone(agents.entry(id.clone()).or_default())
    }

    /// Returns the agent that runs now, or how the last one ended.
    async fn agent(&self, id: &WorkspaceId) -> Result<Result<Arc<Process>, Exit>, DriverError> {
        let (slot, folder) = (self.slot(id), self.folder(id));
        blocking(move || slot.find(&folder)).await
    }

    /// Ends what runs in a workspace where its folder was moved under it: its home is elsewhere
    /// now, and programs would be started without one.
    async fn end_displaced(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        let (agent, folder) = (self.agent(id).await?, self.folder(id));
        let Ok(agent) = agent else {
            return Ok(());
        };
        let pid = agent.pid();
        if !blocking(move || find::is_displaced(&agent, &folder)).await {
            return Ok(());
        }
        warn!(
            pid,
            home = %self.home(id).display(),
            "the data folder was moved while the workspace ran: its programs are ended, and its \
             agent is started anew"
        );
        self.stop(id, GRACE_OF_DISPLACED).await
    }
}

async fn rotate_logs(options: Arc<ProcessOptions>, agents: Agents) {
    let mut ticks = interval(ROTATION);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let ids: Vec<_> = {
            let agents = agents.lock();
            agents.keys().cloned().collect()
        };
        let options = Arc::clone(&options);
        blocking(move || {
            for id in ids {
                if let Err(error) = logs::rotate(&Folder::new(&options.folder, &id).log()) {
                    debug!(workspace = %id, %error, "can't set a full log aside");
                }
            }
        })
        .await;
    }
}

impl Driver for ProcessDriver {
    fn create<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<(), DriverError>> {
        let folder = self.folder(&workspace.id);
        let restoring = workspace.blueprint.restoring().to_owned();
        Box::pin(async move {
            {
                let (folder, restoring) = (folder.clone(), restoring.clone());
                blocking(move || folder.check_home(&restoring)).await?;
            }
            if let Some(home) = workspace.blueprint.home.clone() {
                self.restore(&workspace.id, home).await?;
            }
            blocking(move || {
                folder.create()?;
                folder.note_home(&restoring)
            })
            .await
        })
    }

    fn start<'a>(&'a self, workspace: &'a Workspace) -> Pending<'a, Result<Started, DriverError>> {
        let (slot, folder) = (self.slot(&workspace.id), self.folder(&workspace.id));
        let (options, workspace) = (Arc::clone(&self.options), workspace.clone());
        Box::pin(async move {
            self.end_displaced(&workspace.id).await?;
            blocking(move || slot.start(&folder, &options, &workspace)).await
        })
    }

    fn stop<'a>(
        &'a self,
        id: &'a WorkspaceId,
        grace: Duration,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            let deadline = Instant::now() + grace;
            if let Ok(agent) = self.agent(id).await? {
                let asked = agent.signal(Signal::TERM);
                asked.map_err(|source| DriverError::Process {
                    action: "end",
                    pid: agent.pid(),
                    source,
                })?;
                if timeout_at(deadline, agent.ended()).await.is_err() {
                    warn!(
                        pid = agent.pid(),
                        ?grace,
                        "killing an agent that doesn't end"
                    );
                    find::kill(&agent).await?;
                }
            }
            find::sweep(&self.folder(id), id, deadline).await
        })
    }

    fn release<'a>(&'a self, _id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        // What stands beside the home is small, and its log may be wanted.
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<(), DriverError>> {
        let folder = self.folder(id);
        let (agents, id) = (Arc::clone(&self.agents), id.clone());
        Box::pin(blocking(move || {
            folder.remove()?;
            let mut agents = agents.lock();
            agents.remove(&id);
            Ok(())
        }))
    }

    fn inspect<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Presence, DriverError>> {
        Box::pin(async move {
            let folder = self.folder(id);
            if !folder.home().is_dir() {
                return Ok(Presence::Absent);
            }
            Ok(match self.agent(id).await? {
                Ok(agent) => Presence::Running { pid: agent.pid() },
                Err(_) => Presence::Stopped,
            })
        })
    }

    fn exited<'a>(&'a self, id: &'a WorkspaceId) -> Pending<'a, Result<Exit, DriverError>> {
        Box::pin(async move {
            match self.agent(id).await? {
                Ok(agent) => agent.ended().await.map_err(|source| DriverError::Process {
                    action: "watch",
                    pid: agent.pid(),
                    source,
                }),
                Err(exit) => Ok(exit),
            }
        })
    }

    fn kept(&self) -> Pending<'_, Result<Kept, DriverError>> {
        let all = self.options.folder.clone();
        Box::pin(blocking(move || folder::kept(&all).map(Kept::all)))
    }

    fn sizes(&self) -> Pending<'_, Result<HashMap<WorkspaceId, HomeSize>, DriverError>> {
        let all = self.options.folder.clone();
        Box::pin(async move {
            let ids = {
                let all = all.clone();
                blocking(move || folder::kept(&all)).await?
            };
            let mut sizes = HashMap::new();
            for id in ids {
                let home = Folder::new(&all, &id).home();
                let Some(bytes) = blocking(move || size::of(&home)).await else {
                    continue;
                };
                let at = OffsetDateTime::now_utc();
                sizes.insert(id, HomeSize { bytes, at });
            }
            Ok(sizes)
        })
    }

    fn doing(&self, _id: &WorkspaceId) -> Option<String> {
        None
    }

    fn reach(&self, id: &WorkspaceId) -> Reach {
        match &self.options.reach {
            ProcessReach::Socket => Reach::Socket(self.folder(id).socket()),
            ProcessReach::Dial { .. } => Reach::Dial,
        }
    }

    fn home(&self, id: &WorkspaceId) -> PathBuf {
        self.folder(id).home()
    }

    fn logs<'a>(
        &'a self,
        id: &'a WorkspaceId,
        lines: usize,
        follow: Follow,
    ) -> Pending<'a, Result<Logs, DriverError>> {
        let path = self.folder(id).log();
        Box::pin(blocking(move || {
            logs::read(path.clone(), lines, follow).map_err(|source| DriverError::File {
                action: "read",
                path,
                source,
            })
        }))
    }

    fn home_file<'a>(
        &'a self,
        id: &'a WorkspaceId,
        path: &'a str,
    ) -> Pending<'a, Result<Option<String>, DriverError>> {
        let path = self.folder(id).home().join(path);
        Box::pin(blocking(move || folder::text(path)))
    }
}

#[cfg(test)]
mod tests;
