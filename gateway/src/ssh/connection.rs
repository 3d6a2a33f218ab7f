//! One client's connection once it is authenticated: whose it is, where it
//! leads, and the channels open on it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::frame::ExitSignal;
use devgate_protocol::{Accepted, Answer, Open, Originator, Peer, Stream};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::{Mutex, MutexGuard};
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, debug, info_span};

use super::forward::Asked;
use super::proof::Proof;
use super::socket::Gauge;
use super::{Gateway, session, signals, splice};
use crate::activity::{Errand, Visit};
use crate::identity::{Denied, Grant, Hold, SshAction, SshActions, Target, User};
use crate::names::WorkspaceId;
use crate::refusal::{self, Refused};
use crate::workspaces::{OpenError, Wake};

/// How many channels one connection may have open.
///
/// Editors open hundreds; a client that opens more than this has lost count.
pub(super) const MAX_CHANNELS: usize = 1024;

/// How many accepted connections may be on their way to the client.
const MAX_COLLECTING: usize = 64;

/// How much of a login name is logged, in characters; longer than any valid one.
const MAX_LOGGED_NAME: usize = 100;

/// One authenticated connection.
pub(super) struct Connection {
    pub(super) gateway: Arc<Gateway>,
    pub(super) peer: Peer,
    pub(super) user: User,
    /// What its client may do.
    actions: SshActions,
    /// What it ends with, whichever is cancelled first.
    ends: Vec<CancellationToken>,
    /// Has the approval that let it in be listed as long as it goes on.
    _hold: Option<Hold>,
    /// The login name, as the client gave it.
    pub(super) login: String,
    pub(super) handle: Handle,
    tasks: TaskTracker,
    /// Cancelled when the connection ends.
    ended: CancellationToken,
    channels: Mutex<HashMap<ChannelId, CancellationToken>>,
    channel_ended: Notify,
    /// Where it leads: known once the workspace was first asked for.
    pinned: watch::Sender<Option<Pinned>>,
    /// What was asked of listeners.
    asked: Asked,
    /// One permit an accepted connection that isn't a channel yet.
    collecting: Arc<Semaphore>,
    /// Says in the log whose it is and where it leads.
    span: Span,
    gauge: Gauge,
}

/// The workspace that a connection leads to, whatever it is called meanwhile.
#[derive(Clone, Debug)]
struct Pinned {
    id: WorkspaceId,
    /// Cancelled once it is somebody else's.
    tenure: CancellationToken,
}

/// A stream that was opened for a client.
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) answer: Answer,
    /// Counts what the client does with it.
    pub(super) visit: Visit,
}

impl Connection {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        peer: Peer,
        (proof, login): (Proof, String),
        handle: Handle,
        (tasks, ended, span): (TaskTracker, CancellationToken, Span),
        gauge: Gauge,
    ) -> Self {
        let Proof {
            user,
            actions,
            ends,
            hold,
            ..
        } = proof;
        span.record("user", user.name.as_str());
        span.record("workspace", quoted(&login));
        let (channels, channel_ended) = (Mutex::default(), Notify::new());
        Self {
            gateway,
            peer,
            user,
            actions,
            ends,
            _hold: hold,
            login,
            handle,
            tasks,
            ended,
            channels,
            channel_ended,
            pinned: watch::Sender::new(None),
            asked: Asked::default(),
            collecting: Arc::new(Semaphore::new(MAX_COLLECTING)),
            span,
            gauge,
        }
    }

    /// Decides anew, for every channel, what the caller may reach.
    pub(super) async fn grant(&self) -> Result<Grant, Refused> {
        let identity = &self.gateway.identity;
        let pinned = self.pinned.borrow().clone();
        if let Some(Pinned { id, .. }) = pinned {
            match identity.authorize_id(&self.user, &id).await {
                // It is deleted, and another one may have its name.
                Err(Denied::NoSuchId) => {}
                granted => return Ok(granted?),
            }
        }
        let target: Target = self.login.parse().map_err(Refused::Target)?;
        let grant = identity.authorize(&self.user, &target).await?;
        let workspace = grant.workspace();
        self.pinned.send_replace(Some(Pinned {
            id: workspace.id.clone(),
            tenure: self.gateway.workspaces.tenure(workspace),
        }));
        Ok(grant)
    }

    /// Returns where it leads, once that is known.
    pub(super) fn workspace(&self) -> Option<WorkspaceId> {
        self.pinned
            .borrow()
            .as_ref()
            .map(|pinned| pinned.id.clone())
    }

    /// Returns what its client may do.
    pub(super) fn actions(&self) -> &SshActions {
        &self.actions
    }

    /// Lets the client do something, where what signed it in allows it. Everything that a
    /// certificate may forbid asks here.
    pub(super) fn allow(&self, action: SshAction) -> Result<(), Refused> {
        if self.actions.allows(action) {
            return Ok(());
        }
        Err(Refused::NotAllowed(action))
    }

    /// Waits until the workspace is somebody else's, and ends all channels.
    pub(super) async fn disowned(&self) {
        let mut pinned = self.pinned.subscribe();
        loop {
            let tenure = pinned.borrow_and_update().clone().map(|it| it.tenure);
            let over = async {
                match tenure {
                    Some(tenure) => tenure.cancelled_owned().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => break,
                // The sender is this connection's own.
                _ = pinned.changed() => {}
            }
        }
        self.ended.cancel();
    }

    /// Waits until what signed it in has ended, and ends all channels.
    pub(super) async fn revoked(&self) {
        let ends = self.ends.iter().map(|end| Box::pin(end.cancelled()));
        let mut ends: FuturesUnordered<_> = ends.collect();
        if ends.next().await.is_none() {
            // Nothing ends it.
            std::future::pending::<()>().await;
        }
        self.ended.cancel();
    }

    /// Waits for the workspace and opens a stream to its agent.
    ///
    /// `errand` is what the client would ask for again, if it were cut off, by itself.
    pub(super) async fn open(
        &self,
        open: &Open,
        wake: Wake,
        errand: Option<Errand>,
    ) -> Result<Opened, Refused> {
        let grant = self.grant().await?;
        let workspaces = &self.gateway.workspaces;
        let (stream, answer) = match errand {
            Some(errand) => workspaces.open_for(&grant, open, wake, errand).await?,
            None => workspaces.open(&grant, open, wake).await?,
        };
        let visit = workspaces.visit(&grant.workspace().id, errand);
        Ok(Opened {
            stream,
            answer,
            visit: visit.ok_or(OpenError::Gone)?,
        })
    }

    /// Returns what stands for something that this connection's user asks for.
    pub(super) fn errand(&self, what: &impl Hash) -> Errand {
        Errand::of(&(self.user.id.as_str(), what))
    }

    /// Tells what the workspace's start takes its time with, where there is something to
    /// tell.
    pub(super) async fn doing(&self) -> Option<String> {
        let grant = self.grant().await.ok()?;
        self.gateway.workspaces.doing(&grant.workspace().id)
    }

    /// Returns what the client is told of a refusal, and logs it.
    pub(super) fn explain(&self, refused: &Refused) -> String {
        self.span.in_scope(|| refusal::explain(refused))
    }

    /// Returns why a channel doesn't open, and logs it.
    pub(super) fn channel_failure(&self, refused: &Refused) -> ChannelOpenFailure {
        self.span.in_scope(|| refusal::channel_failure(refused))
    }

    /// Runs a channel's task until it ends; its token is cancelled when the
    /// client closes the channel or the connection ends.
    pub(super) fn serve<F>(
        self: &Arc<Self>,
        id: ChannelId,
        kind: &'static str,
        task: impl FnOnce(Arc<Self>, CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let closed = self.ended.child_token();
        self.lock().insert(id, closed.clone());
        let serving = task(Arc::clone(self), closed);
        let connection = Arc::clone(self);
        let span = info_span!(parent: &self.span, "channel", channel = u32::from(id), kind);
        self.tasks.spawn(
            async move {
                debug!("channel open");
                serving.await;
                connection.lock().remove(&id);
                connection.channel_ended.notify_waiters();
                debug!("channel ended");
            }
            .instrument(span),
        );
    }

    /// Serves a session channel.
    pub(super) fn serve_session(self: &Arc<Self>, channel: Channel<Msg>) {
        self.serve(channel.id(), "session", |connection, closed| async move {
            session::run(&connection, channel, &closed).await;
        });
    }

    /// Notes that the client closed a channel.
    pub(super) fn closed(&self, id: ChannelId) {
        // Its task is counted until it has ended.
        if let Some(closed) = self.lock().get(&id) {
            closed.cancel();
        }
    }

    /// Waits until no channel is open.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.channel_ended.notified();
            if self.channels() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Returns how far what was asked of listeners is.
    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Returns how many channels are open.
    pub(super) fn channels(&self) -> usize {
        self.lock().len()
    }

    /// Whether a channel is open.
    pub(super) fn has(&self, id: ChannelId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Returns how long the way to the client and back takes, as the kernel has seen it.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.gauge.round_trip()
    }

    /// Collects a connection that waits in the agent and carries it to the client.
    ///
    /// Waits while too many are on their way to the client: an agent that announces
    /// more is slowed by that.
    pub(super) async fn collect(self: &Arc<Self>, accepted: Accepted, listener: Listener) {
        let collecting = Arc::clone(&self.collecting).acquire_owned();
        let Some(Ok(permit)) = self.ended.run_until_cancelled(collecting).await else {
            return;
        };
        let connection = Arc::clone(self);
        let carry = async move {
            let fetching = connection.fetch(accepted, &listener);
            match connection.ended.run_until_cancelled(fetching).await {
                Some(Ok((channel, (stream, visit)))) => {
                    connection.serve(channel.id(), "forwarded", |connection, closed| async move {
                        splice::splice(&connection, channel, (stream, visit), &closed).await;
                    });
                }
                Some(Err(reason)) => debug!(%reason, "accepted connection dropped"),
                None => {}
            }
            drop(permit);
        };
        self.spawn(carry);
    }

    /// Runs a task that the connection's end waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task.instrument(self.span.clone()));
    }

    /// Returns a token that is cancelled when the connection ends.
    pub(super) fn token(&self) -> CancellationToken {
        self.ended.child_token()
    }

    /// Returns an accepted connection's stream and the channel opened for it.
    async fn fetch(
        &self,
        accepted: Accepted,
        listener: &Listener,
    ) -> Result<(Channel<Msg>, (Stream, Visit)), String> {
        let open = Open::Accept {
            connection: accepted.connection,
        };
        // What announced it ran in the workspace.
        let Opened { stream, visit, .. } = self
            .open(&open, Wake::Again, None)
            .await
            .map_err(|error| self.explain(&error))?;
        let opened = match (accepted.originator, listener) {
            (Originator::Tcpip { address, port }, Listener::Tcpip { bound, bound_port }) => {
                self.handle
                    .channel_open_forwarded_tcpip(
                        bound.as_str(),
                        u32::from(*bound_port),
                        address.to_string(),
                        u32::from(port),
                    )
                    .await
            }
            (Originator::Streamlocal, Listener::Streamlocal { path }) => {
                self.handle
                    .channel_open_forwarded_streamlocal(path.as_str())
                    .await
            }
            (Originator::AuthAgent, Listener::Session) => self.handle.channel_open_agent().await,
            (Originator::X11 { address, port }, Listener::Session) => {
                self.handle
                    .channel_open_x11(address.to_string(), u32::from(port))
                    .await
            }
            (originator, listener) => {
                return Err(format!("{originator:?} announced on {listener:?}"));
            }
        };
        Ok((
            opened.map_err(|error| format!("the client refused: {error}"))?,
            (stream, visit),
        ))
    }

    /// Passes on how a program was ended by a signal.
    pub(super) async fn exit_signal(
        &self,
        channel: ChannelId,
        ExitSignal {
            signal,
            core_dumped,
        }: ExitSignal,
    ) -> Result<(), russh::Error> {
        self.handle
            .exit_signal_request(
                channel,
                signals::parse(signal),
                core_dumped,
                String::new(),
                String::new(),
            )
            .await
            .map_err(|()| russh::Error::SendError)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, CancellationToken>> {
        self.channels.lock()
    }
}

/// Bounds what a client calls itself, for the log.
pub(super) fn quoted(name: &str) -> String {
    name.chars().take(MAX_LOGGED_NAME).collect()
}

/// What announced an accepted connection.
#[derive(Clone, Debug)]
pub(super) enum Listener {
    /// A session: its forwarded authentication agent, or its X11 display.
    Session,
    /// `tcpip-forward`, by the address and port that the client knows.
    Tcpip { bound: String, bound_port: u16 },
    /// `streamlocal-forward@openssh.com`.
    Streamlocal { path: String },
}
