//! Opening streams to workspaces' agents, waking them where that is due.

use std::time::Duration;

use devgate_protocol::control::Overtaking;
use devgate_protocol::startup::Status;
use devgate_protocol::{Answer, Open, Stream, StreamError};
use tokio::time::{Instant, sleep, timeout_at};

use super::decide::Verb;
use super::error::OpenError;
use super::state::State;
use super::{Handle, Order, Wake, Workspace, Workspaces};
use crate::activity::Errand;
use crate::identity::{Grant, Pass};
use crate::names::WorkspaceId;
use crate::tunnel::TunnelError;

/// Attempts at a running agent whose connections break before they are answered:
/// it may have died a moment ago, and its successor is on the way.
const ATTEMPTS: u32 = 6;

/// The pause after the first such attempt; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

impl Workspaces {
    /// Opens a stream to a workspace's agent, once the workspace runs. `wake` says
    /// whether one that is stopped is started for it; [`Self::watch`] shows how far
    /// that is. Cancel-safe, and the start goes on.
    ///
    /// # Errors
    /// `Stopped`, `Asleep`, `Failed` and `TimedOut` where it doesn't run; `Refused` where
    /// the agent refuses the stream.
    pub async fn open(
        &self,
        grant: &Grant,
        open: &Open,
        wake: Wake,
    ) -> Result<(Stream, Answer), OpenError> {
        self.open_in(grant.workspace(), open, wake).await
    }

    /// Does the same for a client that would ask for its `errand` again by itself, if it
    /// were cut off: then it wakes nothing.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub async fn open_for(
        &self,
        grant: &Grant,
        open: &Open,
        wake: Wake,
        errand: Errand,
    ) -> Result<(Stream, Answer), OpenError> {
        let activity = self.activity(&grant.workspace().id);
        let retries = activity.is_some_and(|activity| activity.retries(errand));
        let wake = match wake {
            Wake::Background if retries => Wake::Again,
            wake => wake,
        };
        self.open(grant, open, wake).await
    }

    /// Opens a stream to what a visitor may open inside a workspace, as [`Self::open`]
    /// does.
    pub async fn enter(&self, pass: &Pass, wake: Wake) -> Result<Stream, OpenError> {
        let opened = self.open_in(pass.workspace(), &pass.open(), wake).await;
        opened.map(|(stream, _)| stream)
    }

    /// Hands a session of a workspace's agent, named by its number, a request past its
    /// stream.
    ///
    /// # Errors
    /// As of [`Tunnels::overtake`](crate::tunnel::Tunnels::overtake).
    pub(crate) async fn overtake(
        &self,
        id: &WorkspaceId,
        session: u64,
        request: Overtaking,
    ) -> Result<(), TunnelError> {
        let tunnels = &self.inner.shared.tunnels;
        tunnels.overtake(id, session, request).await
    }

    async fn open_in(
        &self,
        workspace: &Workspace,
        open: &Open,
        wake: Wake,
    ) -> Result<(Stream, Answer), OpenError> {
        let id = &workspace.id;
        let mut handle = self.handle(id).ok_or(OpenError::Gone)?;
        // It may have been given away since that was granted.
        if handle.owner.tenure(workspace).is_cancelled() {
            return Err(OpenError::Gone);
        }
        let patience = self.inner.shared.options.open_timeout;
        let mut deadline = Instant::now() + patience;
        let mut attempt = 0;
        loop {
            let running = timeout_at(deadline, self.running(workspace, &mut handle, wake)).await;
            let Ok(running) = running else {
                // A start-up takes the time that it needs; whoever waits is told.
                if handle.startup.borrow().as_ref().is_some_and(Status::holds) {
                    deadline = Instant::now() + patience;
                    continue;
                }
                return Err(OpenError::TimedOut {
                    state: handle.state.borrow().clone(),
                    seconds: patience.as_secs(),
                });
            };
            running?;
            let error = match self.inner.shared.tunnels.open(id, open).await {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            attempt += 1;
            let lost = match &error {
                TunnelError::NotConnected => Instant::now() < deadline,
                TunnelError::Stream(StreamError::Io(_)) => attempt < ATTEMPTS,
                _ => false,
            };
            if !lost {
                return Err(error.into());
            }
            tokio::select! {
                () = sleep(FIRST_PAUSE * 2_u32.pow(attempt.min(6))) => {}
                _ = handle.state.changed() => {}
            }
        }
    }

    /// Waits until a workspace runs. Cancel-safe.
    async fn running(
        &self,
        workspace: &Workspace,
        handle: &mut Handle,
        wake: Wake,
    ) -> Result<(), OpenError> {
        let mut woken = false;
        loop {
            let state = handle.state.borrow_and_update().clone();
            match state {
                State::Running => return Ok(()),
                _ if !woken => {
                    let waking = self
                        .command(&workspace.id, Order::Do(Verb::Wake(wake)))
                        .await;
                    waking.map_err(|error| OpenError::of(error, workspace))?;
                    woken = true;
                    continue;
                }
                State::Starting | State::Stopping => {}
                // Somebody stopped it while this waited.
                State::Created | State::Stopped => {
                    return Err(OpenError::Stopped(workspace.target()));
                }
                State::Asleep => return Err(OpenError::Asleep(workspace.target())),
                State::Failed(reason) => return Err(OpenError::Failed(reason)),
                State::Deleted => return Err(OpenError::Gone),
            }
            if handle.state.changed().await.is_err() {
                return Err(OpenError::of(self.unanswered(), workspace));
            }
        }
    }
}
