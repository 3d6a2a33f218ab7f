//! The task that owns one workspace's lifecycle.
//!
//! Each state is a method that takes what is special to it and returns the next;
//! work that takes long runs beside the mailbox, so that a command is answered at
//! once in every state and may end the work.

mod crashed;
mod lifetime;
mod orders;
mod pooled;
mod restoring;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::startup::Status;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::bring_up::{self, StartFailure};
use super::crash::Crash;
use super::ending::{self, Retries};
use super::failure::FailureReason;
use super::state::{Deletion, Intent, Record, State, Workspace};
use super::tenure::{Owned, Owner};
use super::{Command, Shared, startup};
use crate::activity::Activity;
use crate::chain::chain;
use crate::events::{Kind, NewEvent};

/// Owns one workspace's lifecycle.
#[derive(Debug)]
pub(super) struct Actor {
    shared: Arc<Shared>,
    workspace: Workspace,
    intent: Intent,
    deleted: Option<Deletion>,
    owned: Owned,
    state: watch::Sender<State>,
    /// How far the start-up is, as the agent tells it.
    startup: startup::Told,
    mailbox: mpsc::Receiver<Command>,
    activity: Arc<Activity>,
    /// When the agent ended by itself, within the crash window.
    crashes: VecDeque<Instant>,
    /// The last of them, until somebody asks for something else.
    crash: watch::Sender<Option<Crash>>,
    /// Tries to delete it that failed.
    retries: Retries,
}

/// What others see of an actor.
pub(super) struct Seen {
    pub(super) state: watch::Receiver<State>,
    pub(super) startup: watch::Receiver<Option<Status>>,
    pub(super) crash: watch::Receiver<Option<Crash>>,
}

/// What the actor does.
#[derive(Debug)]
enum Lifecycle {
    /// Waits for a command, in the state that is published.
    Resting,
    /// Starts or adopts the agent, after a delay.
    Starting { after: Duration },
    /// Watches over the agent.
    Running,
    /// Ends the agent and what it runs.
    Stopping,
    /// Removes what can be made anew: the workspace is deleted.
    Releasing,
    /// Removes what the workspace keeps.
    Removing,
    /// Has nothing left to do: the workspace is gone, or the gateway ends.
    Ended,
}

impl Actor {
    /// Takes a workspace up where its record says that it was left.
    pub(super) fn new(
        shared: Arc<Shared>,
        (record, crash): (Record, Option<Crash>),
        (mailbox, activity): (mpsc::Receiver<Command>, Arc<Activity>),
    ) -> (Self, Seen) {
        let state = match (record.intent, record.state) {
            (Intent::Delete, State::Deleted) => State::Deleted,
            (Intent::Delete | Intent::Purge, _) | (Intent::Run, State::Stopping) => State::Stopping,
            (Intent::Run, _) => State::Starting,
            (Intent::Stop, State::Created) => State::Created,
            // An agent that was on its way out, or up, may still be there.
            (Intent::Stop | Intent::Sleep, _) => State::Stopping,
        };
        let (state, seen_state) = watch::channel(state);
        let (startup, seen_startup) = watch::channel(None);
        let (crash, seen_crash) = watch::channel(crash);
        let seen = Seen {
            state: seen_state,
            startup: seen_startup,
            crash: seen_crash,
        };
        let actor = Self {
            shared,
            owned: Owned::by(record.workspace.owner.clone()),
            workspace: record.workspace,
            intent: record.intent,
            deleted: record.deleted,
            state,
            startup,
            mailbox,
            activity,
            crashes: VecDeque::new(),
            crash,
            retries: Retries::default(),
        };
        (actor, seen)
    }

    pub(super) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Returns what tells whose the workspace is.
    pub(super) fn owner(&self) -> Owner {
        self.owned.watch()
    }

    /// Runs until the workspace is gone or the gateway ends.
    pub(super) async fn run(mut self) {
        let mut lifecycle = Lifecycle::of(&self.state.borrow());
        loop {
            lifecycle = match lifecycle {
                Lifecycle::Resting => self.rest().await,
                Lifecycle::Starting { after } => self.start(after).await,
                Lifecycle::Running => self.watch_over().await,
                Lifecycle::Stopping => self.stop().await,
                Lifecycle::Releasing => self.release().await,
                Lifecycle::Removing => self.remove().await,
                Lifecycle::Ended => return,
            };
        }
    }

    async fn rest(&mut self) -> Lifecycle {
        let state = self.state.borrow().clone();
        match (&state, self.deleted) {
            (State::Failed(reason), _) if reason.passes() => self.recover().await,
            (State::Failed(_), Some(_)) => {
                let pause = self.retries.pause(self.shared.options.recovery_pause);
                match self.beside(sleep(pause)).await {
                    Ok(next) => next,
                    Err(()) => self.enter(State::Stopping).await,
                }
            }
            (State::Deleted, Some(deletion)) => {
                match self.beside(ending::due(deletion.until)).await {
                    Ok(next) => next,
                    Err(()) => self.expire().await,
                }
            }
            _ => {
                let Ok(next) = self.beside(std::future::pending::<Infallible>()).await;
                next
            }
        }
    }

    /// Waits until what keeps the workspace from its state is over.
    async fn recover(&mut self) -> Lifecycle {
        let (shared, id) = (Arc::clone(&self.shared), self.workspace.id.clone());
        let back = async {
            loop {
                sleep(shared.options.recovery_pause).await;
                if shared.driver.inspect(&id).await.is_ok() {
                    return;
                }
            }
        };
        if let Ok(next) = self.beside(back).await {
            return next;
        }
        info!("what kept the workspace from its state is over");
        match self.intent {
            Intent::Run => self.enter(State::Starting).await,
            Intent::Stop | Intent::Sleep | Intent::Delete | Intent::Purge => {
                self.enter(State::Stopping).await
            }
        }
    }

    /// Goes on to remove the home of a deleted workspace whose time is over.
    async fn expire(&mut self) -> Lifecycle {
        let recorded = self
            .shared
            .store
            .set_intent(&self.workspace, (Intent::Purge, &State::Stopping))
            .await;
        if let Err(failure) = recorded {
            // Not before it is recorded: nobody is to restore half a home.
            error!(failure = chain(&failure), "a deletion can't go on");
            let pause = self.retries.pause(self.shared.options.recovery_pause);
            return match self.beside(sleep(pause)).await {
                Ok(next) => next,
                Err(()) => Lifecycle::Resting,
            };
        }
        info!("the grace time of a deleted workspace is over");
        self.intent = Intent::Purge;
        self.publish(State::Stopping, None);
        Lifecycle::Stopping
    }

    async fn start(&mut self, after: Duration) -> Lifecycle {
        let since = Instant::now();
        if let Some(next) = self.read_repository().await {
            return next;
        }
        let (shared, workspace) = (Arc::clone(&self.shared), self.workspace.clone());
        let told = self.startup.clone();
        told.send_replace(None);
        let work = bring_up::start(&shared, &workspace, after, &told);
        let end = match self.beside(work).await {
            Ok(next) => return next,
            Err(end) => end,
        };
        self.forget_before().await;
        match end {
            Ok(pid) => {
                info!(pid, elapsed = ?since.elapsed(), "workspace ready");
                shared.snapshots.look_for_unneeded();
                self.enter(State::Running).await
            }
            Err(StartFailure::Ended(exit)) => self.crashed(exit).await,
            Err(StartFailure::TimedOut) => {
                let seconds = shared.options.start_timeout.as_secs();
                self.fail(FailureReason::AgentTimeout { seconds }).await
            }
            Err(StartFailure::Driver(error)) => {
                let reason = self.start_failed(&error).await;
                self.fail(reason).await
            }
        }
    }

    /// Completes what the workspace is made of by what its repository says, once. Returns
    /// what to do instead where that doesn't come to its end.
    async fn read_repository(&mut self) -> Option<Lifecycle> {
        self.workspace.blueprint.unread()?;
        let (shared, workspace) = (Arc::clone(&self.shared), self.workspace.clone());
        let home = shared.driver.home(&workspace.id);
        let work = shared.repositories.read(&workspace, &home);
        let blueprint = match self.beside(work).await {
            Ok(next) => return Some(next),
            Err(Ok(blueprint)) => blueprint,
            Err(Err(error)) => {
                let reason = FailureReason::of_repository(&error);
                return Some(self.fail(reason).await);
            }
        };
        let made = self.workspace.made_of(blueprint);
        if let Err(error) = shared.store.set_blueprint(&made).await {
            let detail = chain(&error);
            return Some(self.fail(FailureReason::DriverFailed { detail }).await);
        }
        for notice in made.blueprint.notices() {
            warn!(notice, "something in the repository isn't done");
            let about = NewEvent::of_workspace(Kind::WorkspaceNotice, &workspace);
            shared.events.record(about.saying("detail", notice));
        }
        self.workspace = made;
        None
    }

    async fn watch_over(&mut self) -> Lifecycle {
        let (shared, workspace) = (Arc::clone(&self.shared), self.workspace.clone());
        let (id, told) = (workspace.id.clone(), self.startup.clone());
        let work = async {
            tokio::select! {
                exit = shared.driver.exited(&id) => exit,
                never = bring_up::keep_connected(&shared, &workspace) => match never {},
                never = startup::follow(&shared, &workspace, &told) => match never {},
            }
        };
        match self.beside(work).await {
            Ok(next) => next,
            Err(Ok(exit)) => {
                shared.tunnels.forget(&id);
                self.crashed(exit).await
            }
            Err(Err(error)) => self.fail(FailureReason::of_start(&error)).await,
        }
    }

    async fn stop(&mut self) -> Lifecycle {
        let (shared, id) = (Arc::clone(&self.shared), self.workspace.id.clone());
        let work = async {
            let turn = shared.snapshots.turn(&id);
            let _turn = turn.lock().await;
            let stopped = shared.driver.stop(&id, shared.options.stop_grace).await;
            // Only now: what ends in an orderly way reports so to the end.
            shared.tunnels.forget(&id);
            stopped
        };
        let stopped = match self.beside(work).await {
            Ok(next) => return next,
            Err(stopped) => ending::unless_out_of_reach(self.intent, stopped),
        };
        if let Err(error) = stopped {
            return self.fail(FailureReason::of_stop(&error)).await;
        }
        self.crashes.clear();
        self.startup.send_replace(None);
        match self.intent {
            Intent::Run => self.enter(State::Starting).await,
            Intent::Stop => self.enter(State::Stopped).await,
            Intent::Sleep => self.enter(State::Asleep).await,
            Intent::Delete => Lifecycle::Releasing,
            Intent::Purge => Lifecycle::Removing,
        }
    }

    async fn release(&mut self) -> Lifecycle {
        let (shared, id) = (Arc::clone(&self.shared), self.workspace.id.clone());
        let work = async {
            let turn = shared.snapshots.turn(&id);
            let _turn = turn.lock().await;
            shared.driver.release(&id).await
        };
        let released = match self.beside(work).await {
            Ok(next) => return next,
            Err(released) => ending::unless_out_of_reach(self.intent, released),
        };
        if let Err(error) = released {
            return self.fail(FailureReason::of_removal(&error)).await;
        }
        self.retries = Retries::default();
        // Somebody may have thought better of it meanwhile.
        match self.intent {
            Intent::Run => self.enter(State::Starting).await,
            Intent::Stop => self.enter(State::Stopped).await,
            Intent::Sleep => self.enter(State::Asleep).await,
            Intent::Delete => self.enter(State::Deleted).await,
            Intent::Purge => Lifecycle::Removing,
        }
    }

    async fn remove(&mut self) -> Lifecycle {
        let (shared, id) = (Arc::clone(&self.shared), self.workspace.id.clone());
        let work = async {
            let turn = shared.snapshots.turn(&id);
            let _turn = turn.lock().await;
            let removed = shared.driver.remove(&id).await;
            removed.map_err(|error| FailureReason::of_removal(&error))?;
            let removed = shared.repositories.remove(&id).await;
            removed.map_err(|error| FailureReason::RemoveFailed {
                detail: chain(&error),
            })?;
            let removed = shared.store.remove_workspace(&id).await;
            removed.map_err(|error| FailureReason::RemoveFailed {
                detail: chain(&error),
            })
        };
        match self.beside(work).await {
            Ok(next) => next,
            Err(Ok(())) => {
                info!("workspace removed");
                let about = NewEvent::of_workspace(Kind::WorkspacePurged, &self.workspace);
                shared.events.record(about);
                shared.handles.lock().remove(&id);
                shared.ledger.gone(&id);
                shared.killed.lock().remove(&id);
                shared.reached.lock().remove(&id);
                shared.snapshots.look_for_unneeded();
                if self.workspace.is_pooled() {
                    // There is room for another one.
                    shared.ledger.look_at_pools();
                }
                Lifecycle::Ended
            }
            Err(Err(reason)) => self.fail(reason).await,
        }
    }

    /// Does work beside the mailbox. `Ok` is the state that a command leads to
    /// before the work is done, or the end of the gateway; the work is dropped.
    /// `Err` is what the work came to.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<Lifecycle, T> {
        let stop = self.shared.stop.clone();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(Lifecycle::Ended),
                command = self.mailbox.recv() => match command {
                    Some(command) => if let Some(next) = self.accept(command).await {
                        return Ok(next);
                    },
                    None => return Ok(Lifecycle::Ended),
                },
                done = &mut work => return Err(done),
            }
        }
    }

    /// Publishes a state, and in its event why it came to that.
    fn publish(&self, state: State, why: Option<String>) {
        let before = self.state.borrow().clone();
        if before == State::Asleep || state != State::Starting {
            self.activity.set_waking(state == State::Starting);
        }
        let mut about = NewEvent::of_workspace(Kind::WorkspaceState, &self.workspace);
        about.says("state", state.as_str());
        if let Some(why) = why {
            about.says("detail", &why);
        }
        self.shared.ledger.seen(&self.workspace.id, &state);
        self.state.send_replace(state);
        if self.workspace.is_pooled() {
            self.shared.ledger.look_at_pools();
        }
        self.shared.events.record(about);
    }

    async fn fail(&mut self, reason: FailureReason) -> Lifecycle {
        warn!(%reason, "workspace failed");
        self.enter(State::Failed(reason)).await
    }

    /// Publishes a state and records it. Where the record fails, the intent in the
    /// store still leads there.
    async fn enter(&mut self, state: State) -> Lifecycle {
        let why = match &state {
            State::Failed(reason) => Some(reason.to_string()),
            _ => None,
        };
        self.enter_saying(state, why).await
    }

    /// Enters a state as [`Actor::enter`] does, and says in its event why.
    async fn enter_saying(&mut self, state: State, why: Option<String>) -> Lifecycle {
        let next = Lifecycle::of(&state);
        self.publish(state.clone(), why);
        if let Err(failure) = self
            .shared
            .store
            .set_state(&self.workspace.id, &state)
            .await
        {
            error!(
                failure = chain(&failure),
                "a workspace's state is not recorded"
            );
        }
        next
    }
}

impl Lifecycle {
    /// Returns what an actor does in a state.
    fn of(state: &State) -> Self {
        match state {
            State::Created | State::Stopped | State::Asleep | State::Failed(_) | State::Deleted => {
                Self::Resting
            }
            State::Starting => Self::Starting {
                after: Duration::ZERO,
            },
            State::Running => Self::Running,
            State::Stopping => Self::Stopping,
        }
    }
}
