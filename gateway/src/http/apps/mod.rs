//! The web applications and the editor of workspaces, each under its own address.
//!
//! An application is at `PORT--WORKSPACE--OWNER.DOMAIN`, the editor at
//! `editor--WORKSPACE--OWNER.DOMAIN`, or by the workspace's id where its names are too long
//! for that ([`host`]); where there are no such hosts, below the dashboard ([`path`]). Who
//! may open one, `identity` decides ([`Door`]); who comes is known by a cookie for that one
//! host ([`seal`]), which the browser gets by way of the dashboard ([`entry`]), or by an
//! API token.
//!
//! Invariants: an application never sees the gateway's own cookies and tokens, nor sets
//! a cookie for another host; a request that another site's page caused reaches no
//! application that isn't public.
//!
//! [`Door`]: crate::identity::Door

mod access;
mod carry;
mod codes;
mod entry;
mod host;
mod lookup;
mod page;
mod path;
mod refused;
mod seal;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, Method, Request, header};
use tokio_util::sync::CancellationToken;

use crate::http::harden::strict_transport;
use crate::http::proxy::{Client, Cut, Proxy};
use crate::http::site::{NoHost, RequestSite, Site};
use crate::http::{PeerInfo, health};
use crate::identity::{Identity, Pass, Sessions, WorkspaceRef};
use crate::workspaces::Workspaces;
use access::Reader;
use carry::{Errand, Way};
use codes::Codes;
use lookup::{Doors, Visitor, Visitors};

pub use host::{InvalidPlace, Opens, Place, address};
pub(crate) use refused::AppRefused;
pub use seal::Seal;

/// Name of the cookie by which an application host knows who comes, over HTTPS.
const COOKIE: &str = "__Host-devgate-app";

/// The same over plain HTTP.
const PLAIN_COOKIE: &str = "devgate-app";

/// Name of the cookie that ties the way back from the dashboard to the browser that
/// was sent there.
const STATE_COOKIE: &str = "__Host-devgate-app-state";

/// The same over plain HTTP.
const PLAIN_STATE_COOKIE: &str = "devgate-app-state";

/// The folder of an application's host that is the gateway's.
const RESERVED: &str = "/.devgate/";

/// Web applications and editors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Apps(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    site: Site,
    sessions: Sessions,
    identity: Identity,
    workspaces: Workspaces,
    proxy: Proxy,
    seal: Seal,
    codes: Codes,
    doors: Doors,
    visitors: Visitors,
}

/// What came of a request.
#[derive(Debug)]
pub enum Routed {
    /// It was for an application.
    Answered(Response),
    /// It is for the dashboard, with what its answer must say of the site.
    Other(Request<Body>, Option<HeaderValue>),
}

/// What applications need.
#[derive(Debug)]
pub struct Parts {
    /// The site's addresses.
    pub site: Site,
    /// Who calls.
    pub sessions: Sessions,
    /// Who may open what.
    pub identity: Identity,
    /// The workspaces.
    pub workspaces: Workspaces,
    /// What carries the requests.
    pub proxy: Proxy,
    /// What seals the cookies.
    pub seal: Seal,
}

impl Apps {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            site: parts.site,
            sessions: parts.sessions,
            identity: parts.identity,
            workspaces: parts.workspaces,
            proxy: parts.proxy,
            seal: parts.seal,
            codes: Codes::default(),
            doors: Doors::default(),
            visitors: Visitors::default(),
        }))
    }

    /// Ends what was opened by shares that ended, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let inner = &self.0;
        tokio::select! {
            () = stop.cancelled() => {}
            () = inner.doors.watch(&inner.identity) => {}
        }
    }

    /// Answers a request that is for an application. `peer` is the other end of its
    /// connection.
    pub async fn route(&self, peer: IpAddr, mut request: Request<Body>) -> Routed {
        let settled = settle_host(&mut request);
        let asked = settled.and_then(|()| self.0.site.request(peer, request.headers()));
        let asked = match asked {
            Ok(asked) => asked,
            // Those who only ask whether it lives may speak HTTP/1.0, without a host.
            Err(NoHost) if health::is_asked_for(request.uri()) => {
                return Routed::Other(request, None);
            }
            Err(NoHost) => {
                return Routed::Answered(self.refuse(&AppRefused::Hosts, &request));
            }
        };
        if let Some(label) = self.0.site.label(&asked.host) {
            let answer = match label.parse() {
                Ok(place) => self.at_host(&place, &asked, request).await,
                Err(InvalidPlace) => self.refuse(&AppRefused::NoApplication, &request),
            };
            return Routed::Answered(answer);
        }
        if request.uri().path().starts_with(path::START) && self.0.site.is_dashboard(&asked.host) {
            return Routed::Answered(self.at_path(&asked, request).await);
        }
        let strict = strict_transport(&self.0.site, &asked);
        Routed::Other(request, strict)
    }

    /// Returns where a request that came without TLS finds the same with it; `None` where
    /// its host isn't one of ours.
    pub(super) fn over_tls(&self, peer: IpAddr, mut request: Request<Body>) -> Option<String> {
        // A proxy in front would send its client around in a circle.
        let forwarded = ["forwarded", "x-forwarded-proto", "x-forwarded-for"];
        if forwarded
            .iter()
            .any(|it| request.headers().contains_key(*it))
        {
            return None;
        }
        settle_host(&mut request).ok()?;
        let asked = self.0.site.request(peer, request.headers()).ok()?;
        let ours = match self.0.site.label(&asked.host) {
            Some(label) => label.parse::<Place>().is_ok(),
            None => self.0.site.is_dashboard(&asked.host),
        };
        let target = request.uri().path_and_query()?.as_str();
        let ours = ours && target.starts_with('/');
        ours.then(|| format!("{}{target}", asked.origin()))
    }

    /// Returns what reaches an agent for the API beside applications.
    pub fn proxy(&self) -> &Proxy {
        &self.0.proxy
    }

    /// Answers a request to an application's own host.
    async fn at_host(
        &self,
        place: &Place,
        asked: &RequestSite,
        request: Request<Body>,
    ) -> Response {
        let wants_page = access::wants_page(&request);
        let reader = Reader::of(&request);
        let refuse = |refused: &AppRefused| self.refused(refused, reader, Some(&place.workspace));
        if request.uri().path().starts_with(RESERVED) {
            return match self.reserved(place, asked, &request) {
                Ok(response) => response,
                Err(refused) => refuse(&refused),
            };
        }
        let (opened, visitor) = tokio::join!(
            self.0.doors.find(&self.0, place),
            self.0.visitors.find(&self.0, asked, request.headers()),
        );
        let (opened, visitor) = match (opened, visitor) {
            (Ok(opened), Ok(visitor)) => (opened, visitor),
            (Err(refused), _) | (_, Err(refused)) => return refuse(&refused),
        };
        let allowed = access::allow(
            &self.0.site,
            place,
            opened.as_deref(),
            visitor.as_deref(),
            &request,
        );
        let (opened, pass, ask) = match (allowed, &opened) {
            (Ok(access::Allowed { pass, ask }), Some(opened)) => (opened, pass, ask),
            (Ok(_), None) => return refuse(&AppRefused::NoApplication),
            (Err(AppRefused::SignInNeeded), _) if wants_page => {
                return self.send_to_sign_in(place, asked, &request);
            }
            (Err(refused), _) => return refuse(&refused),
        };
        let cut = self.cut(place, &pass, visitor.as_deref());
        let client = client(asked, None);
        let renewed = visitor
            .as_deref()
            .and_then(|visitor| self.renewed(place, asked, visitor));
        let errand = Errand {
            place,
            opened,
            pass,
            cut,
            client,
            way: Way::Host,
            ask,
            wants_page,
        };
        match self.carry(errand, request).await {
            Ok(mut response) => {
                if let Some(cookie) = renewed {
                    entry::renew(&mut response, cookie);
                }
                response
            }
            Err(refused) => {
                let workspace = WorkspaceRef::by_name(opened.door.workspace());
                self.refused(&refused, reader, Some(&workspace))
            }
        }
    }

    /// Returns what ends a visit: the end of the login, or of the share.
    fn cut(&self, place: &Place, pass: &Pass, visitor: Option<&Visitor>) -> Cut {
        let mut cut = Cut {
            revoked: visitor.map(|visitor| visitor.ended.clone()),
            tenure: Some(self.0.workspaces.tenure(pass.workspace())),
            ..Cut::default()
        };
        self.0
            .doors
            .guard(place, pass, visitor.map(|visitor| &visitor.user), &mut cut);
        cut
    }

    fn refuse(&self, refused: &AppRefused, request: &Request<Body>) -> Response {
        self.refused(refused, Reader::of(request), None)
    }
}

/// Returns the routes of the dashboard's origin that lead into applications.
pub fn router(apps: Apps) -> Router {
    Router::new()
        .route(entry::AUTHORIZE, get(authorize))
        .with_state(apps)
}

async fn authorize(
    State(apps): State<Apps>,
    Extension(peer): Extension<PeerInfo>,
    request: Request<Body>,
) -> Response {
    match apps.0.site.request(peer.address.ip(), request.headers()) {
        Ok(asked) => apps.authorize(&asked, &request.map(|_| ())).await,
        Err(NoHost) => apps.refuse(&AppRefused::Hosts, &request),
    }
}

/// Makes `Host` what the request is for: a target in absolute form says it instead
/// (RFC 9112 §3.2.2), and two hosts are none.
fn settle_host(request: &mut Request<Body>) -> Result<(), NoHost> {
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return Err(NoHost);
    }
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    if request.method() == Method::CONNECT {
        return Ok(());
    }
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| NoHost)?;
    request.headers_mut().insert(header::HOST, host);
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(http::Uri::default, http::Uri::from);
    Ok(())
}

fn client(asked: &RequestSite, prefix: Option<HeaderValue>) -> Client {
    let authority = asked.origin().authority();
    Client {
        address: asked.client,
        scheme: asked.scheme.as_str(),
        // It was a host in a header before.
        host: HeaderValue::try_from(authority).unwrap_or(HeaderValue::from_static("localhost")),
        prefix,
    }
}

/// Whether a cookie is one of the gateway's own, however it is spelt: browsers take the
/// prefix in any case.
fn is_ours(name: &str) -> bool {
    [
        crate::identity::COOKIE,
        crate::identity::PLAIN_COOKIE,
        COOKIE,
        PLAIN_COOKIE,
        STATE_COOKIE,
        PLAIN_STATE_COOKIE,
    ]
    .iter()
    .any(|own| own.eq_ignore_ascii_case(name))
}
