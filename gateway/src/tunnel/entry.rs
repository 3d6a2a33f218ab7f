//! The tunnels of one workspace, and the streams that open through one of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use devgate_protocol::control::FromGateway;
use devgate_protocol::{Answer, Open, Stream, StreamError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::ask::ask;
use super::dialled::Pool;
use super::local::LocalSocket;
use super::{AgentInfo, TunnelError, local};

/// Most tunnels that one agent dials. An honest one has a tunnel, and a few more that
/// broke without a word and are noticed only when they fall silent.
pub(super) const MAX_TUNNELS: usize = 8;

/// Connections that are tried for one stream.
const ATTEMPTS: usize = 8;

/// A workspace's tunnels.
#[derive(Debug)]
pub(super) struct Entry {
    /// Oldest first.
    pub(super) tunnels: Vec<Arc<Tunnel>>,
    /// The agent that gets new streams.
    pub(super) current: watch::Sender<Option<AgentInfo>>,
}

/// One tunnel.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) info: AgentInfo,
    pub(super) reach: Reach,
    pub(super) outgoing: mpsc::Sender<FromGateway>,
    /// Number of the last message for programs that the agent knows.
    pub(super) known: watch::Sender<u64>,
    /// Cancelled when the control connection ends, or to end it.
    pub(super) stop: CancellationToken,
    pub(super) going_away: AtomicBool,
}

/// How streams of a tunnel come to be.
#[derive(Debug)]
pub(super) enum Reach {
    /// The gateway connects to this socket.
    Local(LocalSocket),
    /// The agent dials, and names the tunnel.
    Dialled { name: String, pool: Pool },
}

impl Entry {
    /// Returns one without tunnels.
    pub(super) fn new() -> Self {
        Self {
            tunnels: Vec::new(),
            current: watch::Sender::new(None),
        }
    }

    /// Takes out the oldest tunnel that the agent dialled, where it has as many as it
    /// may have.
    pub(super) fn make_room(&mut self) -> Option<Arc<Tunnel>> {
        let dialled = |tunnel: &Arc<Tunnel>| matches!(tunnel.reach, Reach::Dialled { .. });
        if self.tunnels.iter().filter(|tunnel| dialled(tunnel)).count() < MAX_TUNNELS {
            return None;
        }
        let oldest = self.tunnels.iter().position(dialled)?;
        Some(self.tunnels.remove(oldest))
    }

    /// Returns the tunnel that gets new streams.
    pub(super) fn newest(&self) -> Option<&Arc<Tunnel>> {
        let mut newest_first = self.tunnels.iter().rev();
        newest_first.find(|tunnel| tunnel.takes_streams())
    }

    /// Tells those who wait which agent gets new streams now.
    pub(super) fn update(&mut self) {
        let info = self.newest().map(|tunnel| tunnel.info.clone());
        self.current.send_if_modified(|current| {
            let changed = *current != info;
            *current = info;
            changed
        });
    }
}

impl Tunnel {
    /// Whether new streams may be opened.
    pub(super) fn takes_streams(&self) -> bool {
        !self.going_away.load(Ordering::Acquire) && !self.stop.is_cancelled()
    }

    /// Opens a stream.
    pub(super) async fn open(&self, open: &Open) -> Result<(Stream, Answer), TunnelError> {
        let pool = match &self.reach {
            Reach::Local(socket) => return local::open(socket, &self.info, open).await,
            Reach::Dialled { pool, .. } => pool,
        };
        let mut tried = 0;
        loop {
            tried += 1;
            match ask(pool.take(&self.outgoing).await?, open).await {
                // Nothing was answered, so nothing was begun for anybody: a spare
                // that died in the pool is no reason to fail.
                Err(TunnelError::Stream(StreamError::Io(error)))
                    if tried < ATTEMPTS && error.kind() != io::ErrorKind::InvalidData => {}
                other => return other,
            }
        }
    }
}
