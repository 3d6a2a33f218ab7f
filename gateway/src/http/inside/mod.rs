//! What of the API a workspace's own agent answers: its terminals, files ([`files`]),
//! processes, watches and repositories, its statistics, its editor, and the ports that
//! something listens on ([`ports`]); and connections to what listens there ([`forward`]).
//!
//! `/api/v1/workspaces/{id}/terminals/…` goes to the agent as `/terminals/…`, with its
//! body, as a WebSocket where it asks for one, and without the caller's credentials.

mod files;
mod forward;
mod harden;
mod origin;
mod patience;
mod ports;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use devgate_protocol::{Open, Stream};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::leftover::AllowedNoMore;
use super::live::Live;
use super::problem::Problem;
use super::proxy::{AtStop, Client, Cut, Proxy, ProxyError, Target, Upstream};
use super::serve::PeerInfo;
use super::site::{NoHost, RequestSite, Site};
use crate::identity::{Caller, Grant, Identity, Scope, Sessions, Via};
use crate::names::WorkspaceId;
use crate::store::Store;
use crate::workspaces::{OpenError, Wake, Workspaces};
use harden::harden;
use origin::{acts, is_foreign};
use patience::patient;

/// Where these addresses begin.
const PREFIX: &str = "/api/v1/workspaces/";

/// Where an agent runs a process for as long as a WebSocket lasts.
const RUN: &str = "/processes/run";

/// What the addresses need.
#[derive(Clone, Debug)]
pub struct Inside {
    /// The site's addresses.
    pub site: Site,
    /// Who calls.
    pub sessions: Sessions,
    /// Who may enter what.
    pub identity: Identity,
    /// The records.
    pub store: Store,
    /// The workspaces.
    pub workspaces: Workspaces,
    /// What carries the requests.
    pub proxy: Proxy,
    /// Ports that are followed.
    pub live: Live,
}

/// Why the agent isn't asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InsideRefused {
    #[error(
        "nobody is signed in: sign in at the dashboard, or send `Authorization: Bearer` with an \
         API token"
    )]
    SignedOut,
    #[error("this takes a token with the scope 'write': make one at the dashboard")]
    ScopeTooSmall,
    #[error("this request comes from another origin than the dashboard's, {0}")]
    ForeignOrigin(String),
    #[error(transparent)]
    Hosts(NoHost),
    #[error("the workspace's agent does not answer: see its log, or restart the workspace")]
    Late,
    #[error(
        "the connection to the workspace's agent broke before it answered: look whether the \
         request was carried out, and send it again"
    )]
    Broken(#[source] hyper::Error),
    #[error("nothing of the request came for a minute: send it again, or the rest of it")]
    Stalled,
    #[error("there is no such workspace of yours: the list of workspaces shows what there is")]
    NoWorkspace,
    #[error("this address is a WebSocket: `devgate port-forward WORKSPACE PORT` opens it")]
    NoUpgrade,
    #[error("this is no host: give a name or an address of at most {MAX_HOST} bytes")]
    BadHost,
}

/// Longest name of a host, in bytes (RFC 1035 §2.3.4).
const MAX_HOST: usize = 255;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    /// It looks, unless it is a POST: a page does by itself, for as long as it is open.
    Look,
    /// A program works with what is in the workspace: that wakes it, and keeps it awake.
    Work,
    /// It is told what there is and says nothing, over a WebSocket neither.
    Listen,
}

/// Returns the routes, to be merged with others.
pub fn router(inside: Inside) -> Router {
    let mut router = Router::new()
        .route("/api/v1/workspaces/{id}/ports", get(ports::list))
        .route("/api/v1/workspaces/{id}/forward", get(forward::open));
    for (path, methods) in [
        ("terminals", get(pass).post(pass)),
        ("terminals/{rest}", get(pass).delete(pass)),
        ("terminals/{rest}/attach", get(pass)),
        ("editor", get(pass)),
        ("editor/log", get(pass)),
        ("editor/start", post(pass)),
        ("editor/stop", post(pass)),
        ("editor/restart", post(pass)),
        ("statistics", get(pass)),
        ("health", get(pass)),
        ("processes", get(pass).post(pass)),
        ("processes/run", get(pass)),
        ("processes/{rest}", get(pass).delete(pass)),
        ("processes/{rest}/attach", get(pass)),
        ("processes/{rest}/output", get(pass)),
        ("processes/{rest}/input", post(pass)),
        ("processes/{rest}/signal", post(pass)),
        ("processes/{rest}/resize", post(pass)),
        ("watch", get(listen)),
        ("watches", get(pass).post(pass)),
        ("watches/{rest}", get(pass).delete(pass)),
        ("watches/{rest}/events", get(listen)),
        ("git/status", get(work)),
        ("git/clone", post(pass)),
    ] {
        router = router.route(&format!("/api/v1/workspaces/{{id}}/{path}"), methods);
    }
    for (path, methods) in files::routes() {
        router = router.route(&format!("/api/v1/workspaces/{{id}}/{path}"), methods);
    }
    router
        .method_not_allowed_fallback(async || super::problem::RequestRefused::NoMethod)
        .with_state(Arc::new(inside))
}

async fn pass(
    state: State<Arc<Inside>>,
    peer: Extension<PeerInfo>,
    request: Request,
) -> Result<Response, Problem> {
    hand_on(state, peer, request, Errand::Look).await
}

async fn work(
    state: State<Arc<Inside>>,
    peer: Extension<PeerInfo>,
    request: Request,
) -> Result<Response, Problem> {
    hand_on(state, peer, request, Errand::Work).await
}

async fn listen(
    state: State<Arc<Inside>>,
    peer: Extension<PeerInfo>,
    request: Request,
) -> Result<Response, Problem> {
    hand_on(state, peer, request, Errand::Listen).await
}

async fn hand_on(
    State(inside): State<Arc<Inside>>,
    Extension(peer): Extension<PeerInfo>,
    request: Request,
    errand: Errand,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (caller, asked) = inside.caller(peer.address.ip(), &head, errand).await?;
    let (body, late) = patient(body);
    let mut request = Request::from_parts(head, body);
    let (id, target) = split(request.uri());
    let grant = inside.grant(&caller, id).await?;
    let target = Uri::try_from(target).map_err(|_| InsideRefused::NoWorkspace)?;
    if percent_decode_str(target.path()).decode_utf8().is_err() {
        return Err(super::problem::RequestRefused::NoRoute.into());
    }
    *request.uri_mut() = target;
    let headers = request.headers_mut();
    headers.remove(header::COOKIE);
    headers.remove(header::AUTHORIZATION);
    confine(headers, &caller)?;
    let cut = Cut {
        revoked: Some(inside.sessions.revoked(&caller.via)),
        tenure: Some(inside.workspaces.tenure(grant.workspace())),
        at_stop: at_stop(request.uri().path()),
        ..Cut::default()
    };
    let is_head = request.method() == Method::HEAD;
    let ends = cut.clone();
    let answered = inside.ask(&grant, asked.client, request, cut, errand).await;
    if late.is() {
        return Err(InsideRefused::Stalled.into());
    }
    let mut response = match answered {
        Err(refused) if ends.is_due() => {
            // Who goes on sending keeps nothing open by that.
            let mut response = refused.into_response();
            response.extensions_mut().insert(AllowedNoMore);
            return Ok(response);
        }
        answered => answered?,
    };
    if is_head && !response.headers().contains_key(header::CONTENT_LENGTH) {
        // Nothing is there, and its length would be said to be the content's (RFC 9110 §8.6).
        *response.body_mut() = Body::from_stream(futures_util::stream::empty::<NoPart>());
    }
    harden(&mut response);
    Ok(response)
}

/// A part of a body that has none.
type NoPart = Result<bytes::Bytes, std::convert::Infallible>;

/// Tells what becomes of a WebSocket once the gateway is to end. A process may finish what it
/// does; terminals and whatever else is followed come back by themselves.
fn at_stop(path: &str) -> AtStop {
    if path.starts_with("/processes/") {
        AtStop::GoesOn
    } else {
        AtStop::Ends
    }
}

/// Splits an address below a workspace's into the workspace's id, as it is written, and what the
/// agent knows it as.
fn split(uri: &Uri) -> (&str, &str) {
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = whole.strip_prefix(PREFIX).unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    rest.split_at_checked(end).unwrap_or_default()
}

/// Header that tells the agent beneath which folder all files lie that a request reaches:
/// an absolute path, or one from the home, percent-encoded. Clients can't set it.
const CONFINED_TO: HeaderName = HeaderName::from_static("devgate-confined-to");

/// Has the agent keep a request within the folder that the caller's token is narrowed to.
fn confine(headers: &mut HeaderMap, caller: &Caller) -> Result<(), InsideRefused> {
    headers.remove(CONFINED_TO);
    let narrowed = caller.narrowed_to.as_ref();
    if let Some(folder) = narrowed.and_then(|narrowed| narrowed.folder.as_deref()) {
        let folder = utf8_percent_encode(folder, NON_ALPHANUMERIC).to_string();
        // A path of 4096 bytes fits a header.
        let folder = HeaderValue::try_from(folder).map_err(|_| InsideRefused::NoWorkspace)?;
        headers.insert(CONFINED_TO, folder);
    }
    Ok(())
}

impl Inside {
    /// Tells who calls, and whether they may ask for this: with a cookie from the
    /// dashboard's own pages, with a token whose scope allows it.
    async fn caller(
        &self,
        peer: IpAddr,
        head: &Parts,
        errand: Errand,
    ) -> Result<(Caller, RequestSite), Problem> {
        let headers = &head.headers;
        let asked = self.site.request(peer, headers);
        let asked = asked.map_err(InsideRefused::Hosts)?;
        if !self.site.is_dashboard(&asked.host) {
            return Err(super::problem::RequestRefused::NoRoute.into());
        }
        let caller = self
            .sessions
            .caller(headers, asked.cookies, asked.client)
            .await?;
        let caller = caller.ok_or(InsideRefused::SignedOut)?;
        let own = [self.site.dashboard().clone(), asked.origin()];
        match caller.via {
            Via::Login(_) if is_foreign(&own, head, errand) => {
                let own = self.site.dashboard().to_string();
                return Err(InsideRefused::ForeignOrigin(own).into());
            }
            Via::Token(_)
                if errand != Errand::Listen && acts(head) && caller.scope < Scope::Write =>
            {
                return Err(InsideRefused::ScopeTooSmall.into());
            }
            Via::Login(_) | Via::Token(_) => {}
        }
        if let Some(narrowed) = &caller.narrowed_to {
            super::api::permits(narrowed, head)?;
        }
        Ok((caller, asked))
    }

    async fn grant(&self, caller: &Caller, id: &str) -> Result<Grant, Problem> {
        let id: WorkspaceId = id.parse().map_err(|_| InsideRefused::NoWorkspace)?;
        Ok(self.identity.authorize_id(&caller.user, &id).await?)
    }

    fn agent(&self, grant: &Grant) -> Arc<Upstream> {
        let id = &grant.workspace().id;
        let upstream = self.proxy.pools().upstream(id, &Target::Agent);
        if !self.workspaces.is_running(id) {
            upstream.forget();
        }
        upstream
    }

    /// Has the agent of a workspace answer a request. It starts no workspace that a
    /// person stopped; what only looks, or looks at a terminal again, wakes none. A WebSocket
    /// that runs a process is like a POST.
    ///
    /// What is typed into a terminal the agent counts: it knows it from what a terminal
    /// says by itself.
    async fn ask(
        &self,
        grant: &Grant,
        client: IpAddr,
        request: http::Request<Body>,
        cut: Cut,
        errand: Errand,
    ) -> Result<Response, Problem> {
        let client = Client {
            address: client,
            scheme: "http",
            host: HeaderValue::from_static("agent"),
            prefix: None,
        };
        let starts = request.method() == Method::POST || request.uri().path() == RUN;
        let wake = if errand == Errand::Work || starts {
            if let Some(activity) = self.workspaces.activity(&grant.workspace().id) {
                activity.used();
            }
            Wake::Background
        } else {
            Wake::Again
        };
        let open = || self.open(grant, wake);
        let upstream = self.agent(grant);
        let ends = cut.clone();
        let forwarded = self
            .proxy
            .forward(&upstream, request, &client, (cut, None), open)
            .await;
        forwarded.map_err(|error| match error {
            ProxyError::Broken(error) => InsideRefused::Broken(error).into(),
            // The caller is known still, and the workspace is somebody else's.
            ProxyError::Cut if ends.is_by_tenure() => InsideRefused::NoWorkspace.into(),
            other => other.into(),
        })
    }

    async fn open(&self, grant: &Grant, wake: Wake) -> Result<Stream, OpenError> {
        let opened = self.workspaces.open(grant, &Open::Http, wake).await;
        opened.map(|(stream, _)| stream)
    }
}
