//! Errors as people and programs read them (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::drivers::DriverError;
use crate::identity::{KeyRefused, Target};
use crate::names::UserName;
use crate::store::StoreError;
use crate::workspaces::CommandError;

/// Media type of a problem (RFC 9457 §3).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status, repeated.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people that says what to do next.
    pub detail: String,
}

impl Problem {
    /// Returns the problem of a request.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
        }
    }

    /// Answers what no route leads to.
    pub fn no_route() -> Self {
        let detail = "there is nothing at this address";
        Self::new(StatusCode::NOT_FOUND, "no-such-route", detail)
    }

    /// Answers a method that the route doesn't have.
    pub fn no_method() -> Self {
        let detail = "this address doesn't take this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", detail)
    }

    /// A name that isn't valid.
    pub fn bad_name(error: &dyn std::error::Error) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-name",
            error.to_string(),
        )
    }

    /// A workspace that isn't there.
    pub fn no_workspace(target: &Target) -> Self {
        let detail = format!("there is no workspace {target}: `devgate list` shows all");
        Self::new(StatusCode::NOT_FOUND, "no-such-workspace", detail)
    }

    /// A user who isn't there.
    pub fn no_user(name: &UserName) -> Self {
        StoreError::NoSuchUser(name.clone()).into()
    }

    /// A key that isn't there. What was asked for is quoted, but not at any length.
    pub fn no_key(fingerprint: &str) -> Self {
        let quoted: String = fingerprint.chars().take(60).collect();
        let detail = format!("there is no key {quoted:?}: `devgate keys list` shows all");
        Self::new(StatusCode::NOT_FOUND, "no-such-key", detail)
    }

    /// A failure of ours: the chain goes to the log, a sentence to the person.
    fn internal(error: &dyn std::error::Error) -> Self {
        let chain = chain(error);
        error!(error = chain, "a request failed");
        let detail = format!("{chain}: the server's log may tell more");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

/// Returns an answer that is an error with no code of its own; `detail` says what to
/// do next.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("error");
    let code = title.to_lowercase().replace(' ', "-");
    Problem::new(status, &code, detail).into_response()
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (status, code) = match &error {
            StoreError::NoSuchUser(_) => (StatusCode::NOT_FOUND, "no-such-user"),
            StoreError::UserExists(_) => (StatusCode::CONFLICT, "user-exists"),
            StoreError::UserHasWorkspaces(_) => (StatusCode::CONFLICT, "user-has-workspaces"),
            StoreError::LastAdmin(_) => (StatusCode::CONFLICT, "last-admin"),
            StoreError::KeyOfAnother { .. } => (StatusCode::CONFLICT, "key-of-another"),
            StoreError::WorkspaceExists(_) => (StatusCode::CONFLICT, "workspace-exists"),
            StoreError::Open { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Newer { .. }
            | StoreError::Migrate { .. }
            | StoreError::Query(_)
            | StoreError::Unreadable { .. } => return Self::internal(&error),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let (status, code) = match error {
            CommandError::Store(error) => return error.into(),
            CommandError::Driver(error) => return error.into(),
            CommandError::Failed(_) => (StatusCode::CONFLICT, "workspace-failed"),
            CommandError::Gone => (StatusCode::NOT_FOUND, "no-such-workspace"),
            CommandError::Deleting => (StatusCode::CONFLICT, "workspace-deleting"),
            CommandError::Stopped => (StatusCode::CONFLICT, "workspace-stopped"),
            CommandError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting-down"),
        };
        Self::new(status, code, chain(&error))
    }
}

impl From<DriverError> for Problem {
    fn from(error: DriverError) -> Self {
        Self::internal(&error)
    }
}

impl From<KeyRefused> for Problem {
    fn from(error: KeyRefused) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "key-refused",
            error.to_string(),
        )
    }
}

/// Returns an error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        let media_type = HeaderValue::from_static(MEDIA_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        response
    }
}
