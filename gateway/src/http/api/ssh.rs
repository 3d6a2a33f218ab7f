//! `/workspaces/{id}/ssh`: SSH over one WebSocket, for networks that let nothing else out.

use std::net::SocketAddr;
use std::pin::Pin;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use devgate_protocol::websocket::{Side, WebSocketBytes};
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::extract::{Named, Signed, needs};
use super::{Api, ApiRefused};
use crate::http::agents::websocket_response;
use crate::http::problem::Problem;
use crate::http::serve::PeerInfo;
use crate::http::site::RequestSite;
use crate::identity::Scope;
use crate::names::WorkspaceId;
use crate::ssh::{Bytes, Carried};
use crate::workspaces::OpenError;

/// `GET /workspaces/{id}/ssh`
///
/// Whoever comes in this way still proves a key to the SSH server, and is counted there by
/// their own address.
pub(super) async fn open(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    Extension(peer): Extension<PeerInfo>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    mut request: Request,
) -> Result<Response, Problem> {
    // A WebSocket begins with a GET, and types.
    needs(&caller, Scope::Write)?;
    api.identity.authorize_id(&caller.user, &id).await?;
    let response = websocket_response(request.headers()).ok_or(ApiRefused::NoUpgrade)?;
    let upgrade = hyper::upgrade::on(&mut request);
    let bytes = async move {
        let upgraded = upgrade.await;
        let upgraded = upgraded
            .inspect_err(|error| debug!(%error, "an upgrade failed"))
            .ok()?;
        let stream = TokioIo::new(upgraded);
        let bytes = WebSocketBytes::new(stream, Vec::new(), Side::Server).await;
        Some(Box::pin(bytes) as Pin<Box<dyn Bytes>>)
    };
    let carried = Carried {
        client: SocketAddr::new(asked.client, peer.address.port()),
        bytes: Box::pin(bytes),
        ended: api.sessions.revoked(&caller.via),
    };
    if !api.entrance.enter(carried).await {
        return Err(OpenError::ShuttingDown.into());
    }
    Ok(response)
}
