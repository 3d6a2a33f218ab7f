//! The HTTP side: the HTTPS listener for agents that dial in, health, and what
//! others add; and the administration API on its Unix socket.
//!
//! A connection's handshake and its first request are bounded in time, its
//! headers in size, and all connections in number; nothing is answered before the
//! peer has spoken valid HTTP.

pub mod admin;
mod agents;
pub mod api;
pub mod apps;
mod counted;
pub mod dashboard;
mod extension;
mod handshake;
mod harden;
mod heads;
mod health;
pub mod inside;
mod leftover;
mod live;
mod plain;
pub mod problem;
pub mod proxy;
mod serve;
mod silence;
pub mod site;
mod sleep;
mod view;
pub mod wire;

use axum::Router;
use axum::routing::get;
use devgate_protocol::{CONTROL_PATH, DATA_PATH};

pub(crate) use agents::AgentRefused;
pub use agents::{Accepts, Admission, Agents};
pub(crate) use apps::AppRefused;
pub use health::Readiness;
pub(crate) use inside::InsideRefused;
pub use live::Live;
pub use serve::{Limits, PeerInfo, Routes, Transport, serve};
pub use site::{NoHost, Origin, RequestSite, Scheme, Site};

use problem::RequestRefused;

/// What the routes of the HTTPS listener need.
#[derive(Clone)]
pub struct HttpState {
    /// Agents that dial in.
    pub agents: Agents,
    /// Whether `/readyz` says that everything accepts connections.
    pub readiness: Readiness,
}

/// Returns the routes of the HTTPS listener; the dashboard answers everything else.
/// Others merge theirs into it.
pub fn router(state: HttpState) -> Router {
    Router::new()
        .route(CONTROL_PATH, get(agents::control))
        .route(DATA_PATH, get(agents::data))
        .with_state(state.agents)
        .route(health::ALIVE, get(health::alive))
        .route(health::READY, get(health::ready))
        .with_state(state.readiness)
        .route("/api/v1/docs", get(dashboard::page))
        .route(extension::PATH, get(extension::serve))
        .fallback(dashboard::serve)
        .method_not_allowed_fallback(async || RequestRefused::NoMethod)
}
