//! Which agents are connected.

mod telling;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use devgate_certs::Authority;
use devgate_protocol::control::FromGateway;
use devgate_protocol::websocket::WebSocket;
use devgate_protocol::{Answer, Open, Stream, StreamError};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, info_span, warn};

use super::control::{self, Link, Liveness};
use super::dialled::Pool;
use super::entry::{Entry, MAX_TUNNELS, Reach, Tunnel};
use super::greeting::Greetings;
use super::local::LocalSocket;
use super::notices::{Notice, Notices};
use super::{AgentInfo, TunnelError, local, welcome_of};
use crate::names::WorkspaceId;
use crate::secrets::Vault;

/// Longest wait for the hello of an agent that dialled in.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Messages that wait for a control connection; a sender waits when it is full.
const OUTGOING: usize = 64;

/// The tunnels to all agents. Clones share them.
#[derive(Clone, Debug)]
pub struct Tunnels(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    authority: Arc<Authority>,
    liveness: Liveness,
    workspaces: Mutex<HashMap<WorkspaceId, Entry>>,
    greetings: Arc<Greetings>,
    notices: Notices,
    /// Runs the control connections.
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Whether this gateway has sent its agents away.
    going_away: AtomicBool,
    /// What agents are told of secrets, once that is known.
    vault: OnceLock<Vault>,
    /// Messages to agents for their programs so far.
    tellings: AtomicU64,
}

/// Why an offered data connection isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tunnel that the connection belongs to is not there")]
pub struct OfferError;

impl Tunnels {
    /// Returns a registry without tunnels. `authority` renews agents' certificates.
    pub fn new(authority: Arc<Authority>) -> Self {
        Self::with_liveness(authority, Liveness::default())
    }

    /// Returns one that finds out in its own time which agents are gone.
    pub fn with_liveness(authority: Arc<Authority>, liveness: Liveness) -> Self {
        Self(Arc::new(Registry {
            authority,
            liveness,
            workspaces: Mutex::default(),
            greetings: Arc::default(),
            notices: Notices::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            going_away: AtomicBool::new(false),
            vault: OnceLock::new(),
            tellings: AtomicU64::new(0),
        }))
    }

    /// Returns what agents tell by themselves; to the first who asks.
    pub fn notices(&self) -> Option<mpsc::Receiver<(WorkspaceId, Notice)>> {
        self.0.notices.take()
    }

    /// Has agents be told the secrets that their workspaces get. The first vault counts.
    pub fn tell_secrets_of(&self, vault: Vault) {
        let _ = self.0.vault.set(vault);
    }

    /// Returns what agents are told of secrets.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.0.vault.get()
    }

    /// Connects to the agent that listens on `socket` and keeps the tunnel until it
    /// breaks. Returns once the agent has said hello.
    pub async fn connect_local(
        &self,
        id: &WorkspaceId,
        socket: &LocalSocket,
    ) -> Result<AgentInfo, TunnelError> {
        let control = local::control(id, socket, self.vault());
        let (link, info) = control.await.inspect_err(|error| {
            if let TunnelError::Stream(StreamError::Version(version)) = error {
                warn!(workspace = %id, version, "refused an agent of an unsupported version");
            }
        })?;
        let reach = Reach::Local(socket.clone());
        self.keep(id, link, info.clone(), reach, None);
        Ok(info)
    }

    /// Greets an agent that dialled in and keeps the tunnel until it breaks. `name`
    /// is the agent's own name for the tunnel; `expected` says, once it has greeted,
    /// whether it still may have one. Returns once it is registered.
    ///
    /// The oldest tunnel of an agent that has too many is closed: the newest is the one
    /// that is sure to work. Its streams live on by themselves.
    pub async fn accept(
        &self,
        id: &WorkspaceId,
        name: String,
        socket: WebSocket,
        expected: impl Future<Output = bool>,
    ) -> Result<AgentInfo, TunnelError> {
        let greeting = self.0.greetings.begin(id).ok_or(TunnelError::TooMany)?;
        let mut link = Link::from(socket);
        let hello = timeout(HELLO_TIMEOUT, link.reader.next()).await;
        let hello = hello.map_err(|_| TunnelError::TimedOut)??;
        let info = welcome_of(id, hello).inspect_err(|error| {
            if let TunnelError::Stream(StreamError::Version(version)) = error {
                warn!(workspace = %id, version, "refused an agent of an unsupported version");
            }
        })?;
        let welcome = control::welcome(self.vault(), id, &info).await;
        // A stop that came since the agent dialled has closed all tunnels already.
        if !expected.await {
            return Err(TunnelError::Unexpected);
        }
        drop(greeting);
        let pool = Pool::default();
        let reach = Reach::Dialled { name, pool };
        // Registered before the agent is welcomed: it offers connections at once.
        self.keep(id, link, info.clone(), reach, Some(welcome));
        Ok(info)
    }

    /// Takes a data connection that an agent offers for its tunnel `name`.
    ///
    /// # Errors
    /// [`OfferError`] where there is no such tunnel, or it takes no streams.
    pub fn offer(&self, id: &WorkspaceId, name: &str, stream: Stream) -> Result<(), OfferError> {
        let tunnel = self.dialled(id, name).ok_or(OfferError)?;
        if let Reach::Dialled { pool, .. } = &tunnel.reach {
            pool.offer(stream);
        }
        Ok(())
    }

    /// Whether the agent's tunnel `name` takes data connections.
    pub fn takes_offers(&self, id: &WorkspaceId, name: &str) -> bool {
        self.dialled(id, name).is_some()
    }

    /// Returns the agent that gets a workspace's new streams now.
    pub fn agent(&self, id: &WorkspaceId) -> Option<AgentInfo> {
        let workspaces = self.0.lock();
        let entry = workspaces.get(id)?;
        entry.current.borrow().clone()
    }

    /// Returns how many workspaces have a connected agent.
    pub fn count(&self) -> usize {
        let workspaces = self.0.lock();
        let entries = workspaces.values();
        entries
            .filter(|entry| entry.current.borrow().is_some())
            .count()
    }

    /// Waits until an agent of the workspace is connected. Cancel-safe.
    pub async fn connected(&self, id: &WorkspaceId) -> AgentInfo {
        loop {
            let mut current = self.subscribe(id);
            let connected = current.wait_for(Option::is_some).await;
            if let Ok(Some(info)) = connected.as_deref() {
                return info.clone();
            }
            // The entry was forgotten meanwhile: wait on the next one.
        }
    }

    /// Waits until no agent of the workspace is connected. Cancel-safe.
    pub async fn disconnected(&self, id: &WorkspaceId) {
        let mut current = self.subscribe(id);
        // An entry is removed only where it has no tunnel: that is an end as well.
        let _ = current.wait_for(Option::is_none).await;
    }

    /// Opens a stream to the agent of the workspace.
    ///
    /// # Errors
    /// [`TunnelError::Refused`] where the agent answered with a refusal;
    /// [`TunnelError::GoingAway`] where it is sent away.
    pub async fn open(
        &self,
        id: &WorkspaceId,
        open: &Open,
    ) -> Result<(Stream, Answer), TunnelError> {
        let tunnel = self.newest(id).ok_or_else(|| {
            if self.is_going_away() {
                TunnelError::GoingAway
            } else {
                TunnelError::NotConnected
            }
        })?;
        tokio::select! {
            opened = tunnel.open(open) => opened,
            () = tunnel.stop.cancelled() => Err(TunnelError::NotConnected),
        }
    }

    /// Closes all tunnels of a workspace that stops.
    pub fn forget(&self, id: &WorkspaceId) {
        let mut workspaces = self.0.lock();
        let Some(entry) = workspaces.get_mut(id) else {
            return;
        };
        for tunnel in entry.tunnels.drain(..) {
            tunnel.stop.cancel();
        }
        entry.current.send_replace(None);
        if entry.current.is_closed() {
            workspaces.remove(id);
        }
    }

    /// Tells the agents that dialled in that their tunnels take no new streams, so that
    /// they dial elsewhere, or here later; the streams that are open live on. Agents on
    /// this host are dialled by the gateway and need not be told.
    pub fn go_away(&self) {
        self.0.going_away.store(true, Ordering::Release);
        let mut workspaces = self.0.lock();
        for entry in workspaces.values_mut() {
            let dialled = |tunnel: &&Arc<Tunnel>| matches!(tunnel.reach, Reach::Dialled { .. });
            for tunnel in entry.tunnels.iter().filter(dialled) {
                tunnel.going_away.store(true, Ordering::Release);
                // A full queue means that the agent doesn't read: it will notice
                // the end of the connection instead.
                let _ = tunnel.outgoing.try_send(FromGateway::GoAway);
            }
            entry.update();
        }
    }

    /// Tells whether agents were sent away, as the gateway ends.
    pub fn is_going_away(&self) -> bool {
        self.0.going_away.load(Ordering::Acquire)
    }

    /// Ends all control connections and waits for their tasks.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Runs what an upgraded connection still needs, as one of the registry's tasks.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    fn keep(
        &self,
        id: &WorkspaceId,
        link: Link,
        info: AgentInfo,
        reach: Reach,
        first: Option<FromGateway>,
    ) {
        let (outgoing, queued) = mpsc::channel(OUTGOING);
        if let Some(first) = first {
            // The queue is new: there is room.
            let _ = outgoing.try_send(first);
        }
        let tunnel = Arc::new(Tunnel {
            info,
            reach,
            outgoing: outgoing.clone(),
            known: watch::Sender::new(0),
            stop: self.0.stop.child_token(),
            going_away: AtomicBool::new(false),
        });
        {
            let mut workspaces = self.0.lock();
            let entry = workspaces.entry(id.clone()).or_insert_with(Entry::new);
            if let Reach::Dialled { .. } = &tunnel.reach
                && let Some(closed) = entry.make_room()
            {
                closed.stop.cancel();
                warn!(workspace = %id, most = MAX_TUNNELS, "an agent has too many tunnels: its oldest is closed");
            }
            entry.tunnels.push(Arc::clone(&tunnel));
            entry.update();
        }
        let registration = Registration {
            registry: Arc::clone(&self.0),
            id: id.clone(),
            tunnel,
        };
        self.0.tasks.spawn(async move {
            let Registration {
                registry,
                id,
                tunnel,
            } = &registration;
            let span = info_span!("tunnel", workspace = %id);
            span.in_scope(|| info!(version = tunnel.info.version, "an agent is connected"));
            let why = tokio::select! {
                why = control::run(link, id, (&registry.authority, registry.liveness), outgoing, queued, (&registry.notices, &tunnel.known)) => why,
                () = tunnel.stop.cancelled() => "the gateway closes it",
            };
            span.in_scope(|| info!(why, "an agent is disconnected"));
        });
    }

    fn subscribe(&self, id: &WorkspaceId) -> watch::Receiver<Option<AgentInfo>> {
        let mut workspaces = self.0.lock();
        let entry = workspaces.entry(id.clone()).or_insert_with(Entry::new);
        entry.current.subscribe()
    }

    fn newest(&self, id: &WorkspaceId) -> Option<Arc<Tunnel>> {
        self.0.lock().get(id).and_then(Entry::newest).cloned()
    }

    fn dialled(&self, id: &WorkspaceId, wanted: &str) -> Option<Arc<Tunnel>> {
        let workspaces = self.0.lock();
        let tunnels = &workspaces.get(id)?.tunnels;
        let found = tunnels.iter().find(|tunnel| match &tunnel.reach {
            Reach::Dialled { name, .. } => name == wanted && tunnel.takes_streams(),
            Reach::Local(_) => false,
        });
        found.cloned()
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Entry>> {
        self.workspaces.lock()
    }
}

/// A tunnel's place in the registry; leaves it when dropped, however the task ends.
struct Registration {
    registry: Arc<Registry>,
    id: WorkspaceId,
    tunnel: Arc<Tunnel>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.tunnel.stop.cancel();
        let mut workspaces = self.registry.lock();
        let Some(entry) = workspaces.get_mut(&self.id) else {
            return;
        };
        entry
            .tunnels
            .retain(|tunnel| !Arc::ptr_eq(tunnel, &self.tunnel));
        entry.update();
        if entry.tunnels.is_empty() && entry.current.is_closed() {
            workspaces.remove(&self.id);
        }
    }
}
