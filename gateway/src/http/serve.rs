//! Accepts connections and serves HTTP/1.1 on them, over TLS or plain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{Instrument, debug, error, info_span, warn};

use super::apps::{Apps, Routed};
use super::counted::Counted;
use super::handshake::{log_refused, shake};
use super::harden::harden;
use super::heads::Seen;
use super::leftover;
use super::problem::RequestRefused;
use super::silence::{self, STALL};
use crate::config::Network;
use crate::startups::{Share, Startup, Startups};

/// Pause after an accept that failed, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Largest head of a request, and read buffer of a connection, in bytes.
pub(super) const MAX_HEAD: usize = 128 * 1024;

/// Most headers of a request.
const MAX_HEADERS: usize = 256;

/// What one listener puts up with.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest wait for a request's headers, from the first moment on.
    pub headers: Duration,
    /// Most connections whose TLS handshake isn't finished; beyond that the oldest of
    /// the address that has the most is cut.
    pub handshakes: usize,
    /// Most connections, also when they have become something else than HTTP; beyond
    /// that the oldest of the address that has the most is cut. Agents' aren't counted.
    pub connections: usize,
    /// Most connections of one address, an IPv6 network of 64 bits counting as one;
    /// beyond that its oldest is cut.
    pub each: usize,
    /// Addresses that may have all of the connections: the proxies in front.
    pub proxies: Arc<[Network]>,
    /// Longest time in which a peer takes nothing of what there is for it, or answers nothing
    /// when it is asked for a sign of life. Agents aren't meant: theirs wait for programs.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(10),
            handshakes: 256,
            connections: 8192,
            each: 2048,
            proxies: Arc::default(),
            stall: STALL,
        }
    }
}

/// How a listener speaks.
#[derive(Clone)]
pub enum Transport {
    /// TLS.
    Tls(Arc<ServerConfig>),
    /// Nothing below HTTP: a reverse proxy is in front.
    Plain,
}

impl From<Arc<ServerConfig>> for Transport {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::Tls(config)
    }
}

/// The other end of a request's connection; an extension of each request.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its address.
    pub address: SocketAddr,
    /// The client certificates that it showed, leaf first, verified; empty for most.
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// Whether the connection is TLS 1.3.
    pub tls13: bool,
}

/// What answers requests: the applications' hosts, and the routes for all else.
#[derive(Clone, Debug)]
pub struct Routes {
    router: Router,
    apps: Option<Apps>,
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        let apps = None;
        Self { router, apps }
    }
}

impl Routes {
    /// Answers what is for an application by `apps`.
    #[must_use]
    pub fn with_apps(self, apps: Apps) -> Self {
        let apps = Some(apps);
        Self { apps, ..self }
    }

    async fn answer(self, peer: PeerInfo, seen: Seen, request: Request<Incoming>) -> Response {
        // hyper drops a Content-Length beside it. Where a proxy in front believed that one,
        // what follows is a request that somebody smuggled in: it is never read
        // (RFC 9112 §6.1).
        let encoded = request.headers().contains_key(header::TRANSFER_ENCODING);
        let refused = encoded && seen.two_lengths();
        let find = |request| async move {
            if refused {
                let mut refused = RequestRefused::TwoLengths.into_response();
                harden(refused.headers_mut(), None);
                return refused;
            }
            self.find(peer, request).await
        };
        let mut response = leftover::read_first(request.map(Body::new), find).await;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            seen.end();
        } else if encoded {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    async fn find(self, peer: PeerInfo, request: Request<Body>) -> Response {
        let Some(apps) = &self.apps else {
            return self.route(peer, request).await;
        };
        let (request, strict) = match apps.route(peer.address.ip(), request).await {
            Routed::Answered(response) => return response,
            Routed::Other(request, strict) => (request, strict),
        };
        let mut response = self.route(peer, request).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            harden(response.headers_mut(), strict);
        }
        response
    }

    async fn route(self, peer: PeerInfo, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(peer);
        self.router
            .oneshot(request)
            .await
            .unwrap_or_else(|e| match e {})
    }
}

/// Serves `routes` on `listener` until `stop`, then lets the requests that are
/// under way finish. Dropping the future ends all connections at once, but for
/// those that were upgraded.
pub async fn serve(
    listener: TcpListener,
    transport: impl Into<Transport>,
    routes: impl Into<Routes>,
    limits: Limits,
    stop: CancellationToken,
) {
    let routes = routes.into();
    let acceptor = match transport.into() {
        Transport::Tls(config) => Some(TlsAcceptor::from(config)),
        Transport::Plain => None,
    };
    let handshakes = Startups::new("TLS handshake", limits.handshakes);
    let share = Share {
        each: limits.each,
        exempt: Arc::clone(&limits.proxies),
    };
    let open = Startups::with_share("HTTP", limits.connections, share);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let cut = CancellationToken::new();
                    let (early, late) = (cut.clone(), cut.clone());
                    let client = address.ip().to_canonical();
                    let handshake = handshakes.begin(client, move || early.cancel());
                    let place = open.begin(client, move || late.cancel());
                    let connection = Connection {
                        stream,
                        address,
                        acceptor: acceptor.clone(),
                        routes: routes.clone(),
                        limits: limits.clone(),
                        stop: stop.clone(),
                        place,
                        cut,
                    };
                    let span = info_span!("http-connection", peer = %address);
                    let run = connection.run(handshake);
                    connections.spawn(run.instrument(span));
                }
                Err(error) => {
                    warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "the task of a connection panicked");
    }
}

struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    /// Absent where the listener is plain.
    acceptor: Option<TlsAcceptor>,
    routes: Routes,
    limits: Limits,
    stop: CancellationToken,
    /// Its place among all, and what is cancelled to make room.
    place: Startup,
    cut: CancellationToken,
}

impl Connection {
    /// Runs it to its end. It may be cut for want of room: at once until its `handshake`
    /// is done.
    async fn run(self, handshake: Startup) {
        let Self {
            stream,
            address,
            acceptor,
            routes,
            limits,
            stop,
            place,
            cut,
        } = self;
        if let Err(error) = silence::bound(&stream, limits.stall) {
            debug!(%error, "a socket refused its options");
        }
        let Some(acceptor) = acceptor else {
            drop(handshake);
            let peer = PeerInfo {
                address,
                certificates: Arc::default(),
                tls13: false,
            };
            let counted = Counted::new(stream, place, cut.clone());
            tokio::select! {
                () = speak(counted, peer, routes, limits.headers, stop) => {}
                () = cut.cancelled() => {}
            }
            return;
        };
        let from = (address.ip(), routes.apps.as_ref());
        let shaking = shake(&acceptor, stream, from, &limits);
        let shaken = tokio::select! {
            shaken = timeout(limits.handshake, shaking) => shaken,
            () = stop.cancelled() => return,
            () = cut.cancelled() => return,
        };
        drop(handshake);
        let tls = match shaken {
            Ok(Ok(Some(tls))) => tls,
            // It spoke plain HTTP.
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return log_refused(&error),
            Err(_) => {
                debug!("a TLS handshake took too long");
                return;
            }
        };
        let peer = PeerInfo {
            address,
            certificates: tls
                .get_ref()
                .1
                .peer_certificates()
                .unwrap_or_default()
                .into(),
            tls13: tls.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3),
        };
        let counted = if peer.certificates.is_empty() {
            Counted::new(tls, place, cut.clone())
        } else {
            // An agent, whose certificate was verified.
            drop(place);
            if let Err(error) = silence::bear(tls.get_ref().0) {
                debug!(%error, "an agent's socket refused an option");
            }
            Counted::free(tls)
        };
        let agent = !peer.certificates.is_empty();
        tokio::select! {
            () = speak(counted, peer, routes, limits.headers, stop) => {}
            () = cut.cancelled(), if !agent => {}
        }
    }
}

/// Speaks HTTP on a connection, to its end or until it is upgraded.
async fn speak(
    stream: Counted<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    peer: PeerInfo,
    routes: Routes,
    headers: Duration,
    stop: CancellationToken,
) {
    let seen = stream.seen();
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = routes.clone().answer(peer.clone(), seen.clone(), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an HTTP connection broke");
    }
}
