//! Errors as people and programs read them (RFC 9457). Which error has which status
//! and text, `refusal` decides.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::identity::Target;
use crate::secrets::SecretName;

/// Media type of a problem (RFC 9457 §3).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Longest text of a request that an error quotes, in characters.
const MAX_QUOTED: usize = 60;

/// What went wrong with one request. Every [`Refusal`](crate::refusal::Refusal)
/// becomes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// Why a request is refused before anything behind it is asked, or for what isn't
/// there.
#[derive(Debug, thiserror::Error)]
pub enum RequestRefused {
    /// No route leads to the address.
    #[error("there is nothing at this address")]
    NoRoute,
    /// The route doesn't have the method.
    #[error("this address doesn't take this method")]
    NoMethod,
    /// It can be understood in two ways.
    #[error(
        "the request has both Transfer-Encoding and Content-Length, and one of them isn't true: \
         send one"
    )]
    TwoLengths,
    /// It came without TLS to a port that speaks TLS, for a host that isn't ours.
    #[error(
        "this port speaks HTTPS, and the request came as plain HTTP: begin the address with \
         https://, and have a proxy in front speak TLS to this port"
    )]
    PlainHttp,
    /// The VS Code extension isn't part of this build.
    #[error(
        "this gateway was built without its VS Code extension: its administrator runs `make web` \
         and builds it again"
    )]
    NoExtension,
    /// The body can't be read.
    #[error("the request can't be read: {0}")]
    Body(serde_json::Error),
    /// The query can't be read.
    #[error("the query can't be read: {0}")]
    Query(String),
    /// There is no such workspace.
    #[error("there is no workspace {0}: `devgate list` shows all")]
    NoWorkspace(Target),
    /// There is no such deleted workspace.
    #[error("there is no deleted workspace {0}: `devgate list --deleted` shows all")]
    NoDeletedWorkspace(Target),
    /// Several workspaces, here with their owners, have the name.
    #[error("there are several: say which one, {}", .0.join(" or "))]
    Ambiguous(Vec<String>),
    /// There is no key with the fingerprint.
    #[error("there is no key {0}: `devgate keys list` shows all")]
    NoKey(Quoted),
    /// There is no such secret.
    #[error("there is no secret {0}: `devgate secrets list` shows all")]
    NoSecret(SecretName),
    /// A new workspace would be nobody's.
    #[error("there is no administrator whose it could be: say --owner USER")]
    NoOwner,
    /// Not everything accepts connections.
    #[error("the gateway is starting or stopping: try again in a moment")]
    NotReady,
}

/// A text out of a request: shown in quotes, and not at any length.
#[derive(Debug)]
pub struct Quoted(String);

impl From<&str> for Quoted {
    fn from(text: &str) -> Self {
        Self(text.chars().take(MAX_QUOTED).collect())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // It came out of the table; one of nothing we know is a failure of ours.
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1 asks for it with every one.
            let challenge = HeaderValue::from_static("Bearer realm=\"devgate\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl IntoResponse for RequestRefused {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
