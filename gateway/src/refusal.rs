//! What clients learn of an error: one table.
//!
//! For every error that can reach a client its HTTP status with a stable word for
//! programs, its reason code on SSH, and a text that says what to do next. The text
//! goes out; the full chain of causes goes to the log. No other file names a status
//! or a reason code of a refusal.
//!
//! Here are the edges' own refusals on SSH and what both edges share;
//! `refusal/middle.rs` has the rows of the middle's errors, `refusal/http.rs` those
//! of requests and of agents that dial in, `refusal/api.rs` those of the REST API.

mod api;
mod http;
mod middle;
mod templates;

use std::error::Error;

use ::http::StatusCode;
use russh::ChannelOpenFailure;
use tracing::info;

use crate::identity::{Denied, InvalidTarget, SshAction, Target};
use crate::workspaces::OpenError;

pub use http::{Kind, kind};

/// Whatever keeps a client on SSH from what it asked for.
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
    /// The agent ended by itself, and with it the stream.
    #[error(
        "the workspace's agent ended by itself, and with it what this program reads and writes; \
         connect again, the workspace is restarted by itself"
    )]
    AgentLost,
    /// The stream broke, and the agent isn't known to have ended: a network was gone.
    #[error(
        "the connection to the workspace's agent broke, and with it what this program reads and \
         writes: its terminal is hung up there, its pipes are closed; connect again"
    )]
    StreamLost,
    /// Somebody ended the workspace.
    #[error(transparent)]
    Ended(#[from] WorkspaceEnd),
    /// A port that doesn't exist.
    #[error("there is no port {0}: ports go from 0 to 65535")]
    Port(u32),
    /// The certificate that signed the client in doesn't allow it.
    #[error(
        "the SSH certificate of this connection doesn't allow {0}: get one that does \
         (`devgate ssh-certificate get`)"
    )]
    NotAllowed(SshAction),
    /// More channels than a connection may have.
    #[error("this connection has too many channels open; close some, or connect again")]
    TooManyChannels,
    /// More listeners than a connection may have.
    #[error("this connection has too many forwarded ports; cancel some, or connect again")]
    TooManyListeners,
}

/// How somebody ended a workspace, and with it all that ran there.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceEnd {
    /// It stays as it is until somebody starts it.
    #[error("the workspace {0} was stopped: start it with `devgate start {0}`")]
    Stopped(Target),
    /// It comes back by itself.
    #[error("the workspace {0} is being restarted: connect again")]
    Restarted(Target),
    /// It is woken by whoever comes.
    #[error(
        "the workspace {0} went to sleep: log in with a terminal (`ssh -t`), or start it with \
         `devgate start {0}`"
    )]
    Asleep(Target),
    /// It may be gone for good.
    #[error("the workspace was deleted: `devgate list --deleted` shows those that can be restored")]
    Deleted,
}

/// One row of the table, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The status of an HTTP answer.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    reason: Reason,
}

/// An error that a client can learn of.
pub trait Refusal: Error {
    /// Returns its row of the table.
    fn row(&self) -> Row;

    /// Returns what a person is told: one line that says what to do next.
    fn text(&self) -> String {
        self.to_string()
    }
}

/// Reason codes of `SSH_MSG_CHANNEL_OPEN_FAILURE` (RFC 4254 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Prohibited,
    ConnectFailed,
    ResourceShortage,
}

impl Reason {
    const fn code(self) -> u32 {
        match self {
            Self::Prohibited => 1,
            Self::ConnectFailed => 2,
            Self::ResourceShortage => 4,
        }
    }
}

const fn row(status: StatusCode, code: &'static str, reason: Reason) -> Row {
    Row {
        status,
        code,
        reason,
    }
}

/// Returns what a person is told, and logs the full chain.
pub fn explain(refused: &Refused) -> String {
    info!(error = refused as &dyn Error, "refused");
    refused.text()
}

/// Returns why a forwarding channel doesn't open.
pub fn channel_failure(refused: &Refused) -> ChannelOpenFailure {
    ChannelOpenFailure::Other {
        code: refused.row().reason.code(),
        reason: explain(refused),
    }
}

impl Refusal for Refused {
    fn row(&self) -> Row {
        use Reason::{ConnectFailed, Prohibited, ResourceShortage};
        use StatusCode as Status;
        match self {
            Self::Target(error) => error.row(),
            Self::Denied(error) => error.row(),
            Self::Open(error) => error.row(),
            Self::AgentLost => row(Status::BAD_GATEWAY, "agent-lost", ConnectFailed),
            Self::StreamLost => row(Status::BAD_GATEWAY, "stream-lost", ConnectFailed),
            Self::Ended(_) => row(Status::CONFLICT, "workspace-ended", ConnectFailed),
            Self::NotAllowed(_) => row(Status::FORBIDDEN, "not-allowed", Prohibited),
            Self::Port(_) => row(Status::UNPROCESSABLE_ENTITY, "no-such-port", Prohibited),
            Self::TooManyChannels => row(
                Status::TOO_MANY_REQUESTS,
                "too-many-channels",
                ResourceShortage,
            ),
            Self::TooManyListeners => row(
                Status::TOO_MANY_REQUESTS,
                "too-many-listeners",
                ResourceShortage,
            ),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Target(error) => error.text(),
            Self::Denied(error) => error.text(),
            Self::Open(error) => error.text(),
            Self::AgentLost
            | Self::StreamLost
            | Self::Ended(_)
            | Self::Port(_)
            | Self::NotAllowed(_)
            | Self::TooManyChannels
            | Self::TooManyListeners => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::*;
    use crate::names::InvalidName;
    use crate::tunnel::TunnelError;
    use crate::workspaces::FailureReason;

    fn code_of(refused: &Refused) -> u32 {
        match channel_failure(refused) {
            ChannelOpenFailure::Other { code, .. } => code,
            other => panic!("{other:?} has no text"),
        }
    }

    #[test]
    fn a_channel_failure_carries_the_reason_codes_of_the_standard() {
        let target: Target = "api.anna".parse().unwrap();
        let stopped = OpenError::Stopped(target.clone());
        assert_eq!(code_of(&Denied::NoSuchWorkspace { target }.into()), 1);
        assert!(stopped.text().contains("devgate start api.anna"));
        assert_eq!(code_of(&stopped.into()), 1);
        assert_eq!(code_of(&OpenError::ShuttingDown.into()), 2);
        assert_eq!(code_of(&Refused::AgentLost), 2);
        assert_eq!(code_of(&Refused::StreamLost), 2);
        assert_eq!(code_of(&Refused::TooManyChannels), 4);
    }

    #[test]
    fn a_gateway_without_files_blames_no_agent() {
        for code in [Errno::MFILE, Errno::NFILE] {
            let error = TunnelError::from(io::Error::from(code));
            let refused = OpenError::from(error);
            assert!(refused.text().contains("LimitNOFILE"), "{refused}");
            assert!(!refused.text().contains("restart"), "{refused}");
            assert_eq!(code_of(&refused.into()), 4);
        }
        let lost = OpenError::from(TunnelError::from(io::Error::from(Errno::CONNREFUSED)));
        assert!(matches!(lost, OpenError::Unreachable(_)));
    }

    #[test]
    fn a_stream_that_broke_promises_no_restart() {
        assert!(Refused::AgentLost.text().contains("restarted"));
        let told = Refused::StreamLost.text();
        assert!(
            !told.contains("restarted") && told.contains("connect again"),
            "{told}"
        );
    }

    #[test]
    fn a_failed_workspace_is_explained_by_its_reason_alone() {
        let path = "/opt/agent".into();
        let reason = FailureReason::AgentMissing { path };
        let told = reason.to_string();
        assert_eq!(explain(&OpenError::Failed(reason).into()), told);
    }

    #[test]
    fn a_name_is_refused_alike_wherever_it_is_checked() {
        let name: InvalidName = "a--b".parse::<crate::names::UserName>().unwrap_err();
        let target = "a--b".parse::<crate::identity::Target>().unwrap_err();
        assert_eq!(name.row(), target.row());
    }
}
