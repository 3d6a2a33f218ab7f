//! The life of workspaces.
//!
//! The store holds what is wanted of a workspace (its [`Intent`]), the driver is
//! asked for facts, and one task a workspace, its [`actor`], brings them together.
//! A command is acknowledged once its intent is in the store: `kill -9` at any
//! point loses nothing acknowledged, the next gateway goes on from there.
//!
//! A gateway that ends, however it ends, leaves the agents running, so that an
//! upgrade interrupts nobody's programs; the next one adopts them.

mod actor;
mod blueprint;
mod bring_up;
mod decide;
mod error;
mod open;
mod orphans;
mod repository;
mod state;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info_span};

use crate::drivers::{Driver, Follow, Logs};
use crate::events::{Events, Kind, NewEvent};
use crate::identity::User;
use crate::names::{UserName, WorkspaceId, WorkspaceName};
use crate::repositories::Repositories;
use crate::store::{OpenPort, Store, StoreError, Visibility};
use crate::tunnel::Tunnels;

use actor::Actor;
use decide::Verb;

pub use blueprint::{Blueprint, Build, Choices, Image, PortRule, TemplateUse};
pub use error::{CommandError, OpenError};
pub use repository::{
    Devcontainer, DevcontainerChoice, LifecycleCommand, LifecycleRun, OwnMount, OwnMountKind,
    Repository, Runs,
};
pub use state::{FailureReason, Intent, InvalidIntent, Record, State, Workspace};

/// Commands that wait for one workspace's task. When it is full, callers wait.
const MAILBOX: usize = 32;

/// All workspaces of an installation. Cheap to clone; dropping the last clone ends
/// the tasks where they stand, and leaves agents running.
#[derive(Clone, Debug)]
pub struct Workspaces {
    inner: Arc<Inner>,
}

/// Who wants a workspace to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A person who waits for it: starts it, whatever came before.
    Interactive,
    /// A program that retries by itself: doesn't start what a person stopped.
    Background,
}

/// Whether an agent is expected to dial in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The workspace starts, and waits for it.
    First,
    /// The workspace runs: it may come again.
    Again,
    /// The workspace doesn't run, or there is none.
    Not,
}

/// Time limits of the lifecycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleOptions {
    /// How long an agent may take from its start until it answers.
    pub start_timeout: Duration,
    /// How long what runs in a workspace may take to end before it is killed.
    pub stop_grace: Duration,
    /// How long a stream waits for its workspace to run.
    pub open_timeout: Duration,
    /// Ends of an agent within `crash_window` that make a workspace fail.
    pub crash_limit: u32,
    /// See `crash_limit`.
    pub crash_window: Duration,
    /// Workspaces that are started at one time; others queue.
    pub concurrent_starts: usize,
    /// How often a driver that is away is asked whether it is back.
    pub recovery_pause: Duration,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// The actors, and what looks for orphans; aborted when this is dropped.
    actors: Mutex<JoinSet<()>>,
}

/// What all actors use.
#[derive(Debug)]
struct Shared {
    store: Store,
    driver: Arc<dyn Driver>,
    repositories: Repositories,
    tunnels: Tunnels,
    events: Events,
    options: LifecycleOptions,
    starts: Semaphore,
    handles: Mutex<HashMap<WorkspaceId, Handle>>,
    stop: CancellationToken,
}

/// Reaches one workspace's actor.
#[derive(Clone, Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
}

#[derive(Debug)]
struct Command {
    verb: Verb,
    reply: oneshot::Sender<Result<(), CommandError>>,
}

impl Default for LifecycleOptions {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(10),
            open_timeout: Duration::from_mins(1),
            crash_limit: 5,
            crash_window: Duration::from_mins(1),
            concurrent_starts: 16,
            recovery_pause: Duration::from_secs(1),
        }
    }
}

impl Workspaces {
    /// Takes up all workspaces of the store where the last gateway left them:
    /// adopts agents that live, starts those that should, finishes what was under
    /// way. Returns once each has its task, before they are all up.
    pub async fn load(
        store: Store,
        (driver, repositories): (Arc<dyn Driver>, Repositories),
        tunnels: Tunnels,
        options: LifecycleOptions,
    ) -> Result<Self, StoreError> {
        let records = store.workspaces().await?;
        let starts = Semaphore::new(options.concurrent_starts.max(1));
        let shared = Arc::new(Shared {
            events: Events::new(store.clone()),
            store,
            driver,
            repositories,
            tunnels,
            options,
            starts,
            handles: Mutex::new(HashMap::new()),
            stop: CancellationToken::new(),
        });
        let inner = Arc::new(Inner {
            shared,
            actors: Mutex::new(JoinSet::new()),
        });
        let workspaces = Self { inner };
        for record in records {
            workspaces.adopt(record);
        }
        let release = orphans::release(Arc::clone(&workspaces.inner.shared));
        workspaces.inner.actors().spawn(release);
        Ok(workspaces)
    }

    /// Makes a workspace of what `blueprint` says. With [`Intent::Run`] it starts at once.
    ///
    /// # Errors
    /// `Store(WorkspaceExists)` where the owner has one of that name.
    pub async fn create(
        &self,
        owner: &User,
        name: &WorkspaceName,
        blueprint: Blueprint,
        intent: Intent,
    ) -> Result<Record, CommandError> {
        if self.inner.shared.stop.is_cancelled() {
            return Err(CommandError::ShuttingDown);
        }
        let record = self
            .inner
            .shared
            .store
            .add_workspace(owner, name, blueprint, intent)
            .await?;
        for rule in &record.workspace.blueprint.ports {
            let open = OpenPort {
                port: rule.port,
                visibility: rule.visibility,
                expires: None,
            };
            if rule.visibility != Visibility::Private {
                let id = &record.workspace.id;
                self.inner.shared.store.set_port(id, &open).await?;
            }
        }
        let about = NewEvent::of_workspace(Kind::WorkspaceCreated, &record.workspace);
        self.inner.shared.events.record(about);
        self.adopt(record.clone());
        Ok(record)
    }

    /// Has a workspace run. Returns once that is recorded; [`Self::settled`] waits
    /// for the end of this and of the other commands.
    pub async fn start(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Verb::Start).await
    }

    /// Ends what runs in a workspace, until somebody starts it again.
    pub async fn stop(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Verb::Stop).await
    }

    /// Ends what runs in a workspace, and starts it anew.
    pub async fn restart(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Verb::Restart).await
    }

    /// Ends what runs in a workspace, and starts it anew as `blueprint` says, with nothing
    /// but its home kept.
    pub async fn rebuild(
        &self,
        id: &WorkspaceId,
        blueprint: Blueprint,
    ) -> Result<(), CommandError> {
        self.command(id, Verb::Rebuild(Arc::new(blueprint))).await
    }

    /// Ends what runs in a workspace, and removes all that it keeps.
    pub async fn delete(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Verb::Delete).await
    }

    /// Waits until a workspace stays as it is, and tells how: `None` once it is
    /// gone. Cancel-safe.
    pub async fn settled(&self, id: &WorkspaceId) -> Option<State> {
        let mut state = self.watch(id)?;
        match state.wait_for(State::is_settled).await {
            Ok(state) => Some(state.clone()),
            Err(_) => None,
        }
    }

    /// Shows a workspace's state as it changes; the channel closes once it is gone.
    pub fn watch(&self, id: &WorkspaceId) -> Option<watch::Receiver<State>> {
        self.handle(id).map(|handle| handle.state)
    }

    /// Returns all workspaces, by owner and name.
    pub async fn list(&self) -> Result<Vec<Record>, StoreError> {
        let records = self.inner.shared.store.workspaces().await?;
        Ok(records
            .into_iter()
            .map(|record| self.live(record))
            .collect())
    }

    /// Returns the workspace of that owner and name.
    pub async fn find(
        &self,
        owner: &UserName,
        name: &WorkspaceName,
    ) -> Result<Option<Record>, StoreError> {
        let record = self.inner.shared.store.workspace_named(owner, name).await?;
        Ok(record.map(|record| self.live(record)))
    }

    /// Returns the workspace of that id.
    pub async fn get(&self, id: &WorkspaceId) -> Result<Option<Record>, StoreError> {
        let record = self.inner.shared.store.workspace(id).await?;
        Ok(record.map(|record| self.live(record)))
    }

    /// Returns what tells of the workspaces' changes, and of others.
    pub fn events(&self) -> &Events {
        &self.inner.shared.events
    }

    /// Returns the output of a workspace's agent: the last `lines`, then what
    /// follows.
    pub async fn logs(
        &self,
        id: &WorkspaceId,
        lines: usize,
        follow: Follow,
    ) -> Result<Logs, CommandError> {
        self.handle(id).ok_or(CommandError::Gone)?;
        Ok(self.inner.shared.driver.logs(id, lines, follow).await?)
    }

    /// Tells a person who waits what a start that is under way takes its time with,
    /// where there is something to tell.
    pub fn doing(&self, id: &WorkspaceId) -> Option<String> {
        let starting = matches!(*self.handle(id)?.state.borrow(), State::Starting);
        let shared = &self.inner.shared;
        let doing = || {
            shared
                .repositories
                .doing(id)
                .or_else(|| shared.driver.doing(id))
        };
        starting.then(doing).flatten()
    }

    /// Returns where a workspace's home is, as its own programs see it.
    pub fn home(&self, id: &WorkspaceId) -> PathBuf {
        self.inner.shared.driver.home(id)
    }

    /// Tells whether an agent of that workspace may dial in now.
    pub fn expects_agent(&self, id: &WorkspaceId) -> Expected {
        let handle = self.handle(id);
        handle.map_or(Expected::Not, |handle| match *handle.state.borrow() {
            State::Starting => Expected::First,
            State::Running => Expected::Again,
            State::Created | State::Stopping | State::Stopped | State::Failed(_) => Expected::Not,
        })
    }

    /// Ends the tasks and leaves the agents running for the next gateway. Commands
    /// are refused from here on.
    pub async fn shutdown(&self) {
        self.inner.shared.stop.cancel();
        let mut actors = std::mem::take(&mut *self.inner.actors());
        while let Some(ended) = actors.join_next().await {
            report(ended);
        }
    }

    /// Gives a workspace its task.
    fn adopt(&self, record: Record) {
        let (commands, mailbox) = mpsc::channel(MAILBOX);
        let (actor, state) = Actor::new(Arc::clone(&self.inner.shared), record, mailbox);
        let id = actor.workspace().id.clone();
        let span = info_span!("workspace", workspace = %id);
        self.inner
            .shared
            .handles()
            .insert(id, Handle { commands, state });
        let mut actors = self.inner.actors();
        while let Some(ended) = actors.try_join_next() {
            report(ended);
        }
        actors.spawn(actor.run().instrument(span));
    }

    async fn command(&self, id: &WorkspaceId, verb: Verb) -> Result<(), CommandError> {
        let handle = self.handle(id).ok_or(CommandError::Gone)?;
        let (reply, answer) = oneshot::channel();
        let sent = handle.commands.send(Command { verb, reply }).await;
        let answered = match sent {
            Ok(()) => answer.await,
            Err(_) => return Err(self.unanswered()),
        };
        answered.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Says why an actor is no longer there.
    fn unanswered(&self) -> CommandError {
        if self.inner.shared.stop.is_cancelled() {
            CommandError::ShuttingDown
        } else {
            CommandError::Gone
        }
    }

    fn handle(&self, id: &WorkspaceId) -> Option<Handle> {
        self.inner.shared.handles().get(id).cloned()
    }

    /// Returns a record with the state of this moment.
    fn live(&self, mut record: Record) -> Record {
        if let Some(handle) = self.handle(&record.workspace.id) {
            record.state = handle.state.borrow().clone();
        }
        record
    }
}

impl Inner {
    fn actors(&self) -> MutexGuard<'_, JoinSet<()>> {
        // A set is whole after every method: a panic elsewhere breaks nothing.
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn handles(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Handle>> {
        // A map is whole after every method: a panic elsewhere breaks nothing.
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failure) = ended
        && failure.is_panic()
    {
        error!(%failure, "a workspace's task panicked; restart devgate to take it up again");
    }
}

#[cfg(test)]
mod tests;
