//! Errors as people and programs read them (RFC 9457).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::editor::EditorError;
use crate::terminals::StartError;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What went wrong with one request.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    status: u16,
    title: &'static str,
    code: &'static str,
    detail: String,
    /// How much of an upload there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            code,
            detail: detail.into(),
            offset: None,
        }
    }

    /// Says how much of an upload there is.
    pub(super) fn with_offset(self, offset: u64) -> Self {
        let offset = Some(offset);
        Self { offset, ..self }
    }

    /// A part was asked for that a file of this size doesn't have.
    pub(super) fn no_range(size: u64) -> Self {
        let detail = format!("the file has {size} bytes, and none of those that were asked for");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "no-range", detail)
    }

    pub(super) fn no_route() -> Self {
        let detail = "there is nothing at this address";
        Self::new(StatusCode::NOT_FOUND, "no-route", detail)
    }

    pub(super) fn no_method() -> Self {
        let detail = "this address doesn't take this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "no-method", detail)
    }

    pub(super) fn no_terminal() -> Self {
        let detail = "there is no such terminal: it was ended, by somebody or because nobody \
                      looked at it, or the workspace was restarted; open another one";
        Self::new(StatusCode::NOT_FOUND, "no-terminal", detail)
    }

    /// A query or a body that isn't what is expected; `error` says why.
    pub(super) fn bad_request(error: impl std::fmt::Display) -> Self {
        let detail = format!("the request can't be read: {error}");
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    fn too_large(MostBody(most): MostBody) -> Self {
        let detail = format!("the request is too large: its body may have {most} bytes at most");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            error.to_string(),
        )
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match &error {
            StartError::TooMany => Self::new(
                StatusCode::CONFLICT,
                "too-many-terminals",
                error.to_string(),
            ),
            StartError::System { source, .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "terminal-failed",
                format!("{error}: {source}"),
            ),
        }
    }
}

impl From<EditorError> for Problem {
    fn from(error: EditorError) -> Self {
        let (status, code) = match &error {
            EditorError::Missing(_) => (StatusCode::NOT_FOUND, "editor-missing"),
            EditorError::Failed(_) => (StatusCode::BAD_GATEWAY, "editor-failed"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Each is made of a status.
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        response
    }
}

/// How large a body may be, in bytes; an extension of requests. `DefaultBodyLimit` sees to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct MostBody(pub(super) usize);

/// A JSON body; none is an empty object.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let most = request.extensions().get().copied();
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| match (error.status(), most) {
            (StatusCode::PAYLOAD_TOO_LARGE, Some(most)) => Problem::too_large(most),
            _ => Problem::bad_request(error.body_text()),
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(Problem::bad_request)
    }
}
