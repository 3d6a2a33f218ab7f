//! Agents on this host: the gateway connects to their Unix socket.

use std::path::PathBuf;
use std::time::Duration;

use devgate_protocol::descriptor::{self, Handed};
use devgate_protocol::{Answer, FEATURE_HAND_OVER, Open, Stream, StreamError, handshake, socket};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::ask::ask;
use super::control::{Link, welcome};
use super::{AgentInfo, TunnelError, welcome_of};
use crate::names::WorkspaceId;
use crate::secrets::Vault;

/// Longest wait for the agent to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the answers that begin a control connection.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket that an agent listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSocket {
    /// Where it is.
    pub path: PathBuf,
    /// Who may listen there.
    pub listener: Listener,
}

/// Who may listen on an agent's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// This process's own user, or root.
    OwnUser,
    /// Whoever gets into its folder, which is the workspace. A link in it isn't
    /// followed: it could lead to another workspace.
    Workspace,
}

/// Opens a control connection to the agent that listens there.
pub(super) async fn control(
    id: &WorkspaceId,
    socket: &LocalSocket,
    vault: Option<&Vault>,
) -> Result<(Link, AgentInfo), TunnelError> {
    let greet = async {
        let stream = connect(socket).await?;
        descriptor::refuse(&stream);
        let mut stream = Stream::from(stream);
        handshake::write_open(&mut stream, &Open::Control).await?;
        if let Answer::Refused(refusal) = handshake::read_answer(&mut stream).await? {
            return Err(TunnelError::Refused(refusal));
        }
        let mut link = Link::from(stream);
        let info = welcome_of(id, link.reader.next().await?)?;
        link.writer.send(&welcome(vault, id, &info).await).await?;
        Ok((link, info))
    };
    timeout(HELLO_TIMEOUT, greet)
        .await
        .map_err(|_| TunnelError::TimedOut)?
}

/// Opens a stream. Raw bytes don't pass through an agent that can hand them over.
pub(super) async fn open(
    socket: &LocalSocket,
    agent: &AgentInfo,
    open: &Open,
) -> Result<(Stream, Answer), TunnelError> {
    let stream = connect(socket).await?;
    let mut features = agent.features.iter();
    if !open.is_raw() || !features.any(|feature| feature == FEATURE_HAND_OVER) {
        descriptor::refuse(&stream);
        return ask(stream.into(), open).await;
    }
    let open = Box::new(open.clone());
    match ask(stream.into(), &Open::HandOver { open }).await? {
        (Stream::Local(stream), Answer::HandedOver) => {
            let taken = timeout(CONNECT_TIMEOUT, Handed::take(stream)).await;
            let connection = taken
                .map_err(|_| TunnelError::TimedOut)?
                .map_err(StreamError::from)?;
            Ok((connection.into(), Answer::Opened))
        }
        opened => Ok(opened),
    }
}

/// Connects to the agent, and to nobody else who listens there.
async fn connect(agent: &LocalSocket) -> Result<UnixStream, TunnelError> {
    let connecting = async {
        match agent.listener {
            Listener::OwnUser => {
                let stream = socket::connect(&agent.path).await?;
                socket::check_peer(&stream)?;
                Ok(stream)
            }
            Listener::Workspace => socket::connect_unlinked(&agent.path).await,
        }
    };
    let connected = timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| TunnelError::TimedOut)?;
    Ok(connected.map_err(StreamError::from)?)
}
