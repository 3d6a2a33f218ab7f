//! The task that owns one workspace's lifecycle.
//!
//! Each state is a method that takes what is special to it and returns the next;
//! work that takes long runs beside the mailbox, so that a command is answered at
//! once in every state and may end the work.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::mem::discriminant;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::bring_up::{self, StartFailure};
use super::decide::{Decision, Verb, decide};
use super::error::CommandError;
use super::state::{FailureReason, Intent, Record, State, Workspace};
use super::{Command, Shared};
use crate::chain::chain;
use crate::drivers::Exit;
use crate::events::{Kind, NewEvent};

/// The delay before the second restart; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// The longest delay before a restart.
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// Owns one workspace's lifecycle.
#[derive(Debug)]
pub(super) struct Actor {
    shared: Arc<Shared>,
    workspace: Workspace,
    intent: Intent,
    state: watch::Sender<State>,
    mailbox: mpsc::Receiver<Command>,
    /// When the agent ended by itself, within the crash window.
    crashes: VecDeque<Instant>,
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
    /// Removes what the workspace keeps.
    Removing,
    /// Has nothing left to do: the workspace is gone, or the gateway ends.
    Ended,
}

impl Actor {
    /// Takes a workspace up where its record says that it was left.
    pub(super) fn new(
        shared: Arc<Shared>,
        record: Record,
        mailbox: mpsc::Receiver<Command>,
    ) -> (Self, watch::Receiver<State>) {
        let state = match (record.intent, record.state) {
            (Intent::Delete, _) | (Intent::Run, State::Stopping) => State::Stopping,
            (Intent::Run, _) => State::Starting,
            (Intent::Stop, State::Created) => State::Created,
            // An agent that was on its way out, or up, may still be there.
            (Intent::Stop, _) => State::Stopping,
        };
        let (state, seen) = watch::channel(state);
        let actor = Self {
            shared,
            workspace: record.workspace,
            intent: record.intent,
            state,
            mailbox,
            crashes: VecDeque::new(),
        };
        (actor, seen)
    }

    pub(super) fn workspace(&self) -> &Workspace {
        &self.workspace
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
                Lifecycle::Removing => self.remove().await,
                Lifecycle::Ended => return,
            };
        }
    }

    async fn rest(&mut self) -> Lifecycle {
        let passes = match &*self.state.borrow() {
            State::Failed(reason) => reason.passes(),
            _ => false,
        };
        if !passes {
            let Ok(next) = self.beside(std::future::pending::<Infallible>()).await;
            return next;
        }
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
            Intent::Stop | Intent::Delete => self.enter(State::Stopping).await,
        }
    }

    async fn start(&mut self, after: Duration) -> Lifecycle {
        let since = Instant::now();
        if let Some(next) = self.read_repository().await {
            return next;
        }
        let (shared, workspace) = (Arc::clone(&self.shared), self.workspace.clone());
        let work = bring_up::start(&shared, &workspace, after);
        match self.beside(work).await {
            Ok(next) => next,
            Err(Ok(pid)) => {
                info!(pid, elapsed = ?since.elapsed(), "workspace ready");
                self.enter(State::Running).await
            }
            Err(Err(StartFailure::Ended(exit))) => self.crashed(exit).await,
            Err(Err(StartFailure::TimedOut)) => {
                let seconds = shared.options.start_timeout.as_secs();
                self.fail(FailureReason::AgentTimeout { seconds }).await
            }
            Err(Err(StartFailure::Driver(error))) => {
                self.fail(FailureReason::of_start(&error)).await
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
        if let Err(error) = shared.store.set_blueprint(&workspace.id, &blueprint).await {
            let detail = chain(&error);
            return Some(self.fail(FailureReason::DriverFailed { detail }).await);
        }
        for notice in blueprint.notices() {
            warn!(notice, "something in the repository isn't done");
            let about = NewEvent::of_workspace(Kind::WorkspaceNotice, &workspace);
            shared.events.record(about.saying("detail", notice));
        }
        self.workspace.blueprint = Arc::new(blueprint);
        None
    }

    async fn watch_over(&mut self) -> Lifecycle {
        let (shared, id) = (Arc::clone(&self.shared), self.workspace.id.clone());
        let work = async {
            tokio::select! {
                exit = shared.driver.exited(&id) => exit,
                never = bring_up::keep_connected(&shared, &id) => match never {},
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
            let stopped = shared.driver.stop(&id, shared.options.stop_grace).await;
            // Only now: what ends in an orderly way reports so to the end.
            shared.tunnels.forget(&id);
            stopped
        };
        match self.beside(work).await {
            Ok(next) => next,
            Err(Ok(())) => {
                self.crashes.clear();
                match self.intent {
                    Intent::Run => self.enter(State::Starting).await,
                    Intent::Stop => self.enter(State::Stopped).await,
                    Intent::Delete => Lifecycle::Removing,
                }
            }
            Err(Err(error)) => self.fail(FailureReason::of_stop(&error)).await,
        }
    }

    async fn remove(&mut self) -> Lifecycle {
        let (shared, id) = (Arc::clone(&self.shared), self.workspace.id.clone());
        let work = async {
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
                info!("workspace deleted");
                let about = NewEvent::of_workspace(Kind::WorkspaceDeleted, &self.workspace);
                shared.events.record(about);
                shared.handles().remove(&id);
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

    /// Carries out a command as far as the records go. Returns what to do instead
    /// where it changes that.
    async fn accept(&mut self, command: Command) -> Option<Lifecycle> {
        let Command { verb, reply } = command;
        let decision = decide(&self.state.borrow(), self.intent, &verb);
        // Where nobody waits for the reply any more, the command still counts.
        let (intent, state) = match decision {
            Decision::Granted => {
                let _ = reply.send(Ok(()));
                return None;
            }
            Decision::Refused(error) => {
                let _ = reply.send(Err(error));
                return None;
            }
            Decision::Go(intent, state) => (intent, state),
        };
        let changes = discriminant(&state) != discriminant(&*self.state.borrow());
        let blueprint = match &verb {
            Verb::Rebuild(blueprint) => Some(Arc::clone(blueprint)),
            _ => None,
        };
        if changes || intent != self.intent || blueprint.is_some() {
            let recorded = self
                .shared
                .store
                .set_intent(&self.workspace.id, intent, &state, blueprint.as_deref())
                .await;
            if let Err(error) = recorded {
                let _ = reply.send(Err(CommandError::Store(error)));
                return None;
            }
        }
        info!(
            verb = verb.as_str(),
            state = state.as_str(),
            "command accepted"
        );
        if let Some(blueprint) = blueprint {
            self.workspace.blueprint = blueprint;
        }
        self.intent = intent;
        let next = Lifecycle::of(&state);
        if changes {
            self.publish(state);
        }
        let _ = reply.send(Ok(()));
        changes.then_some(next)
    }

    /// Starts an agent that ended by itself again, unless it does so all the time.
    async fn crashed(&mut self, exit: Exit) -> Lifecycle {
        let now = Instant::now();
        let window = self.shared.options.crash_window;
        self.crashes.retain(|at| now.duration_since(*at) < window);
        self.crashes.push_back(now);
        let crashes = u32::try_from(self.crashes.len()).unwrap_or(u32::MAX);
        warn!(%exit, crashes, "agent ended");
        if crashes >= self.shared.options.crash_limit {
            self.crashes.clear();
            let last = exit;
            return self.fail(FailureReason::CrashLoop { crashes, last }).await;
        }
        self.enter(State::Starting).await;
        let after = match crashes.checked_sub(2) {
            None => Duration::ZERO,
            Some(further) => (FIRST_BACKOFF * 2_u32.pow(further.min(16))).min(LAST_BACKOFF),
        };
        Lifecycle::Starting { after }
    }

    fn publish(&self, state: State) {
        let mut about = NewEvent::of_workspace(Kind::WorkspaceState, &self.workspace);
        about.says("state", state.as_str());
        if let State::Failed(reason) = &state {
            about.says("detail", &reason.to_string());
        }
        self.state.send_replace(state);
        self.shared.events.record(about);
    }

    async fn fail(&mut self, reason: FailureReason) -> Lifecycle {
        warn!(%reason, "workspace failed");
        self.enter(State::Failed(reason)).await
    }

    /// Publishes a state and records it. Where the record fails, the intent in the
    /// store still leads there.
    async fn enter(&mut self, state: State) -> Lifecycle {
        let next = Lifecycle::of(&state);
        self.publish(state.clone());
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
            State::Created | State::Stopped | State::Failed(_) => Self::Resting,
            State::Starting => Self::Starting {
                after: Duration::ZERO,
            },
            State::Running => Self::Running,
            State::Stopping => Self::Stopping,
        }
    }
}
