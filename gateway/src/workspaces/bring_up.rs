//! Getting a workspace's agent to run and to answer.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::state::Workspace;
use super::{Shared, away, snapshots, startup};
use crate::chain::chain;
use crate::drivers::{DriverError, Exit, Reach, Started};
use crate::events::{Kind, NewEvent};
use crate::names::WorkspaceId;
use crate::tunnel::{Listener, LocalSocket};

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause after the first failed attempt; an agent listens within milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between attempts.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// How long a tunnel lasts that is worth having again at once.
const STEADY: Duration = Duration::from_secs(10);

/// Failed attempts to reach an agent again before that is worth a warning.
const WARN_AFTER: u32 = 12;

/// Why a start failed.
#[derive(Debug)]
pub(super) enum StartFailure {
    /// The agent ended before it answered.
    Ended(Exit),
    /// It didn't answer in time.
    TimedOut,
    /// The driver couldn't start it.
    Driver(DriverError),
}

impl From<DriverError> for StartFailure {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

/// Starts or adopts an agent after a delay, and waits until it answers and the workspace
/// may be used. Returns its process id. Dropped in the middle, it may leave an agent
/// running.
pub(super) async fn start(
    shared: &Shared,
    workspace: &Workspace,
    after: Duration,
    told: &startup::Told,
) -> Result<u32, StartFailure> {
    sleep(after).await;
    let pid = answering(shared, workspace).await?;
    let id = &workspace.id;
    // The steps have times of their own, and nobody else waits for them.
    tokio::select! {
        exit = shared.driver.exited(id) => Err(StartFailure::Ended(exit?)),
        never = keep_connected(shared, workspace) => match never {},
        () = startup::held(shared, workspace, told) => Ok(pid),
    }
}

/// Starts or adopts an agent, and waits until it answers.
async fn answering(shared: &Shared, workspace: &Workspace) -> Result<u32, StartFailure> {
    {
        let _waits = shared.snapshots.note_wait(workspace);
        snapshots::wait_for(shared, workspace).await?;
    }
    let turn = shared.snapshots.turn(&workspace.id);
    let held = turn.lock().await;
    // Homes and images may take their time: nobody else's start waits for them.
    shared.driver.create(workspace).await?;
    // A closed semaphore is one more that doesn't limit; ours is never closed.
    let _turn = shared.starts.acquire().await.ok();
    let started = shared.driver.start(workspace).await?;
    drop(held);
    let id = &workspace.id;
    if let Started::New(_) = started {
        tell_missing(shared, workspace).await;
    }
    let answered = timeout(shared.options.start_timeout, async {
        tokio::select! {
            exit = shared.driver.exited(id) => Err(match exit {
                Ok(exit) => StartFailure::Ended(exit),
                Err(error) => error.into(),
            }),
            () = connect(shared, id) => Ok(started.pid()),
        }
    })
    .await;
    match (answered, started) {
        (Ok(result), _) => result,
        (Err(_), Started::New(_)) => {
            shared.driver.stop(id, Duration::ZERO).await?;
            Err(StartFailure::TimedOut)
        }
        // People's programs run under it: ending them is theirs to decide.
        (Err(_), Started::Found(_)) => Err(StartFailure::TimedOut),
    }
}

/// Tells of the secrets that a workspace was to get and that there aren't.
async fn tell_missing(shared: &Shared, workspace: &Workspace) {
    let Some(vault) = shared.tunnels.vault() else {
        return;
    };
    let missing = vault.supply(&workspace.id).await.missing;
    if !missing.is_empty() {
        let about = NewEvent::of_workspace(Kind::SecretsMissing, workspace);
        shared
            .events
            .record(about.saying("names", &missing.join(", ")));
    }
}

/// Connects an agent again whenever its tunnel breaks while it lives.
pub(super) async fn keep_connected(shared: &Shared, workspace: &Workspace) -> Infallible {
    let id = &workspace.id;
    let mut pause = FIRST_PAUSE;
    loop {
        let since = Instant::now();
        shared.tunnels.disconnected(id).await;
        debug!("tunnel lost");
        if since.elapsed() < STEADY {
            // One that goes as soon as it comes isn't worth a busy gateway.
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        } else {
            pause = FIRST_PAUSE;
        }
        away::until(shared, workspace, connect(shared, id)).await;
    }
}

/// Waits until an agent answers, as long as that takes.
async fn connect(shared: &Shared, id: &WorkspaceId) {
    match shared.driver.reach(id) {
        Reach::Socket(path) => connect_socket(shared, id, path, Listener::OwnUser).await,
        Reach::SharedSocket(path) => connect_socket(shared, id, path, Listener::Workspace).await,
        Reach::Dial => drop(shared.tunnels.connected(id).await),
    }
}

async fn connect_socket(shared: &Shared, id: &WorkspaceId, path: PathBuf, listener: Listener) {
    let socket = LocalSocket { path, listener };
    let mut pause = FIRST_PAUSE;
    let mut attempts: u32 = 0;
    loop {
        match timeout(CONNECT_TIMEOUT, shared.tunnels.connect_local(id, &socket)).await {
            Ok(Ok(agent)) => {
                debug!(version = agent.version, "agent answers");
                return;
            }
            Ok(Err(error)) => debug!(error = chain(&error), "agent doesn't answer yet"),
            Err(_) => debug!("agent doesn't answer yet"),
        }
        attempts = attempts.saturating_add(1);
        if attempts == WARN_AFTER {
            warn!(socket = %socket.path.display(), "agent doesn't answer; trying on");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
