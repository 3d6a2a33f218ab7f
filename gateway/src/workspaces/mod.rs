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
mod away;
mod blueprint;
mod bring_up;
mod crash;
mod decide;
mod ending;
mod error;
mod failure;
mod lifetime;
mod limits;
mod logs;
mod look;
mod measure;
mod new;
mod open;
mod orphans;
mod pool;
mod process_limit;
mod reached;
mod renaming;
mod repository;
mod snapshot;
mod snapshots;
mod startup;
mod state;
mod tenure;
mod victims;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::startup::Status;
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info_span};

use crate::activity::Activity;
use crate::drivers::Driver;
use crate::events::{Events, Kind};
use crate::identity::User;
use crate::names::{TemplateName, WorkspaceId, WorkspaceName};
use crate::repositories::Repositories;
use crate::store::{Store, StoreError};
use crate::tunnel::Tunnels;

use actor::Actor;
use decide::Verb;
use limits::Ledger;
use snapshots::Going;
use tenure::Owner;

pub use blueprint::{
    Blueprint, Build, Choices, HomeOf, Image, PortRule, ReadinessRule, SleepRule, StartupScript,
    TemplateUse,
};
pub(crate) use crash::Crash;
pub use error::{CommandError, OpenError, SnapshotError};
pub use failure::FailureReason;
pub use limits::{Allowance, Demand, Limits, Usage};
pub use logs::LogPart;
pub use pool::{PoolStanding, WantedPool};
pub use reached::{LimitReached, Resource};
pub use repository::{
    Devcontainer, DevcontainerChoice, LifecycleCommand, LifecycleRun, OwnMount, OwnMountKind,
    Repository, Runs,
};
pub(crate) use snapshot::NewSnapshot;
pub use snapshot::{Purpose, Snapshot, SnapshotState, Transfer, TransferState};
pub use snapshots::{MAX_CLONES, MAX_DESCRIPTION};
pub use state::{Deletion, Intent, InvalidIntent, Record, State, Workspace};
pub use victims::Killed;

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
    /// A program: doesn't start what a person stopped.
    Background,
    /// One that asks again for what it had, or only looks: doesn't wake what sleeps,
    /// either. An editor's window that nobody sits at would else wake it for ever.
    Again,
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
    /// How long the home of a deleted workspace is kept; zero: not at all.
    pub delete_grace: Duration,
    /// What people may have.
    pub limits: Limits,
    /// How long the homes aren't measured after they were, at least.
    pub measure_pause: Duration,
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
    ledger: Arc<Ledger>,
    options: LifecycleOptions,
    starts: Semaphore,
    handles: Mutex<HashMap<WorkspaceId, Handle>>,
    /// The last program of each workspace that was killed for want of memory.
    killed: Mutex<HashMap<WorkspaceId, Killed>>,
    /// The last time that each workspace had as many processes as it may.
    reached: Mutex<HashMap<WorkspaceId, process_limit::Reached>>,
    /// Since when agents can't be reached that are to be there.
    away: Mutex<HashMap<WorkspaceId, OffsetDateTime>>,
    /// The ends of workspaces' lives that people were warned of.
    told_ends: Mutex<HashMap<WorkspaceId, lifetime::Told>>,
    /// How the filling of templates' pools goes.
    pools: Mutex<HashMap<TemplateName, pool::Filling>>,
    snapshots: Going,
    stop: CancellationToken,
}

/// Reaches one workspace's actor.
#[derive(Clone, Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
    owner: Owner,
    startup: watch::Receiver<Option<Status>>,
    crash: watch::Receiver<Option<Crash>>,
    /// The start-up whose failure was told last.
    failed_run: Option<String>,
    activity: Arc<Activity>,
}

#[derive(Debug)]
struct Command {
    order: Order,
    reply: oneshot::Sender<Result<(), CommandError>>,
}

/// What is asked of a workspace's task.
#[derive(Debug)]
enum Order {
    /// That something else is wanted of the workspace.
    Do(Verb),
    /// That it lives again, under that name or its own.
    Restore(Option<WorkspaceName>),
    /// That it is called something else, or somebody else's.
    Change(Change),
    /// That it is theirs from now on, under that name, where it is nobody's and runs.
    Claim(User, WorkspaceName),
    /// That nothing of it is left, where it is nobody's.
    Dismiss,
    /// That it lives for that time from now on, or for as long as its template says.
    Extend(Option<Duration>),
    /// That it is deleted, where its time to live is over.
    Expire,
}

/// What is to be another about a workspace that lives; absent: as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: Option<WorkspaceName>,
    /// Whose it is.
    pub owner: Option<User>,
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
            delete_grace: Duration::from_hours(7 * 24),
            limits: Limits::default(),
            measure_pause: Duration::from_mins(10),
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
        let mut records = store.workspaces().await?;
        records.extend(store.deleted_workspaces().await?);
        let mut crashes = store.crashes().await?;
        let killed = victims::of_events(store.last_events_of(Kind::OutOfMemory).await?);
        let starts = Semaphore::new(options.concurrent_starts.max(1));
        let shared = Arc::new(Shared {
            events: Events::new(store.clone()),
            ledger: Arc::new(Ledger::new(options.limits)),
            store,
            driver,
            repositories,
            tunnels,
            options,
            starts,
            handles: Mutex::new(HashMap::new()),
            killed: Mutex::new(killed),
            reached: Mutex::default(),
            away: Mutex::default(),
            told_ends: Mutex::default(),
            pools: Mutex::default(),
            snapshots: Going::default(),
            stop: CancellationToken::new(),
        });
        let inner = Arc::new(Inner {
            shared,
            actors: Mutex::new(JoinSet::new()),
        });
        let workspaces = Self { inner };
        let left = workspaces.left_snapshots().await?;
        for record in records {
            workspaces.inner.shared.ledger.adopt(&record);
            let crash = crashes.remove(&record.workspace.id);
            workspaces.adopt(record, crash);
        }
        workspaces.go_on_with(left);
        let release = orphans::release(Arc::clone(&workspaces.inner.shared));
        workspaces.inner.actors.lock().spawn(release);
        let measure = measure::measure(Arc::clone(&workspaces.inner.shared));
        workspaces.inner.actors.lock().spawn(measure);
        let record = victims::record(Arc::clone(&workspaces.inner.shared));
        workspaces.inner.actors.lock().spawn(record);
        Ok(workspaces)
    }

    /// Has a workspace run. Returns once that is recorded; [`Self::settled`] waits
    /// for the end of this and of the other commands.
    pub async fn start(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Order::Do(Verb::Start)).await
    }

    /// Ends what runs in a workspace, until somebody starts it again.
    pub async fn stop(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Order::Do(Verb::Stop)).await
    }

    /// Ends what runs in a workspace, until somebody comes.
    ///
    /// # Errors
    /// `NotRunning` where it doesn't run.
    pub async fn sleep(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Order::Do(Verb::Sleep)).await
    }

    /// Ends what runs in a workspace, and starts it anew.
    pub async fn restart(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Order::Do(Verb::Restart)).await
    }

    /// Ends what runs in a workspace, and starts it anew as `blueprint` says, with nothing
    /// but its home kept.
    pub async fn rebuild(
        &self,
        id: &WorkspaceId,
        mut blueprint: Blueprint,
    ) -> Result<(), CommandError> {
        let before = self.inner.shared.store.workspace(id).await?;
        let before = before.ok_or(CommandError::Gone)?.workspace.blueprint;
        blueprint.home.clone_from(&before.home);
        let verb = Verb::Rebuild(Arc::new(blueprint));
        self.command(id, Order::Do(verb)).await
    }

    /// Ends what runs in a workspace, and sets its name free. Its home is removed after
    /// the grace time, where there is one; [`Self::restore`] comes before.
    pub async fn delete(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        if self.delete_grace().is_zero() {
            return self.purge(id).await;
        }
        self.command(id, Order::Do(Verb::Delete)).await
    }

    /// Ends what runs in a workspace, and removes all that it keeps: of one that lives or
    /// was deleted.
    pub async fn purge(&self, id: &WorkspaceId) -> Result<(), CommandError> {
        self.command(id, Order::Do(Verb::Purge)).await
    }

    /// Has a deleted workspace live again, stopped, under that name or the one that it had.
    ///
    /// # Errors
    /// `Store(WorkspaceExists)` where its owner has one of that name meanwhile.
    pub async fn restore(
        &self,
        id: &WorkspaceId,
        name: Option<WorkspaceName>,
    ) -> Result<(), CommandError> {
        self.command(id, Order::Restore(name)).await
    }

    /// Gives a workspace another name or owner. What runs in it goes on; what its owner
    /// until now has open to it ends.
    ///
    /// # Errors
    /// `Store(WorkspaceExists)` where the owner has another one of that name.
    pub async fn change(&self, id: &WorkspaceId, change: Change) -> Result<(), CommandError> {
        self.command(id, Order::Change(change)).await
    }

    /// Returns what is cancelled once a workspace is somebody else's than that copy says.
    pub fn tenure(&self, workspace: &Workspace) -> CancellationToken {
        let handle = self.handle(&workspace.id);
        // What was removed has no streams that could outlive it.
        handle.map_or_else(CancellationToken::new, |it| it.owner.tenure(workspace))
    }

    /// Returns how long the home of a deleted workspace is kept.
    pub fn delete_grace(&self) -> Duration {
        self.inner.shared.options.delete_grace
    }

    /// Ends the tasks and leaves the agents running for the next gateway. Commands
    /// are refused from here on.
    pub async fn shutdown(&self) {
        self.inner.shared.stop.cancel();
        let mut actors = std::mem::take(&mut *self.inner.actors.lock());
        while let Some(ended) = actors.join_next().await {
            report(ended);
        }
    }

    /// Gives a workspace its task, and the crash that is still told of.
    fn adopt(&self, record: Record, crash: Option<Crash>) {
        let (commands, mailbox) = mpsc::channel(MAILBOX);
        let activity = Arc::new(Activity::default());
        let shared = Arc::clone(&self.inner.shared);
        let (actor, seen) = Actor::new(shared, (record, crash), (mailbox, Arc::clone(&activity)));
        let owner = actor.owner();
        let id = actor.workspace().id.clone();
        let span = info_span!("workspace", workspace = %id);
        self.inner.shared.handles.lock().insert(
            id,
            Handle {
                commands,
                state: seen.state,
                owner,
                startup: seen.startup,
                crash: seen.crash,
                failed_run: None,
                activity,
            },
        );
        let mut actors = self.inner.actors.lock();
        while let Some(ended) = actors.try_join_next() {
            report(ended);
        }
        actors.spawn(actor.run().instrument(span));
    }

    async fn command(&self, id: &WorkspaceId, order: Order) -> Result<(), CommandError> {
        let handle = self.handle(id).ok_or(CommandError::Gone)?;
        let (reply, answer) = oneshot::channel();
        let sent = handle.commands.send(Command { order, reply }).await;
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
        self.inner.shared.handles.lock().get(id).cloned()
    }
}

impl Inner {}

impl Shared {}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failure) = ended
        && failure.is_panic()
    {
        error!(%failure, "a workspace's task panicked; restart devgate to take it up again");
    }
}

#[cfg(test)]
mod tests;
