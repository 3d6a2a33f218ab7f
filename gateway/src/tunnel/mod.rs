//! The tunnels to the workspaces' agents.
//!
//! A tunnel is a control connection and a way to get streams. Those of agents on
//! this host are dialled by the gateway; others dial in. An agent may hold
//! several; the newest that takes streams gets them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use devgate_protocol::control::{self, FromAgent, FromGateway};
use devgate_protocol::{Answer, Open, Refusal, Stream, StreamError, handshake, socket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::names::WorkspaceId;

/// An agent, as it introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentInfo {
    /// Its version.
    pub version: String,
    /// Its process id, as it sees it.
    pub pid: u32,
    /// Its optional capabilities.
    pub features: Vec<String>,
}

/// Why no stream opens.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// No tunnel is up.
    #[error("the agent is not connected")]
    NotConnected,
    /// The agent refuses.
    #[error("the agent refused the stream: {0}")]
    Refused(Refusal),
    /// The connection broke.
    #[error("the connection to the agent broke")]
    Stream(#[from] StreamError),
    /// The agent doesn't answer.
    #[error("the agent didn't answer in time")]
    TimedOut,
}

/// All tunnels.
#[derive(Debug, Default)]
pub struct Tunnels {
    up: watch::Sender<HashMap<WorkspaceId, (PathBuf, AgentInfo)>>,
    keepers: Mutex<JoinSet<()>>,
}

impl Tunnels {
    /// Connects to an agent's socket and keeps the tunnel registered until it breaks.
    pub async fn connect_local(
        &self,
        id: &WorkspaceId,
        socket: &Path,
    ) -> Result<AgentInfo, TunnelError> {
        let (mut stream, _) = open_at(socket, &Open::Control).await?;
        let hello = control::read(&mut stream).await.map_err(StreamError::Io)?;
        let Some(FromAgent::Hello {
            version,
            pid,
            features,
            ..
        }) = hello
        else {
            return Err(StreamError::NotOurs.into());
        };
        let welcome = FromGateway::Welcome {
            protocol: devgate_protocol::VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            features: Vec::new(),
        };
        control::write(&mut stream, &welcome)
            .await
            .map_err(StreamError::Io)?;
        let info = AgentInfo {
            version,
            pid,
            features,
        };
        let entry = (socket.to_owned(), info.clone());
        self.up.send_modify(|up| drop(up.insert(id.clone(), entry)));
        let (up, id) = (self.up.clone(), id.clone());
        self.keepers().spawn(async move {
            while let Ok(Some(_)) = control::read::<FromAgent>(&mut stream).await {}
            up.send_modify(|up| drop(up.remove(&id)));
        });
        Ok(info)
    }

    /// Waits until a tunnel is up. Cancel-safe.
    pub async fn connected(&self, id: &WorkspaceId) -> AgentInfo {
        let mut up = self.up.subscribe();
        loop {
            if let Some((_, info)) = up.borrow_and_update().get(id) {
                return info.clone();
            }
            if up.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until no tunnel is up. Cancel-safe.
    pub async fn disconnected(&self, id: &WorkspaceId) {
        let mut up = self.up.subscribe();
        if up.wait_for(|up| !up.contains_key(id)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Opens a stream.
    pub async fn open(
        &self,
        id: &WorkspaceId,
        open: &Open,
    ) -> Result<(Stream, Answer), TunnelError> {
        let socket = self.up.borrow().get(id).map(|(socket, _)| socket.clone());
        open_at(&socket.ok_or(TunnelError::NotConnected)?, open).await
    }

    /// Closes all tunnels of a workspace that stops.
    pub fn forget(&self, id: &WorkspaceId) {
        self.up.send_modify(|up| drop(up.remove(id)));
    }

    fn keepers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open_at(socket: &Path, open: &Open) -> Result<(Stream, Answer), TunnelError> {
    let stream = socket::connect(socket).await.map_err(StreamError::Io)?;
    let mut stream = Stream::from(stream);
    handshake::write_open(&mut stream, open).await?;
    match handshake::read_answer(&mut stream).await? {
        Answer::Refused(refusal) => Err(TunnelError::Refused(refusal)),
        answer => Ok((stream, answer)),
    }
}
