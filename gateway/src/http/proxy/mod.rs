//! Carries HTTP requests to what serves inside a workspace, and its answers back.
//!
//! A request goes over a stream to the workspace's agent, with hyper's client on top.
//! Bodies are handed on as they come, never gathered; each side's pace holds back the
//! other. Connections are kept for the next request ([`Upstream`]).
//!
//! A connection is driven by the task that uses it, which is the task of the client's
//! connection: a request wakes no other task. The exceptions are an answer that comes
//! before its request has been read, where both must go on independently, and
//! connections that were upgraded ([`splice`]).

mod body;
mod client;
mod connection;
mod cookies;
mod cut;
mod error;
mod expected;
mod goodbye;
mod headers;
mod one_sided;
mod pool;
mod splice;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use devgate_protocol::Stream;
use http::{HeaderValue, Method, Request, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug;

use crate::activity::Visit;
use crate::workspaces::OpenError;
pub(crate) use body::gather;
use body::{Progress, RequestBody, ResponseBody};
use connection::{Connection, Failed};
use expected::Asked;

pub use client::Client;
pub(crate) use cookies::{is_below, keep_to_host, keep_to_path, strip_cookies};
pub use cut::{AtStop, Cut};
pub use error::ProxyError;
pub(crate) use goodbye::GATEWAY_ENDS;
use goodbye::Goodbye;
pub(crate) use headers::has_token;
pub(super) use headers::media_type;
pub use pool::{Pools, Target, Upstream};

/// Connections that are tried for one request.
const ATTEMPTS: usize = 3;

/// How long a client has to hear that the gateway ends.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The proxy. Clones share the connections that are kept.
#[derive(Clone, Debug)]
pub struct Proxy {
    pools: Pools,
    /// Runs what outlives its request: upgraded connections.
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends what went on after `stop`.
    end: CancellationToken,
    /// How long an application has to ask for a body that is held back.
    patience: Duration,
    /// Its name in requests that it has sent on; of this process alone.
    id: HeaderValue,
}

impl Proxy {
    /// Returns a proxy without connections. At `stop` upgraded ones are closed, but for those
    /// that may go on ([`AtStop`]), and events that are followed end; other answers go on.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            pools: Pools::default(),
            tasks: TaskTracker::new(),
            stop,
            end: CancellationToken::new(),
            patience: expected::PATIENCE,
            // Hexadecimal digits are visible characters.
            id: HeaderValue::try_from(format!("devgate-{:016x}", rand::random::<u64>()))
                .unwrap_or(HeaderValue::from_static("devgate")),
        }
    }

    /// Gives an application so long to ask for a body that its client holds back.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the connections that are kept.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Closes idle connections that aged, until `stop`, then waits for what was
    /// upgraded.
    pub async fn run(self) {
        self.pools.tidy_until(&self.stop).await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends upgraded connections that went on after the stop; returns once their clients were
    /// told so, or had time to hear it.
    pub async fn end(&self) {
        self.end.cancel();
        self.tasks.close();
        // What takes longer isn't waited for.
        let _ = timeout(2 * GOODBYE_TIMEOUT, self.tasks.wait()).await;
    }

    /// Counts a connection that is about to be upgraded, until it is joined: the gateway's end
    /// waits for it.
    ///
    /// # Errors
    /// Where the gateway is to end already.
    pub fn admit(&self) -> Result<TaskTrackerToken, OpenError> {
        let admitted = self.tasks.token();
        if self.stop.is_cancelled() {
            return Err(OpenError::ShuttingDown);
        }
        Ok(admitted)
    }

    /// Sends a request to `upstream` and returns its answer as it begins. The
    /// request has its target in origin form; the application is told that `client`
    /// asks; `open` opens a stream where none is kept. What flows in after an upgrade
    /// counts as `visit`.
    ///
    /// Dropping the future, or the answer's body, ends the exchange.
    pub async fn forward<F>(
        &self,
        upstream: &Arc<Upstream>,
        mut request: Request<Body>,
        client: &Client,
        (cut, visit): (Cut, Option<Visit>),
        open: impl Fn() -> F,
    ) -> Result<Response, ProxyError>
    where
        F: Future<Output = Result<Stream, OpenError>>,
    {
        let upgrade = headers::prepare(&mut request)?;
        let _admitted = upgrade.as_ref().map(|_| self.admit()).transpose()?;
        headers::mark(request.headers_mut(), &self.id)?;
        client.announce(request.headers_mut());
        let switching = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        *request.version_mut() = Version::HTTP_11;
        let expected = request.headers().contains_key(header::EXPECT);
        let asked = expected.then(Asked::default);
        if let Some(asked) = &asked {
            asked.listen(&mut request);
        }
        let asked = asked.map(|asked| (asked, self.patience));
        let (body, progress) = RequestBody::track(std::mem::take(request.body_mut()), asked);
        let mut request = request.map(|_| body);
        let repeat = Repeat::of(&request);
        let mut attempt = 0;
        let answered = async {
            loop {
                attempt += 1;
                let connection = if attempt < ATTEMPTS {
                    match repeat {
                        Repeat::Safely => upstream.take().await,
                        Repeat::Unsent => upstream.take_sure().await,
                    }
                } else {
                    None
                };
                let (connection, kept) = match connection {
                    Some(kept) => (kept, true),
                    None => (Connection::open(open().await?).await?, false),
                };
                let spare = if kept { repeat.copy(&request) } else { None };
                match connection.exchange(request).await {
                    Ok(answered) => return Ok(answered),
                    Err(Failed {
                        error,
                        request: unsent,
                    }) => {
                        // A server may close a connection that it kept at any moment.
                        match unsent.or(spare) {
                            Some(again) if kept && attempt < ATTEMPTS => request = again,
                            _ => return Err(ProxyError::from(error)),
                        }
                    }
                }
            }
        };
        // First, so that nothing is sent of what isn't allowed any more.
        let (mut response, connection) = tokio::select! {
            biased;
            () = cut.clone().due() => return Err(ProxyError::Cut),
            answered = answered => answered?,
        };
        *response.version_mut() = Version::HTTP_11;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(client), Some(asked)) = (switching, upgrade) else {
                return Err(ProxyError::Unasked);
            };
            return Ok(self.switch(response, connection, client, &asked, (cut, visit)));
        }
        headers::strip_response(response.headers_mut());
        // Events would hold up the gateway's end, and come again by themselves.
        let end = headers::are_events(response.headers()).then(|| self.stop.clone());
        let (connection, over) = if progress.is_complete() {
            (Some(connection), None)
        } else {
            let status = response.status();
            let asked = progress
                .held_back()
                .filter(|_| status.is_success())
                .cloned();
            let over = self.finish(connection, progress, (status, end.as_ref()));
            if let Some(asked) = asked {
                asked.has_begun().await;
            }
            (None, over)
        };
        let upstream = Arc::clone(upstream);
        Ok(response.map(|incoming| {
            let ends = (end, over);
            Body::new(ResponseBody::new(
                incoming,
                connection,
                upstream,
                (cut, visit),
                ends,
            ))
        }))
    }

    /// Drives a connection that answered before it took all of the request: the answer must
    /// not hold up what it doesn't wait for. Returns what is to be held until the answer's end
    /// where nothing else tells the connection's.
    fn finish(
        &self,
        connection: Connection,
        progress: Progress,
        (status, end): (StatusCode, Option<&CancellationToken>),
    ) -> Option<DropGuard> {
        let end = end.map(CancellationToken::child_token).unwrap_or_default();
        if status.is_success()
            && let Some(asked) = progress.held_back()
        {
            // It takes the body while it answers: who doesn't want it says so by the status.
            asked.ask();
        }
        let over = progress.held_back().map(|_| end.clone().drop_guard());
        let refused = over.is_some();
        self.tasks.spawn(async move {
            end.run_until_cancelled(connection.finish()).await;
            if refused {
                // To look for the body before the answer is there would ask for it.
                end.cancelled().await;
            }
            // Were the client's connection closed while it still sends, the answer
            // would be lost.
            progress.discard_rest().await;
        });
        over
    }

    /// Joins both connections after an upgrade.
    fn switch(
        &self,
        response: http::Response<hyper::body::Incoming>,
        connection: Connection,
        client: OnUpgrade,
        asked: &HeaderValue,
        (cut, visit): (Cut, Option<Visit>),
    ) -> Response {
        let (mut head, _) = response.into_parts();
        let granted = head.headers.remove(header::UPGRADE);
        headers::strip_response(&mut head.headers);
        let granted = granted.unwrap_or_else(|| asked.clone());
        let is_websocket = granted.as_bytes().eq_ignore_ascii_case(b"websocket");
        head.headers.insert(header::UPGRADE, granted);
        let upgrade = HeaderValue::from_static("upgrade");
        head.headers.insert(header::CONNECTION, upgrade);
        let (stream, early) = connection.into_stream();
        let client = async { client.await.map(TokioIo::new) };
        if cut.at_stop == AtStop::GoesOn && is_websocket {
            let server = Goodbye::new(stream, &early, self.end.clone());
            self.join(client, (server, early), (cut, visit));
        } else {
            self.join(client, (stream, early), (cut, visit));
        }
        http::Response::from_parts(head, Body::empty())
    }

    /// Joins a client that is being upgraded with a server's side, until both have ended,
    /// `cut` or the gateway's end. `early` is what was read of the server already; what the
    /// client sends counts as `visit`.
    pub fn join<C>(
        &self,
        client: impl Future<Output = hyper::Result<C>> + Send + 'static,
        (server, early): (impl AsyncRead + AsyncWrite + Send + 'static, Bytes),
        (cut, visit): (Cut, Option<Visit>),
    ) where
        C: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (stop, end) = (self.stop.clone(), self.end.clone());
        let at_stop = cut.at_stop;
        let over = async move {
            match at_stop {
                AtStop::Ends => stop.cancelled().await,
                AtStop::GoesOn => {
                    end.cancelled().await;
                    sleep(GOODBYE_TIMEOUT).await;
                }
            }
        };
        self.tasks.spawn(async move {
            let join = async {
                match client.await {
                    Ok(client) => {
                        if let Err(error) = splice::splice(client, server, &early, visit).await {
                            debug!(%error, "an upgraded connection broke");
                        }
                    }
                    Err(error) => debug!(%error, "a client left before its upgrade"),
                }
            };
            tokio::select! {
                () = join => {}
                () = cut.due() => debug!("an upgraded connection was cut"),
                () = over => {}
            }
        });
    }
}

/// Whether a request may be sent again on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// It has no body and does the same twice (RFC 9110 §9.2.2).
    Safely,
    /// Only where nothing of it was sent.
    Unsent,
}

impl Repeat {
    fn of(request: &Request<RequestBody>) -> Self {
        let idempotent = matches!(
            *request.method(),
            Method::GET
                | Method::HEAD
                | Method::OPTIONS
                | Method::TRACE
                | Method::PUT
                | Method::DELETE
        );
        let upgrade = request.headers().contains_key(header::UPGRADE);
        if idempotent && !upgrade && request.body().is_empty() {
            Self::Safely
        } else {
            Self::Unsent
        }
    }

    fn copy(self, request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
        (self == Self::Safely).then(|| {
            let mut copy = Request::new(RequestBody::Empty);
            copy.method_mut().clone_from(request.method());
            copy.uri_mut().clone_from(request.uri());
            copy.headers_mut().clone_from(request.headers());
            copy
        })
    }
}
