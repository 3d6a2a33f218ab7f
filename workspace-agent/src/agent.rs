//! The agent: what every stream shares.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use devgate_protocol::config::AgentConfig;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::account::Account;
use crate::process::{Children, Orphans};
use crate::waiting::Waiting;

/// Why an agent couldn't be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A folder of the workspace can't be made.
    #[error("can't make the folder {}: check that its parent exists and belongs to this user", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The ends of processes can't be watched.
    #[error("can't watch for the ends of processes")]
    Watch(#[source] io::Error),
}

/// One workspace's agent. Lives until the last stream that it serves.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    account: Account,
    shell: PathBuf,
    children: Arc<Children>,
    waiting: Arc<Waiting>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Agent {
    /// Starts an agent: makes its folders and watches for the ends of the programs
    /// that it will start. Must be called inside a Tokio runtime.
    pub fn start(config: AgentConfig, orphans: Orphans) -> Result<Arc<Self>, AgentError> {
        make_folder(&config.home, 0o755)?;
        make_folder(&config.runtime, 0o700)?;
        let account = Account::of_this_process();
        let shell = config.shell.clone();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let children = Arc::new(Children::new(orphans));
        let reap = Arc::clone(&children)
            .watch(stop.child_token())
            .map_err(AgentError::Watch)?;
        tasks.spawn(reap);
        tasks.close();
        Ok(Arc::new(Self {
            shell: shell.unwrap_or_else(|| account.shell.clone()),
            config,
            account,
            children,
            waiting: Arc::default(),
            tasks,
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        }))
    }

    /// Returns what the agent was told when it started.
    pub fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// Returns the home directory of the workspace's user.
    pub fn home(&self) -> &Path {
        &self.config.home
    }

    /// Returns the user that programs run as.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Returns the log-in shell.
    pub fn shell(&self) -> &Path {
        &self.shell
    }

    /// Returns a token that is cancelled once the agent has ended: listeners close, and
    /// streams that are still open shortly after are cut.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops watching for the ends of programs, which live on.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    pub(crate) fn children(&self) -> &Arc<Children> {
        &self.children
    }

    pub(crate) fn waiting(&self) -> &Arc<Waiting> {
        &self.waiting
    }

    /// Returns the path that a client means: a relative one starts at the home
    /// directory, as it does for sshd.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.config.home.join(path)
    }
}

fn make_folder(path: &Path, mode: u32) -> Result<(), AgentError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|source| AgentError::Folder {
            path: path.to_owned(),
            source,
        })
}
