//! Whether the gateway lives, and whether it is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Uri;
use serde_json::json;

use super::problem::RequestRefused;

/// Whether everything accepts connections. Clones share it; it begins unready.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Everything accepts connections.
    pub fn set_ready(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// The gateway starts, or drains before its end.
    pub fn set_unready(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether everything accepts connections.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Where it is told whether the gateway lives.
pub(super) const ALIVE: &str = "/healthz";

/// Where it is told whether the gateway is ready.
pub(super) const READY: &str = "/readyz";

/// Whether a request asks for one of these.
pub(super) fn is_asked_for(uri: &Uri) -> bool {
    [ALIVE, READY].contains(&uri.path())
}

pub(super) async fn alive() -> Response {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

pub(super) async fn ready(State(readiness): State<Readiness>) -> Response {
    if readiness.is_ready() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    RequestRefused::NotReady.into_response()
}
