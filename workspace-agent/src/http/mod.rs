//! The agent's own HTTP server: terminals, ports, statistics, the editor's state, the
//! start-up, files.
//!
//! It is spoken on streams that the gateway opens, and listens nowhere. Who may ask for
//! what, the gateway decides.

mod attach;
mod confined;
mod editor;
mod files;
mod git;
mod log;
mod ports;
mod problem;
mod processes;
mod refused;
mod run_output;
mod run_socket;
mod startup;
mod statistics;
mod terminals;
mod watches;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use devgate_protocol::{Answer, Stream, StreamError, handshake};
use futures_util::Stream as Events;
use futures_util::StreamExt;
use http::{HeaderMap, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tower::ServiceExt;
use tracing::debug;

use crate::agent::Agent;
use problem::{MostBody, Problem};
use refused::read_to_the_end;

/// Largest head of a request, and read buffer of a stream, in bytes.
const MAX_HEAD: usize = 256 * 1024;

/// Most headers of a request.
const MAX_HEADERS: usize = 100;

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Longest wait for a request; a stream without one is closed.
const IDLE: Duration = Duration::from_mins(5);

/// Distance of the signs of life on a stream of events.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Serves HTTP/1.1 on a stream, to its end or the agent's.
pub(crate) async fn serve(agent: &Arc<Agent>, mut stream: Stream) -> Result<(), StreamError> {
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    let router = router(agent);
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|e| match e {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let stopping = agent.stopping();
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(%error, "an HTTP stream broke");
    }
    Ok(())
}

fn router(agent: &Arc<Agent>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/terminals", get(terminals::list).post(terminals::start))
        .route(
            "/terminals/{id}",
            get(terminals::show).delete(terminals::end),
        )
        .route("/terminals/{id}/attach", get(attach::attach))
        .route("/ports", get(ports::list))
        .route("/statistics", get(statistics::report))
        .route("/editor", get(editor::show))
        .route("/editor/start", post(editor::start))
        .route("/editor/stop", post(editor::stop))
        .route("/editor/restart", post(editor::restart))
        .route("/editor/log", get(editor::log))
        .route("/startup", get(startup::show))
        .route("/startup/log", get(startup::log))
        .merge(processes::routes())
        .merge(watches::routes())
        .merge(git::routes())
        .merge(files::routes())
        .fallback(|| async { Problem::no_route() })
        .method_not_allowed_fallback(|| async { Problem::no_method() })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(Extension(MostBody(MAX_BODY)))
        .layer(from_fn(read_to_the_end))
        .with_state(Arc::clone(agent))
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
}

async fn health(State(agent): State<Arc<Agent>>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: crate::VERSION,
        uptime_seconds: agent.uptime().as_secs(),
    })
}

/// A list as the API has them.
#[derive(Debug, Serialize)]
struct List<T> {
    items: T,
}

/// Returns whether a request asks for a stream of events.
fn wants_events(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .any(|kind| kind.trim().starts_with("text/event-stream"))
}

/// Ends a stream of events with the agent.
fn until_stop<S: Events>(agent: &Agent, events: S) -> impl Events<Item = S::Item> + use<S> {
    events.take_until(agent.stopping().cancelled_owned())
}
