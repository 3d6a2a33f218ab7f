//! `GET /api/v1/workspaces/{id}/forward`: one TCP connection into a workspace, over one
//! WebSocket, for whoever has a token and no SSH key.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, Request, State};
use axum::response::Response;
use bytes::Bytes;
use devgate_protocol::Open;
use devgate_protocol::websocket::{Side, WebSocketBytes};
use hyper_util::rt::TokioIo;

use super::{Inside, InsideRefused, MAX_HOST, split};
use crate::activity::Errand;
use crate::http::agents::websocket_response;
use crate::http::api::wire::ForwardQuery;
use crate::http::problem::{Problem, RequestRefused};
use crate::http::proxy::{AtStop, Cut};
use crate::http::serve::PeerInfo;
use crate::workspaces::{OpenError, Wake};

/// Where a connection goes that names no host.
const LOCALHOST: &str = "localhost";

pub(super) async fn open(
    State(inside): State<Arc<Inside>>,
    Extension(peer): Extension<PeerInfo>,
    asked: Result<Query<ForwardQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let look = super::Errand::Look;
    let (caller, _) = inside.caller(peer.address.ip(), &head, look).await?;
    let grant = inside.grant(&caller, split(&head.uri).0).await?;
    let Query(asked) = asked.map_err(|rejection| RequestRefused::Query(rejection.body_text()))?;
    let host = asked.host.unwrap_or_else(|| LOCALHOST.to_owned());
    if host.is_empty() || host.len() > MAX_HOST {
        return Err(InsideRefused::BadHost.into());
    }
    let response = websocket_response(&head.headers).ok_or(InsideRefused::NoUpgrade)?;
    let _admitted = inside.proxy.admit()?;
    let port = asked.port.get();
    let errand = Errand::of(&(caller.user.id.as_str(), "forward", &host, port));
    let open = Open::DirectTcpip { host, port };
    let workspaces = &inside.workspaces;
    let opening = workspaces.open_for(&grant, &open, Wake::Background, errand);
    // It is dialled before the upgrade, so that who is refused learns why.
    let (stream, _) = opening.await?;
    let workspace = grant.workspace();
    let visit = workspaces.visit(&workspace.id, Some(errand));
    let visit = visit.ok_or(OpenError::Gone)?;
    let cut = Cut {
        revoked: Some(inside.sessions.revoked(&caller.via)),
        tenure: Some(workspaces.tenure(workspace)),
        at_stop: AtStop::GoesOn,
        ..Cut::default()
    };
    let mut request = Request::from_parts(head, body);
    let upgrade = hyper::upgrade::on(&mut request);
    let client = async {
        let upgraded = TokioIo::new(upgrade.await?);
        Ok(WebSocketBytes::new(upgraded, Vec::new(), Side::Server).await)
    };
    let server = (stream, Bytes::new());
    inside.proxy.join(client, server, (cut, Some(visit)));
    Ok(response)
}
