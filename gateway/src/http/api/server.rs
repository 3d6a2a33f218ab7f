//! `/connection` and the document.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use super::Api;
use super::extract::Signed;
use super::wire::{ApplicationsBy, Connection};
use crate::config::Applications;

/// `GET /connection`
pub(super) async fn connection(State(api): State<Api>, Signed(_): Signed) -> Json<Connection> {
    let (ssh_host, ssh_port) = api.ssh.clone();
    Json(Connection {
        ssh_host,
        ssh_port,
        url: api.site.dashboard().to_string(),
        domain: api.site.domain().to_owned(),
        applications: match api.site.applications() {
            Applications::Subdomain => ApplicationsBy::Subdomain,
            Applications::Path => ApplicationsBy::Path,
        },
        host_keys: api.server.host_keys.clone(),
        public_keys: api.server.public_keys.clone(),
        host_authority: api.server.host_authority.clone(),
        delete_grace_seconds: api.workspaces.delete_grace().as_secs(),
    })
}

/// `GET /openapi.json`
pub(super) async fn document() -> Response {
    let kind = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (kind, super::openapi()).into_response()
}
