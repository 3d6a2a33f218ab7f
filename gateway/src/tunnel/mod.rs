//! The tunnels to the workspaces' agents.
//!
//! A tunnel is a control connection and a way to get streams. Those of agents on
//! this host are dialled by the gateway ([`local`]); others dial in
//! ([`dialled`]). An agent may hold several; the newest that takes streams gets
//! them.

mod ask;
mod control;
mod dialled;
mod entry;
mod greeting;
mod local;
mod notices;
mod registry;

pub use control::Liveness;
pub use local::{Listener, LocalSocket};
pub use notices::{Notice, Victim};
pub use registry::{OfferError, Tunnels};

use std::io;

use devgate_protocol::control::FromAgent;
use devgate_protocol::{FEATURE_SECRETS, OLDEST_VERSION, Refusal, StreamError, VERSION};

use crate::names::WorkspaceId;

/// Optional capabilities of this gateway, told to agents.
const FEATURES: &[&str] = &["certificate-renewal", "go-away", FEATURE_SECRETS];

/// What an agent said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentInfo {
    /// Its own version.
    pub version: String,
    /// Its process id, as it sees it.
    pub pid: u32,
    /// Names of its optional capabilities.
    pub features: Vec<String>,
}

/// Longest version that an agent may have, in bytes, and most features: both are kept,
/// and the version is logged.
const MAX_VERSION: usize = 64;
const MAX_FEATURES: usize = 64;

/// Why there is no stream to an agent.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// No agent of the workspace is connected.
    #[error("the workspace's agent is not connected")]
    NotConnected,
    /// This gateway ends, and has sent its agents away.
    #[error("the gateway is shutting down")]
    GoingAway,
    /// The agent refused the stream.
    #[error("the agent refused: {0}")]
    Refused(Refusal),
    /// The connection broke, or what came is not our protocol.
    #[error("the connection to the workspace's agent broke")]
    Stream(#[from] StreamError),
    /// The agent didn't answer in time.
    #[error("the workspace's agent did not answer in time")]
    TimedOut,
    /// The agent dials in more often than it is waited for.
    #[error("the workspace's agent has too many control connections that wait for its hello")]
    TooMany,
    /// The workspace stopped, or is gone, since the agent dialled in.
    #[error("no agent of the workspace is expected any more")]
    Unexpected,
}

impl From<io::Error> for TunnelError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error.into())
    }
}

/// Checks an agent's first message and returns what it says.
///
/// # Errors
/// Where it isn't a hello, speaks a version that this side doesn't, or serves
/// another workspace.
fn welcome_of(id: &WorkspaceId, hello: Option<FromAgent>) -> Result<AgentInfo, TunnelError> {
    let Some(FromAgent::Hello {
        protocol,
        version,
        workspace,
        pid,
        features,
    }) = hello
    else {
        return Err(StreamError::NotOurs.into());
    };
    if !(OLDEST_VERSION..=VERSION).contains(&protocol) {
        return Err(StreamError::Version(protocol).into());
    }
    let invalid = |message| io::Error::new(io::ErrorKind::InvalidData, message);
    if workspace != id.as_str() {
        return Err(invalid("the agent serves another workspace").into());
    }
    if version.len() > MAX_VERSION || features.len() > MAX_FEATURES {
        return Err(invalid("the agent's hello is too long").into());
    }
    Ok(AgentInfo {
        version,
        pid,
        features,
    })
}
