//! Why an application isn't shown, and how people and programs are told.

use axum::response::{IntoResponse as _, Response};
use devgate_protocol::RefusalReason;

use super::Apps;
use super::access::Reader;
use super::page::{Again, Page};
use crate::http::problem::Problem;
use crate::http::proxy::ProxyError;
use crate::http::site::NoHost;
use crate::identity::{Inside, SessionError, WorkspaceRef};
use crate::refusal::Refusal as _;
use crate::store::StoreError;
use crate::workspaces::{FailureReason, OpenError, State};

/// Seconds after which a page looks whether something serves by now.
const AGAIN_SOON: u8 = 2;

/// Seconds after which a page looks whether a stopped workspace was started.
const AGAIN: u8 = 5;

/// What puts the editor into a workspace.
const EDITOR_INSTALL: &str = "curl -fsSL https://code-server.dev/install.sh | sh\n\
                              # or, where Node.js is there:\n\
                              npm install --global code-server";

/// Why an application isn't shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppRefused {
    #[error("there is no such application for you: check the address, and who shares it")]
    NoApplication,
    #[error("sign in at the dashboard to open this application")]
    SignInNeeded,
    #[error("this token may only look: an application needs one of the scope 'write'")]
    ScopeTooSmall,
    #[error("a page of another site made this request: open the application by itself")]
    CrossOrigin,
    #[error("{NoHost}")]
    Hosts,
    #[error("applications have their own hosts here: the address must be one of them")]
    BadReturn,
    #[error("this way in was used or is too old: open the application again")]
    CodeSpent,
    #[error("the workspace is stopped: start it on the dashboard, then this opens by itself")]
    Stopped,
    #[error("the workspace is asleep: open this page anew, or start it on the dashboard")]
    Asleep,
    #[error("the workspace is not running: ask its owner to start it")]
    NotRunning,
    #[error("the workspace is starting")]
    Starting,
    #[error("{0}")]
    Failed(FailureReason),
    #[error(
        "nothing listens on port {0} of the workspace: start the application, on 127.0.0.1 or \
         all addresses"
    )]
    NotListening(u16),
    #[error("{0}")]
    EditorMissing(String),
    #[error("{0}")]
    EditorFailed(String),
    #[error("VS Code is starting; the first time takes a moment longer")]
    EditorStarting,
    #[error(transparent)]
    Proxy(ProxyError),
    #[error(transparent)]
    Session(SessionError),
    #[error(transparent)]
    Store(StoreError),
}

impl AppRefused {
    /// Says what kept a request from an application; `state` is the workspace's.
    pub(super) fn of(error: ProxyError, inside: Inside, state: Option<&State>) -> Self {
        let open = match error {
            ProxyError::Open(open) => open,
            other => return Self::Proxy(other),
        };
        match (open, inside) {
            (OpenError::Stopped(_), _) => Self::Stopped,
            (OpenError::Asleep(_), _) => Self::Asleep,
            (OpenError::Failed(reason), _) => Self::Failed(reason),
            (OpenError::TimedOut { .. }, Inside::Editor)
                if matches!(state, Some(State::Running)) =>
            {
                Self::EditorStarting
            }
            (OpenError::TimedOut { .. }, _) => Self::Starting,
            (OpenError::Refused(refusal), Inside::Port(port))
                if refusal.reason == RefusalReason::ConnectFailed =>
            {
                Self::NotListening(port)
            }
            (OpenError::Refused(refusal), _) => match refusal.reason {
                RefusalReason::EditorMissing => Self::EditorMissing(refusal.detail),
                RefusalReason::EditorFailed => Self::EditorFailed(refusal.detail),
                _ => Self::Proxy(OpenError::Refused(refusal).into()),
            },
            (other, _) => Self::Proxy(other.into()),
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::NoApplication => "There is nothing here",
            Self::SignInNeeded => "Sign in first",
            Self::ScopeTooSmall | Self::CrossOrigin | Self::Hosts => "Not like this",
            Self::BadReturn => "Not an application's address",
            Self::CodeSpent => "Open it again",
            Self::Stopped => "The workspace is stopped",
            Self::Asleep => "The workspace is asleep",
            Self::NotRunning => "The workspace is not running",
            Self::Starting => "The workspace is starting …",
            Self::Failed(_) => "The workspace failed",
            Self::NotListening(_) => "The application is not listening",
            Self::EditorMissing(_) => "VS Code is not in this workspace yet",
            Self::EditorFailed(_) => "VS Code did not start",
            Self::EditorStarting => "VS Code is starting …",
            Self::Proxy(_) => "The application did not answer",
            Self::Session(_) | Self::Store(_) => "Something went wrong",
        }
    }

    fn again(&self) -> Again {
        match self {
            Self::Starting | Self::NotListening(_) | Self::EditorStarting => {
                Again::After(AGAIN_SOON)
            }
            Self::Stopped
            | Self::NotRunning
            | Self::Failed(_)
            | Self::EditorMissing(_)
            | Self::EditorFailed(_) => Again::After(AGAIN),
            Self::NoApplication
            | Self::SignInNeeded
            | Self::ScopeTooSmall
            | Self::CrossOrigin
            | Self::Hosts
            | Self::BadReturn
            | Self::CodeSpent
            // One that comes back by itself is nobody.
            | Self::Asleep
            | Self::Proxy(_)
            | Self::Session(_)
            | Self::Store(_) => Again::No,
        }
    }
}

impl Apps {
    /// Tells a person, or a program, why an application isn't shown, with a link to the
    /// workspace as whoever asks may know it.
    pub(super) fn refused(
        &self,
        refused: &AppRefused,
        reader: Reader,
        workspace: Option<&WorkspaceRef>,
    ) -> Response {
        let problem = Problem::of(refused);
        if reader == Reader::Program {
            return problem.into_response();
        }
        let row = refused.row();
        let dashboard = &self.0.site.dashboard();
        let link = match (refused, workspace) {
            (AppRefused::CodeSpent, _) => ("Open it again".to_owned(), "/".to_owned()),
            (AppRefused::NoApplication | AppRefused::NotRunning, _)
            | (_, None | Some(WorkspaceRef::Id(_))) => {
                ("To the dashboard".to_owned(), format!("{dashboard}/"))
            }
            (_, Some(WorkspaceRef::Named { workspace, owner })) => (
                "To the workspace".to_owned(),
                format!("{dashboard}/workspaces/{owner}/{workspace}"),
            ),
        };
        let (text, quote) = match refused {
            AppRefused::EditorMissing(detail) => (
                format!("{detail}. In the workspace's image, or in a terminal:"),
                Some(EDITOR_INSTALL.to_owned()),
            ),
            AppRefused::EditorFailed(detail) => (
                "The workspace says why; its log tells more.".to_owned(),
                Some(detail.clone()),
            ),
            _ => (problem.detail, None),
        };
        Page {
            status: row.status,
            title: refused.title().to_owned(),
            text,
            quote,
            link: Some(link),
            again: match reader {
                Reader::Sender => Again::No,
                Reader::Program | Reader::Opener => refused.again(),
            },
        }
        .render()
    }
}
