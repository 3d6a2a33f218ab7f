//! The workspace's editor: code-server, supervised.
//!
//! Nothing runs until somebody wants it. One task owns the process: it starts it,
//! watches that it is well, starts it again with growing pauses when it ends, and
//! stops it when nobody has been connected for long. Everybody else reads the status
//! and sends wishes.
//!
//! It listens on a Unix socket in the runtime folder, which only the workspace's user
//! can enter, and asks for no password: who gets through to it was let in by the
//! gateway.

mod extensions;
mod health;
mod log;
mod machine;
mod process;
mod supervisor;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use devgate_protocol::{RefusalReason, socket};
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Duration, Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::Agent;
use crate::log::LogFile;
use process::Settings;

/// Wishes that wait for the supervisor; who has more waits.
const MAX_WISHES: usize = 8;

/// How long after it failed for good it isn't tried again by itself: whoever comes is
/// told why.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Pause before a connection that was refused is tried again: it is just ending.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// What the editor is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// There is none in the workspace.
    Missing,
    /// It doesn't run.
    #[default]
    Stopped,
    /// It doesn't answer yet.
    Starting,
    /// It answers.
    Running,
    /// It doesn't start, or ends again and again.
    Failed,
}

/// What is known about the editor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// What it is doing.
    pub(crate) state: State,
    /// A sentence for people.
    pub(crate) detail: String,
    /// Its version, once it said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Since when it does what it is doing.
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) since: Option<OffsetDateTime>,
    /// Connections to it.
    pub(crate) connections: usize,
}

/// Why there is no connection to the editor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditorError {
    /// There is none in the workspace by that name or path.
    #[error("{}", how_to_get(.0))]
    Missing(PathBuf),
    /// It doesn't run.
    #[error("{0}")]
    Failed(String),
}

/// Says what a person does where there is no editor by that name or path.
fn how_to_get(program: &Path) -> String {
    let program = program.display();
    format!(
        "there is no {program} in this workspace: install code-server there \
         (https://coder.com/docs/code-server/install), so that it is found, or set the editor's \
         program in the gateway's configuration"
    )
}

impl EditorError {
    /// Returns the kind of refusal.
    pub(crate) fn reason(&self) -> RefusalReason {
        match self {
            Self::Missing(_) => RefusalReason::EditorMissing,
            Self::Failed(_) => RefusalReason::EditorFailed,
        }
    }
}

/// What somebody wants of the supervisor, and how he learns that the status tells it.
#[derive(Debug)]
struct Wish {
    what: What,
    heard: oneshot::Sender<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// That it runs.
    Start,
    /// That it doesn't.
    Stop,
    /// That it runs anew.
    Restart,
}

/// A workspace's editor.
#[derive(Debug)]
pub(crate) struct Editor {
    settings: Arc<Settings>,
    status: watch::Sender<Status>,
    connections: Arc<Connections>,
    /// The supervisor, from the first wish on.
    supervisor: OnceLock<mpsc::Sender<Wish>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How many connections there are, and since when there are none.
#[derive(Debug)]
struct Connections {
    count: Mutex<(usize, Instant)>,
    changed: Notify,
}

/// A connection to the editor, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Connected(Arc<Connections>);

impl Connections {
    fn new() -> Self {
        Self {
            count: Mutex::new((0, Instant::now())),
            changed: Notify::new(),
        }
    }

    fn begin(self: &Arc<Self>) -> Connected {
        self.lock().0 += 1;
        Connected(Arc::clone(self))
    }

    /// Returns how many there are.
    fn count(&self) -> usize {
        self.lock().0
    }

    /// Waits until there has been none for that long. Cancel-safe.
    async fn idle(&self, time: Duration) {
        loop {
            let (count, since) = *self.lock();
            if count > 0 {
                self.changed.notified().await;
            } else if since.elapsed() >= time {
                return;
            } else {
                tokio::select! {
                    () = tokio::time::sleep_until(since + time) => {}
                    () = self.changed.notified() => {}
                }
            }
        }
    }

    fn touch(&self) {
        self.lock().1 = Instant::now();
    }

    fn lock(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.count.lock()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut count = self.0.lock();
        count.0 = count.0.saturating_sub(1);
        count.1 = Instant::now();
        drop(count);
        self.0.changed.notify_one();
    }
}

impl Editor {
    /// Starts nothing yet.
    pub(crate) fn new(
        config: &devgate_protocol::config::AgentConfig,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            settings: Arc::new(Settings::new(config)),
            status: watch::Sender::new(Status {
                detail: "it starts when it is opened".to_owned(),
                ..Status::default()
            }),
            connections: Arc::new(Connections::new()),
            supervisor: OnceLock::new(),
            tasks,
            stop,
        }
    }

    /// Returns what is known about it.
    pub(crate) fn status(&self, agent: &Agent) -> Status {
        let mut status = self.status.borrow().clone();
        if matches!(status.state, State::Stopped | State::Failed)
            && let Err(missing) = self.look_for(agent)
        {
            status.state = State::Missing;
            status.detail = missing.to_string();
        }
        if status.state == State::Running && status.version.is_none() {
            // It says it just after it begins to answer.
            status.version = supervisor::version(&self.settings);
        }
        status.connections = self.connections.count();
        status
    }

    /// Starts it, unless it runs.
    ///
    /// # Errors
    /// `Missing`.
    pub(crate) async fn start(&self, agent: &Arc<Agent>) -> Result<(), EditorError> {
        self.look_for(agent)?;
        Self::wish(self.supervisor(agent), What::Start).await;
        Ok(())
    }

    /// Stops it, and starts it again.
    ///
    /// # Errors
    /// `Missing`.
    pub(crate) async fn restart(&self, agent: &Arc<Agent>) -> Result<(), EditorError> {
        self.look_for(agent)?;
        Self::wish(self.supervisor(agent), What::Restart).await;
        Ok(())
    }

    /// Stops it. It starts again when somebody opens it.
    pub(crate) async fn stop(&self) {
        if let Some(supervisor) = self.supervisor.get() {
            Self::wish(supervisor, What::Stop).await;
        }
    }

    /// Returns what it and its supervisor wrote.
    pub(crate) fn log(&self) -> &LogFile {
        self.settings.log()
    }

    /// Connects to it, once it runs and answers; it is started where it doesn't.
    pub(crate) async fn connect(
        &self,
        agent: &Arc<Agent>,
    ) -> Result<(UnixStream, Connected), EditorError> {
        // Counted from here on: it isn't stopped for being idle while somebody waits.
        let connected = self.connections.begin();
        let patience = self.settings.patience();
        let deadline = Instant::now() + patience;
        let connecting = async {
            loop {
                self.running(agent).await?;
                match socket::connect(&self.settings.socket()).await {
                    Ok(stream) => return Ok(stream),
                    Err(_) => sleep(CONNECT_PAUSE).await,
                }
            }
        };
        match timeout_at(deadline, connecting).await {
            Ok(connected_to) => Ok((connected_to?, connected)),
            Err(_) => Err(EditorError::Failed(format!(
                "the editor didn't answer within {} s; its log says more",
                patience.as_secs()
            ))),
        }
    }

    /// Waits until it runs.
    async fn running(&self, agent: &Arc<Agent>) -> Result<(), EditorError> {
        let mut status = self.status.subscribe();
        {
            let now = status.borrow_and_update();
            let recently = |since| OffsetDateTime::now_utc() - since < RETRY_AFTER;
            match now.state {
                State::Running => return Ok(()),
                State::Failed if now.since.is_some_and(recently) => {
                    return Err(EditorError::Failed(now.detail.clone()));
                }
                _ => {}
            }
        }
        self.start(agent).await?;
        let over = status
            .wait_for(|status| !matches!(status.state, State::Starting))
            .await;
        match over {
            Ok(status) if status.state == State::Running => Ok(()),
            Ok(status) if status.state == State::Failed => {
                Err(EditorError::Failed(status.detail.clone()))
            }
            Ok(_) => Err(EditorError::Failed(
                "the editor was stopped: open it again to start it".to_owned(),
            )),
            Err(_) => Err(EditorError::Failed("the workspace is stopping".to_owned())),
        }
    }

    /// Fails where there is no program to start.
    fn look_for(&self, agent: &Agent) -> Result<(), EditorError> {
        match self.settings.find(agent) {
            Some(_) => Ok(()),
            None => Err(EditorError::Missing(self.settings.program().to_owned())),
        }
    }

    /// Waits until the supervisor has heard a wish.
    async fn wish(supervisor: &mpsc::Sender<Wish>, what: What) {
        let (heard, answer) = oneshot::channel();
        // Where nobody listens the agent is ending.
        let _ = supervisor.send(Wish { what, heard }).await;
        let _ = answer.await;
    }

    fn supervisor(&self, agent: &Arc<Agent>) -> &mpsc::Sender<Wish> {
        self.supervisor.get_or_init(|| {
            let (sender, wishes) = mpsc::channel(MAX_WISHES);
            let supervisor = supervisor::Supervisor {
                agent: Arc::downgrade(agent),
                settings: Arc::clone(&self.settings),
                status: self.status.clone(),
                connections: Arc::clone(&self.connections),
                wishes,
                tasks: self.tasks.clone(),
                stop: self.stop.clone(),
                extensions: extensions::Extensions::Due,
            };
            self.tasks.spawn(supervisor.run());
            sender
        })
    }
}
