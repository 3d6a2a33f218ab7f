//! What clients learn of an error: one table.
//!
//! For every refusal its reason code on SSH and a text that says what to do next.
//! The text goes out; the full chain of causes goes to the log. No other file
//! names a reason code.

use std::error::Error;

use devgate_protocol::RefusalReason;
use russh::ChannelOpenFailure;
use tracing::info;

use crate::identity::{Denied, InvalidTarget};
use crate::workspaces::OpenError;

/// Whatever keeps a client from what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The login name names no workspace.
    #[error(transparent)]
    Target(InvalidTarget),
    /// The caller isn't let through.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No stream to the workspace's agent opens.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The agent ended the stream before it was due.
    #[error(
        "the workspace's agent was lost, and with it this program's terminal; \
         connect again, the workspace is restarted by itself"
    )]
    AgentLost,
    /// The workspace didn't start while a listener waited for it.
    #[error("the workspace did not start in time; connect again in a moment")]
    NotReadyInTime,
    /// A port that doesn't exist.
    #[error("there is no port {0}: ports go from 0 to 65535")]
    Port(u32),
    /// More channels than a connection may have.
    #[error("this connection has too many channels open; close some, or connect again")]
    TooManyChannels,
    /// More listeners than a connection may have.
    #[error("this connection has too many forwarded ports; cancel some, or connect again")]
    TooManyListeners,
}

/// Reason codes of `SSH_MSG_CHANNEL_OPEN_FAILURE` (RFC 4254 §5.1).
#[derive(Clone, Copy)]
enum Reason {
    Prohibited = 1,
    ConnectFailed = 2,
    ResourceShortage = 4,
}

/// Returns what a person is told, and logs the full chain.
pub fn explain(refused: &Refused) -> String {
    info!(error = refused as &dyn Error, "refused");
    match refused {
        // Its reason is the next step.
        Refused::Open(OpenError::Failed(reason)) => reason.to_string(),
        Refused::Target(_)
        | Refused::Denied(_)
        | Refused::Open(_)
        | Refused::AgentLost
        | Refused::NotReadyInTime
        | Refused::Port(_)
        | Refused::TooManyChannels
        | Refused::TooManyListeners => refused.to_string(),
    }
}

/// Returns why a forwarding channel doesn't open.
pub fn channel_failure(refused: &Refused) -> ChannelOpenFailure {
    let reason = explain(refused);
    ChannelOpenFailure::Other {
        code: code(refused) as u32,
        reason,
    }
}

fn code(refused: &Refused) -> Reason {
    match refused {
        Refused::Target(_) | Refused::Denied(Denied::NoSuchWorkspace { .. }) | Refused::Port(_) => {
            Reason::Prohibited
        }
        Refused::Open(error) => match error {
            OpenError::Gone | OpenError::Stopped => Reason::Prohibited,
            OpenError::Refused(refusal) => match refusal.reason {
                RefusalReason::ResourceShortage => Reason::ResourceShortage,
                RefusalReason::ConnectFailed
                | RefusalReason::BindFailed
                | RefusalReason::UnknownConnection
                | RefusalReason::Unsupported
                | RefusalReason::Other => Reason::ConnectFailed,
            },
            OpenError::Failed(_)
            | OpenError::TimedOut { .. }
            | OpenError::ShuttingDown
            | OpenError::Unreachable(_)
            | OpenError::Store(_) => Reason::ConnectFailed,
        },
        Refused::Denied(Denied::Store(_)) | Refused::AgentLost | Refused::NotReadyInTime => {
            Reason::ConnectFailed
        }
        Refused::TooManyChannels | Refused::TooManyListeners => Reason::ResourceShortage,
    }
}
