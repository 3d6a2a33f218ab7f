//! Where agents dial in.
//!
//! Both addresses ask for a client certificate of this gateway's CA, over TLS
//! 1.3, of a workspace that still has an agent; everything else is refused.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use devgate_certs::{Authority, UnknownAgent};
use devgate_protocol::transport::{Tls, Transport};
use devgate_protocol::websocket::{self, Side, WebSocketBytes};
use devgate_protocol::{MAX_TUNNEL_NAME, Stream, TUNNEL_HEADER, UPGRADE_TOKEN};
use futures_util::future::BoxFuture;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_rustls::server;
use tracing::{debug, warn};

use super::counted::Counted;
use super::problem::Problem;
use super::proxy::has_token;
use super::serve::PeerInfo;
use crate::names::WorkspaceId;
use crate::tunnel::Tunnels;

/// Says whether a workspace has an agent that may dial in.
pub type Accepts = Arc<dyn Fn(WorkspaceId) -> BoxFuture<'static, Admission> + Send + Sync>;

/// Whether an agent may dial in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Expected,
    /// Its workspace runs nowhere, or isn't known.
    Unexpected,
    /// The gateway ends: another one will take it, or this one when it is back.
    Later,
}

/// What the agents' addresses need.
#[derive(Clone)]
pub struct Agents {
    /// Where tunnels are registered.
    pub tunnels: Tunnels,
    /// Who knows the agents' certificates.
    pub authority: Arc<Authority>,
    /// Which workspaces' agents may dial in.
    pub accepts: Accepts,
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents")
            .field("tunnels", &self.tunnels)
            .finish_non_exhaustive()
    }
}

/// Why an agent is sent away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentRefused {
    #[error("{0}")]
    Unknown(#[from] UnknownAgent),
    #[error("the connection is not TLS 1.3")]
    OldTls,
    #[error("the workspace is unknown here")]
    Workspace,
    #[error("the gateway is shutting down")]
    ShuttingDown,
    #[error("the request doesn't ask for an upgrade that is offered here")]
    NoUpgrade,
    #[error("the tunnel's name is missing or malformed")]
    Name,
    #[error("the tunnel is not there")]
    Tunnel,
}

/// A refusal, and whose agent it is where its certificate says so.
struct Refused {
    why: AgentRefused,
    workspace: Option<WorkspaceId>,
}

impl AgentRefused {
    fn of(self, workspace: Option<WorkspaceId>) -> Refused {
        Refused {
            why: self,
            workspace,
        }
    }
}

impl Refused {
    /// Logs it and returns what the agent is told.
    fn answer(self, peer: &PeerInfo) -> Response {
        let Self { why, workspace } = self;
        let workspace = workspace.as_ref().map(WorkspaceId::as_str);
        let peer = peer.address;
        match &why {
            // A browser that strays here, an agent ahead of its tunnel or of an end.
            AgentRefused::Unknown(UnknownAgent::Absent)
            | AgentRefused::Tunnel
            | AgentRefused::ShuttingDown => {
                debug!(%peer, workspace, %why, "refused an agent's connection");
            }
            _ => warn!(%peer, workspace, %why, "refused an agent's connection"),
        }
        let offer = matches!(why, AgentRefused::NoUpgrade);
        let mut response = Problem::from(why).into_response();
        if offer {
            let upgrades = HeaderValue::from_static("websocket, devgate-stream");
            response.headers_mut().insert(header::UPGRADE, upgrades);
        }
        response
    }
}

/// A control connection: a WebSocket.
pub(super) async fn control(
    State(agents): State<Agents>,
    Extension(peer): Extension<PeerInfo>,
    mut request: Request,
) -> Response {
    let (id, name) = match agents.check(&peer, request.headers()).await {
        Ok(agent) => agent,
        Err(refused) => return refused.answer(&peer),
    };
    let Some(response) = websocket_response(request.headers()) else {
        return AgentRefused::NoUpgrade.of(Some(id)).answer(&peer);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (tunnels, accepts) = (agents.tunnels.clone(), Arc::clone(&agents.accepts));
    agents.tunnels.spawn(async move {
        let Some((tls, read)) = upgraded(upgrade).await else {
            return;
        };
        let socket = websocket::control(tls, read, Side::Server).await;
        let expected = async { accepts(id.clone()).await == Admission::Expected };
        if let Err(error) = tunnels.accept(&id, name, socket, expected).await {
            warn!(workspace = %id, peer = %peer.address, %error, "an agent's control connection failed");
        }
    });
    response
}

/// A spare data connection: raw, or a WebSocket where a proxy wants that.
pub(super) async fn data(
    State(agents): State<Agents>,
    Extension(peer): Extension<PeerInfo>,
    mut request: Request,
) -> Response {
    let (id, name) = match agents.check(&peer, request.headers()).await {
        Ok(agent) => agent,
        Err(refused) => return refused.answer(&peer),
    };
    if !agents.tunnels.takes_offers(&id, &name) {
        return AgentRefused::Tunnel.of(Some(id)).answer(&peer);
    }
    let raw = has_token(request.headers(), &header::UPGRADE, UPGRADE_TOKEN)
        && has_token(request.headers(), &header::CONNECTION, "upgrade");
    let response = if raw {
        Some(switching(UPGRADE_TOKEN, None))
    } else {
        websocket_response(request.headers())
    };
    let Some(response) = response else {
        return AgentRefused::NoUpgrade.of(Some(id)).answer(&peer);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let tunnels = agents.tunnels.clone();
    agents.tunnels.spawn(async move {
        let Some((tls, read)) = upgraded(upgrade).await else {
            return;
        };
        let stream = if raw {
            if !read.is_empty() {
                warn!(workspace = %id, "an agent spoke before it was asked");
                return;
            }
            Stream::Tls(Box::new(tls))
        } else {
            WebSocketBytes::new(tls, read, Side::Server).await.into()
        };
        if let Err(error) = tunnels.offer(&id, &name, stream) {
            debug!(workspace = %id, %error, "an offered connection came too late");
        }
    });
    response
}

impl Agents {
    /// Returns the workspace and the tunnel's name of an agent that may dial in.
    async fn check(
        &self,
        peer: &PeerInfo,
        headers: &HeaderMap,
    ) -> Result<(WorkspaceId, String), Refused> {
        let agent = self.authority.agent_of(&peer.certificates);
        let id = agent.map_err(|unknown| AgentRefused::from(unknown).of(None))?;
        let id: WorkspaceId = id.parse().map_err(|_| AgentRefused::Workspace.of(None))?;
        let refused = |why: AgentRefused| Err(why.of(Some(id.clone())));
        if !peer.tls13 {
            return refused(AgentRefused::OldTls);
        }
        match (self.accepts)(id.clone()).await {
            Admission::Expected => {}
            Admission::Unexpected => return refused(AgentRefused::Workspace),
            Admission::Later => return refused(AgentRefused::ShuttingDown),
        }
        let name = headers.get(TUNNEL_HEADER).map(HeaderValue::to_str);
        match name {
            Some(Ok(name)) if (1..=MAX_TUNNEL_NAME).contains(&name.len()) => {
                Ok((id, name.to_owned()))
            }
            _ => refused(AgentRefused::Name),
        }
    }
}

/// Returns the connection beneath an upgrade, and what was read of it already.
async fn upgraded(upgrade: OnUpgrade) -> Option<(Tls, Vec<u8>)> {
    let upgraded: Upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            debug!(%error, "an upgrade failed");
            return None;
        }
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<Counted<server::TlsStream<Transport>>>>() else {
        warn!("an agent's connection isn't TLS beneath");
        return None;
    };
    let tls = parts.io.into_inner().into_inner();
    Some((tls.into(), parts.read_buf.to_vec()))
}

/// Returns the answer to a WebSocket's opening handshake (RFC 6455 §4.2.2), or
/// `None` where it is none.
pub(super) fn websocket_response(headers: &HeaderMap) -> Option<Response> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION)?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    let asked = has_token(headers, &header::UPGRADE, "websocket")
        && has_token(headers, &header::CONNECTION, "upgrade")
        && version == "13";
    asked.then(|| switching("websocket", Some(&websocket::accept_key(key.as_bytes()))))
}

fn switching(protocol: &'static str, accept: Option<&str>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
    if let Some(Ok(accept)) = accept.map(HeaderValue::from_str) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}
