//! The agent: what every stream shares.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use devgate_protocol::config::AgentConfig;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::account::Account;
use crate::awake::Awake;
use crate::editor::Editor;
use crate::files::Files;
use crate::memory::Memory;
use crate::notices::Notices;
use crate::outlived::Outlived;
use crate::ports::Ports;
use crate::process::{Children, Orphans};
use crate::process_limit;
use crate::runs::Runs;
use crate::secrets::Secrets;
use crate::session::Passing;
use crate::startup::Startup;
use crate::statistics::Statistics;
use crate::terminals::Terminals;
use crate::waiting::Waiting;
use crate::watches::Watches;

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
    notices: Notices,
    waiting: Arc<Waiting>,
    outlived: Outlived,
    passing: Passing,
    terminals: Terminals,
    runs: Runs,
    watches: Watches,
    ports: Ports,
    statistics: Arc<Statistics>,
    editor: Editor,
    files: Arc<Files>,
    secrets: Secrets,
    startup: Startup,
    awake: Awake,
    started: Instant,
    tasks: TaskTracker,
    ending: CancellationToken,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Agent {
    /// Starts an agent: makes its folders, watches for the ends of the programs that it
    /// will start, and begins the start-up. Must be called inside a Tokio runtime.
    pub fn start(config: AgentConfig, orphans: Orphans) -> Result<Arc<Self>, AgentError> {
        make_folder(&config.home, 0o755)?;
        make_folder(&config.runtime, 0o700)?;
        let account = Account::of_this_process();
        let shell = config.shell.clone();
        let stop = CancellationToken::new();
        let ending = stop.child_token();
        let tasks = TaskTracker::new();
        let notices = Notices::default();
        let memory = Arc::new(Memory::new(notices.clone()));
        let children = Arc::new(Children::new(orphans, Arc::clone(&memory)));
        let reap = Arc::clone(&children)
            .watch(stop.child_token())
            .map_err(AgentError::Watch)?;
        tasks.spawn(reap);
        tasks.spawn(memory.run(stop.child_token()));
        tasks.spawn(process_limit::watch(notices.clone(), stop.child_token()));
        // Both do something before they are asked.
        let statistics = Arc::new(Statistics::new(&config));
        tasks.spawn(Arc::clone(&statistics).run(stop.child_token()));
        let files = Arc::new(Files::new(&config.home));
        tasks.spawn(Arc::clone(&files).run(stop.child_token()));
        tasks.close();
        let agent = Arc::new(Self {
            shell: shell.unwrap_or_else(|| account.shell.clone()),
            account,
            children,
            notices,
            waiting: Arc::default(),
            terminals: Terminals::new(tasks.clone(), ending.clone()),
            runs: Runs::new(tasks.clone(), stop.child_token()),
            passing: Passing::default(),
            outlived: Outlived::new(tasks.clone(), stop.child_token()),
            watches: Watches::new(tasks.clone(), stop.child_token()),
            ports: Ports::new(config.mark(), tasks.clone(), stop.child_token()),
            statistics,
            editor: Editor::new(&config, tasks.clone(), ending.clone()),
            files,
            secrets: Secrets::with(&config.runtime),
            startup: Startup::new(&config),
            awake: Awake::start(&config, &tasks, &stop),
            started: Instant::now(),
            config,
            tasks,
            ending,
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        });
        Startup::begin(&agent);
        Ok(agent)
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

    /// Takes note that everything in the workspace is about to be ended: what is ended
    /// then isn't started again, and terminals are closed.
    pub fn begin_end(&self) {
        self.ending.cancel();
    }

    /// Stops watching for the ends of programs, which live on.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    pub(crate) fn children(&self) -> &Arc<Children> {
        &self.children
    }

    /// Returns what it tells a gateway by itself.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Returns what reads the pipes that nobody else reads any more.
    pub(crate) fn outlived(&self) -> &Outlived {
        &self.outlived
    }

    pub(crate) fn terminals(&self) -> &Terminals {
        &self.terminals
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    pub(crate) fn watches(&self) -> &Watches {
        &self.watches
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(crate) fn awake(&self) -> &Awake {
        &self.awake
    }

    pub(crate) fn editor(&self) -> &Editor {
        &self.editor
    }

    /// Returns what all that do something with files share.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// Returns what gateways have told for the workspace's programs.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns what reaches sessions past their streams.
    pub fn passing(&self) -> &Passing {
        &self.passing
    }

    pub(crate) fn startup(&self) -> &Startup {
        &self.startup
    }

    /// Returns the agent's own tasks, which end with it.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Returns a token that is cancelled once everything in the workspace is to end.
    pub(crate) fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    /// Returns how long the agent has run.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
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
