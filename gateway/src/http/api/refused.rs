//! Why the API refuses a request by itself.

use axum::response::{IntoResponse, Response};

use super::narrowed::Beyond;
use crate::http::problem::{Problem, Quoted};
use crate::http::site::NoHost;
use crate::identity::{InvalidNarrowing, Scope, SessionError};

/// Why a request is refused before anything behind the API is asked, or for what
/// isn't there.
#[derive(Debug, thiserror::Error)]
pub enum ApiRefused {
    /// Nobody is signed in.
    #[error(
        "nobody is signed in: sign in at the dashboard, or send `Authorization: Bearer` with an \
         API token"
    )]
    SignedOut,
    /// A browser sends it for a page of somebody else's.
    #[error(
        "this request comes from another origin than the dashboard's, {own}: where that isn't \
         the address that you see, set http.url in the configuration"
    )]
    ForeignOrigin {
        /// The dashboard's own origin.
        own: String,
    },
    /// The token allows too little.
    #[error("this takes a token with the scope {needed}: make one at the dashboard")]
    Scope {
        /// What is needed.
        needed: Scope,
    },
    /// The token is narrowed to something else.
    #[error(
        "{0}: `GET /api/v1/me` says what it is for; make one for this at the dashboard, or with \
         `devgate tokens create`"
    )]
    Narrowed(Beyond),
    /// A token can't be narrowed like this.
    #[error(transparent)]
    Narrowing(InvalidNarrowing),
    /// The widest scope, narrowed.
    #[error("a token with the scope admin can't be narrowed: make it one with read or write")]
    NarrowedAdmin,
    /// It takes an administrator.
    #[error("only administrators may do this: ask one")]
    NotAdmin,
    /// It names several hosts, or none that can be read.
    #[error(transparent)]
    Hosts(#[from] NoHost),
    /// The host isn't the dashboard's.
    #[error(
        "the dashboard isn't served as {host}: open {own}, or name the other in http.names or \
         http.url of the configuration"
    )]
    WrongHost {
        /// What was asked for.
        host: Quoted,
        /// The dashboard's own origin.
        own: String,
    },
    /// The body isn't said to be JSON.
    #[error("send the body as JSON, with `Content-Type: application/json`")]
    MediaType,
    /// The body is too large.
    #[error("the request is too large: its body may have {most} bytes at most")]
    TooLarge {
        /// How large it may be, in bytes.
        most: usize,
    },
    /// The body didn't come whole.
    #[error("the request broke off")]
    Broken,
    /// The JSON says something else than is asked for.
    #[error("the request can't be used: {0}")]
    Content(serde_json::Error),
    /// A value that isn't allowed.
    #[error("{name} is not allowed to be that: use {allowed}")]
    Value {
        /// Which one.
        name: &'static str,
        /// What is.
        allowed: &'static str,
    },
    /// There is no such page.
    #[error("there is no such page: take the cursor from `next` of the page before")]
    Cursor,
    /// A time that is past, or out of reach.
    #[error("the time must lie ahead, within the next ten years")]
    BadTime,
    /// Both ways to say when.
    #[error("give one of expires_at and expires_in_seconds, not both")]
    TwoTimes,
    /// There is no such thing, or it isn't the caller's.
    #[error("there is no such {what}")]
    NoSuch {
        /// What was asked for.
        what: &'static str,
        /// A stable word for programs.
        code: &'static str,
    },
    /// As many as there may be.
    #[error("there are too many {what} already: delete some")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// The key of an earlier request that was another one.
    #[error("this Idempotency-Key came with another request: choose a new one")]
    KeyReused,
    /// The same request is being carried out.
    #[error("this request is being carried out already: ask again in a moment")]
    UnderWay,
    /// It isn't the WebSocket that is served here.
    #[error("this address is a WebSocket: `devgate proxy WORKSPACE` opens it")]
    NoUpgrade,
    /// It can't be told who calls.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The listener didn't say where the request came from.
    #[error("a request came without its connection")]
    NoConnection,
}

impl IntoResponse for ApiRefused {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
