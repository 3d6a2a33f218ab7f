//! The rows of requests that the HTTP side refuses by itself, and how every refusal
//! becomes an answer.

use ::http::StatusCode as Status;
use tracing::error;

use super::Reason::{ConnectFailed, Prohibited};
use super::middle::SHUTTING_DOWN;
use super::{Refusal, Row, row};
use crate::chain::chain;
use crate::http::problem::{Problem, RequestRefused};
use crate::http::proxy::ProxyError;
use crate::http::{AgentRefused, AppRefused, InsideRefused};

/// Whose turn it is after a refusal, as a client tells it from the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request was wrong.
    Request,
    /// What it is about isn't there.
    Missing,
    /// It took too long.
    Late,
    /// There would be more than there may be.
    Limit,
    /// Nobody is signed in, or they may not.
    Denied,
    /// Anything else.
    Other,
}

/// Returns the kind of an answer that refuses.
pub fn kind(problem: &Problem) -> Kind {
    match Status::from_u16(problem.status) {
        Ok(Status::BAD_REQUEST | Status::UNSUPPORTED_MEDIA_TYPE | Status::UNPROCESSABLE_ENTITY) => {
            Kind::Request
        }
        Ok(Status::NOT_FOUND) => Kind::Missing,
        Ok(Status::GATEWAY_TIMEOUT) => Kind::Late,
        Ok(Status::CONFLICT) if problem.code.ends_with("-limit") => Kind::Limit,
        Ok(Status::UNAUTHORIZED | Status::FORBIDDEN) => Kind::Denied,
        Ok(_) | Err(_) => Kind::Other,
    }
}

/// The text goes out; of a failure of ours the chain goes to the log.
impl<E: Refusal> From<E> for Problem {
    fn from(refused: E) -> Self {
        Self::of(&refused)
    }
}

impl Refusal for RequestRefused {
    fn row(&self) -> Row {
        match self {
            Self::NoRoute => row(Status::NOT_FOUND, "no-such-route", Prohibited),
            Self::NoExtension => row(Status::NOT_FOUND, "no-extension", Prohibited),
            Self::TwoLengths => row(Status::BAD_REQUEST, "ambiguous-request", Prohibited),
            Self::PlainHttp => row(Status::BAD_REQUEST, "plain-http", Prohibited),
            Self::NoMethod => row(Status::METHOD_NOT_ALLOWED, "no-such-method", Prohibited),
            Self::Body(_) | Self::Query(_) => row(Status::BAD_REQUEST, "bad-request", Prohibited),
            Self::NoWorkspace(_) | Self::NoDeletedWorkspace(_) => {
                row(Status::NOT_FOUND, "no-such-workspace", Prohibited)
            }
            Self::Ambiguous(_) => row(Status::CONFLICT, "ambiguous-workspace", Prohibited),
            Self::NoKey(_) => row(Status::NOT_FOUND, "no-such-key", Prohibited),
            Self::NoSecret(_) => row(Status::NOT_FOUND, "no-such-secret", Prohibited),
            Self::NoOwner => row(Status::CONFLICT, "no-owner", Prohibited),
            Self::NotReady => row(Status::SERVICE_UNAVAILABLE, "not-ready", ConnectFailed),
        }
    }
}

impl Problem {
    /// Returns what is told of a refusal that is still needed.
    pub(crate) fn of(refused: &impl Refusal) -> Self {
        let row = refused.row();
        if row.status == Status::INTERNAL_SERVER_ERROR {
            error!(error = chain(refused), "a request failed");
        }
        Self {
            status: row.status.as_u16(),
            title: row.status.canonical_reason().unwrap_or_default().to_owned(),
            code: row.code.to_owned(),
            detail: refused.text(),
        }
    }
}

impl Refusal for ProxyError {
    fn row(&self) -> Row {
        match self {
            Self::Open(error) => error.row(),
            Self::Broken(_) => row(Status::BAD_GATEWAY, "application-broken", ConnectFailed),
            Self::Body(_) => row(Status::BAD_REQUEST, "bad-request", Prohibited),
            Self::Coding => row(Status::NOT_IMPLEMENTED, "unknown-coding", Prohibited),
            Self::Unasked => row(Status::BAD_GATEWAY, "unasked-upgrade", ConnectFailed),
            Self::Cut => row(Status::UNAUTHORIZED, "signed-out", Prohibited),
            Self::Loop => row(Status::LOOP_DETECTED, "request-loop", Prohibited),
            Self::Connect => row(Status::METHOD_NOT_ALLOWED, "no-such-method", Prohibited),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Open(error) => error.text(),
            Self::Broken(_)
            | Self::Body(_)
            | Self::Coding
            | Self::Unasked
            | Self::Cut
            | Self::Loop
            | Self::Connect => self.to_string(),
        }
    }
}

impl Refusal for InsideRefused {
    fn row(&self) -> Row {
        match self {
            Self::SignedOut => row(Status::UNAUTHORIZED, "signed-out", Prohibited),
            Self::ScopeTooSmall => row(Status::FORBIDDEN, "scope-too-small", Prohibited),
            Self::ForeignOrigin(_) => row(Status::FORBIDDEN, "cross-origin", Prohibited),
            Self::Hosts(_) => row(Status::BAD_REQUEST, "bad-host", Prohibited),
            Self::Late => row(Status::GATEWAY_TIMEOUT, "agent-late", ConnectFailed),
            Self::Broken(_) => row(Status::BAD_GATEWAY, "agent-broken", ConnectFailed),
            Self::Stalled => row(Status::REQUEST_TIMEOUT, "stalled", ConnectFailed),
            Self::NoWorkspace => row(Status::NOT_FOUND, "no-such-workspace", Prohibited),
            Self::NoUpgrade => row(Status::UPGRADE_REQUIRED, "no-upgrade", Prohibited),
            Self::BadHost => row(Status::BAD_REQUEST, "bad-request", Prohibited),
        }
    }
}

impl Refusal for AppRefused {
    fn row(&self) -> Row {
        const UNAVAILABLE: Status = Status::SERVICE_UNAVAILABLE;
        match self {
            Self::NoApplication => row(Status::NOT_FOUND, "no-such-application", Prohibited),
            Self::SignInNeeded => row(Status::UNAUTHORIZED, "sign-in-needed", Prohibited),
            Self::ScopeTooSmall => row(Status::FORBIDDEN, "scope-too-small", Prohibited),
            Self::CrossOrigin => row(Status::FORBIDDEN, "cross-origin", Prohibited),
            Self::Hosts => row(Status::BAD_REQUEST, "bad-host", Prohibited),
            Self::BadReturn => row(Status::BAD_REQUEST, "bad-return-address", Prohibited),
            Self::CodeSpent => row(Status::BAD_REQUEST, "code-spent", Prohibited),
            Self::Stopped => row(UNAVAILABLE, "workspace-stopped", ConnectFailed),
            Self::Asleep => row(UNAVAILABLE, "workspace-asleep", ConnectFailed),
            Self::NotRunning => row(UNAVAILABLE, "workspace-not-running", ConnectFailed),
            Self::Starting => row(UNAVAILABLE, "workspace-starting", ConnectFailed),
            Self::Failed(_) => row(UNAVAILABLE, "workspace-failed", ConnectFailed),
            Self::NotListening(_) => row(
                Status::BAD_GATEWAY,
                "application-not-listening",
                ConnectFailed,
            ),
            Self::EditorMissing(_) => row(UNAVAILABLE, "editor-missing", ConnectFailed),
            Self::EditorFailed(_) => row(Status::BAD_GATEWAY, "editor-failed", ConnectFailed),
            Self::EditorStarting => row(UNAVAILABLE, "editor-starting", ConnectFailed),
            Self::Proxy(error) => error.row(),
            Self::Session(error) => error.row(),
            Self::Store(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Proxy(error) => error.text(),
            Self::Session(error) => error.text(),
            Self::Store(error) => error.text(),
            other => other.to_string(),
        }
    }
}

impl Refusal for AgentRefused {
    fn row(&self) -> Row {
        match self {
            Self::Unknown(_) => row(Status::UNAUTHORIZED, "unknown-agent", Prohibited),
            Self::OldTls => row(Status::FORBIDDEN, "old-tls", Prohibited),
            Self::Workspace => row(Status::FORBIDDEN, "agent-not-expected", Prohibited),
            Self::ShuttingDown => SHUTTING_DOWN,
            Self::NoUpgrade => row(Status::UPGRADE_REQUIRED, "no-upgrade", Prohibited),
            Self::Name => row(Status::BAD_REQUEST, "bad-tunnel-name", Prohibited),
            Self::Tunnel => row(Status::CONFLICT, "no-tunnel", Prohibited),
        }
    }

    fn text(&self) -> String {
        let text = match self {
            Self::Unknown(_) => {
                "agents show a valid certificate of this gateway: start the workspace again to \
                 get one"
            }
            Self::OldTls => "agents speak TLS 1.3",
            Self::Workspace => "no agent of this workspace is expected: start the workspace",
            Self::ShuttingDown => "the gateway is shutting down: dial again in a moment",
            Self::NoUpgrade => "only upgrades to WebSocket or a devgate stream are served here",
            Self::Name => "the devgate-tunnel header must name the tunnel",
            Self::Tunnel => "open the control connection before offering data connections",
        };
        text.to_owned()
    }
}
