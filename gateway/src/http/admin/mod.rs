//! The administration API, on a Unix socket in the data folder.
//!
//! Whoever can connect administers: the socket has mode 0600 in a folder of mode
//! 0700, and the peer must run as the server's own user or as root.

mod deleted;
mod limits;
mod logs;
mod people;
mod secrets;
mod sleep;
mod snapshots;
mod templates;
mod tokens;
mod view;
pub mod wire;
mod workspaces;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::routing::{delete, get, post, put};
use devgate_protocol::socket;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::{debug, warn};

use super::problem::{Problem, RequestRefused};
use super::site::Site;
use crate::config::DriverName;
use crate::identity::Accounts;
use crate::secrets::Vault;
use crate::sleep::Sleep;
use crate::store::Store;
use crate::templates::Templates;
use crate::workspaces::Workspaces;
use wire::{HostKey, ServerStatus};

/// Largest request body, in bytes: some hundred public keys.
const MAX_BODY: usize = 1024 * 1024;

/// Time in which a client says what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Most connections at once; more wait in the socket's backlog.
const MAX_CONNECTIONS: usize = 64;

/// Pause after an accept failed, as it does for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time that answers under way have to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the handlers need.
#[derive(Debug)]
pub struct Admin {
    /// The records.
    pub store: Store,
    /// The workspaces.
    pub workspaces: Workspaces,
    /// What workspaces are made from.
    pub templates: Templates,
    /// Why they run, and what keeps them awake.
    pub sleep: Sleep,
    /// People's accounts.
    pub accounts: Accounts,
    /// The secrets.
    pub vault: Vault,
    /// Where the dashboard is found.
    pub site: Site,
    /// What doesn't change while the server runs.
    pub server: Server,
    /// Ends what would go on for ever: logs that are followed, waits.
    pub stop: CancellationToken,
}

/// What doesn't change while the server runs.
#[derive(Clone, Debug)]
pub struct Server {
    /// When it started.
    pub started: OffsetDateTime,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// What its workspaces are.
    pub driver: DriverName,
    /// Where it takes SSH connections.
    pub ssh: SocketAddr,
    /// Where it takes HTTPS connections.
    pub http: SocketAddr,
    /// Where people find the dashboard.
    pub url: String,
    /// What the authority of its certificate hashes to, where that is its own.
    pub ca_fingerprint: Option<String>,
    /// Its SSH host keys.
    pub host_keys: Vec<HostKey>,
    /// The same whole: algorithm and base64, as files of known hosts have them.
    pub public_keys: Vec<String>,
    /// What signs certificates for them, likewise.
    pub host_authority: String,
}

/// Returns the API's routes.
pub fn router(admin: Arc<Admin>) -> Router {
    let template = get(templates::show)
        .put(templates::put)
        .delete(templates::remove);
    let workspace = get(workspaces::show)
        .patch(workspaces::change)
        .delete(workspaces::remove);
    let api = Router::new()
        .route("/status", get(status))
        .route(
            "/workspaces",
            get(workspaces::list).post(workspaces::create),
        )
        .route("/workspaces/{workspace}", workspace)
        .route("/limits", get(limits::list))
        .route("/deleted-workspaces", get(deleted::list))
        .route(
            "/deleted-workspaces/{workspace}",
            get(deleted::show).delete(deleted::purge),
        )
        .route(
            "/deleted-workspaces/{workspace}/restore",
            post(deleted::restore),
        )
        .route("/workspaces/{workspace}/start", post(workspaces::start))
        .route("/workspaces/{workspace}/stop", post(workspaces::stop))
        .route("/workspaces/{workspace}/restart", post(workspaces::restart))
        .route("/workspaces/{workspace}/rebuild", post(workspaces::rebuild))
        .route("/workspaces/{workspace}/extend", post(workspaces::extend))
        .route("/workspaces/{workspace}/sleep", post(sleep::sleep))
        .route("/workspaces/{workspace}/why-running", get(sleep::why))
        .route(
            "/workspaces/{workspace}/keep-awake",
            get(sleep::leases).post(sleep::keep_awake),
        )
        .route(
            "/workspaces/{workspace}/keep-awake/{lease}",
            delete(sleep::end_lease),
        )
        .route(
            "/workspaces/{workspace}/schedule",
            put(sleep::set_schedule).delete(sleep::remove_schedule),
        )
        .route("/workspaces/{workspace}/logs", get(logs::read))
        .route("/workspaces/{workspace}/snapshots", post(snapshots::take))
        .route("/workspaces/{workspace}/clones", post(snapshots::clone))
        .route("/workspaces/{workspace}/history", get(snapshots::history))
        .route("/snapshots", get(snapshots::list))
        .route("/snapshots/pull", post(snapshots::pull))
        .route(
            "/snapshots/{snapshot}",
            get(snapshots::show).delete(snapshots::remove),
        )
        .route("/snapshots/{snapshot}/restore", post(snapshots::restore))
        .route("/snapshots/{snapshot}/push", post(snapshots::push))
        .route("/templates", get(templates::list))
        .route("/templates/{template}", template)
        .route("/workspaces/{workspace}/startup/log", get(logs::startup))
        .route("/secrets", get(secrets::list))
        .route("/secrets/{name}", put(secrets::set).delete(secrets::remove))
        .route("/users/{user}/secrets", get(secrets::list_of))
        .route(
            "/users/{user}/secrets/{name}",
            put(secrets::set_of).delete(secrets::remove_of),
        )
        .route("/users", get(people::list_users).post(people::add_user))
        .route("/users/{user}", delete(people::remove_user))
        .route("/users/{user}/link", post(people::link))
        .route(
            "/users/{user}/keys",
            get(people::list_keys_of).post(people::add_key),
        )
        .route("/users/{user}/tokens", get(tokens::list).post(tokens::add))
        .route("/users/{user}/tokens/{id}", delete(tokens::remove))
        .route("/keys", get(people::list_keys))
        .route("/keys/{fingerprint}", delete(people::remove_key));
    Router::new()
        .nest("/api/v1", api)
        .fallback(async || RequestRefused::NoRoute)
        .method_not_allowed_fallback(async || RequestRefused::NoMethod)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(admin)
}

/// Serves the API until `stop` is cancelled and answers under way had a moment to
/// end.
pub async fn serve(listener: UnixListener, router: Router, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if connections.len() >= MAX_CONNECTIONS => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => match socket::check_peer(&stream) {
                    Ok(_) => {
                        connections.spawn(answer(stream, router.clone(), stop.clone()));
                    }
                    Err(error) => warn!(%error, "administration refused"),
                },
                Err(error) => {
                    warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(GOODBYE, ended).await.is_err() {
        debug!("administration cut short");
    }
}

async fn answer(stream: UnixStream, router: Router, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        async move {
            let answer = router.call(request.map(Body::new)).await;
            answer.map_err(|never: Infallible| match never {})
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended: Result<(), hyper::Error> = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an administration connection broke");
    }
}

async fn status(State(admin): State<Arc<Admin>>) -> Result<axum::Json<ServerStatus>, Problem> {
    let workspaces = admin.workspaces.list().await?;
    let running = crate::http::view::running(&workspaces);
    Ok(axum::Json(ServerStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: admin.server.started,
        data_dir: admin.server.data_dir.clone(),
        driver: Some(admin.server.driver),
        ssh: admin.server.ssh.to_string(),
        http: admin.server.http.to_string(),
        ca_fingerprint: admin.server.ca_fingerprint.clone(),
        host_keys: admin.server.host_keys.clone(),
        users: admin.store.users().await?.len(),
        workspaces: workspaces.len(),
        running,
        delete_grace_seconds: admin.workspaces.delete_grace().as_secs(),
    }))
}

/// Reads a request's body.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| RequestRefused::Body(error).into())
}

/// Reads a request's query.
fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(query)| query)
        .map_err(|rejection| RequestRefused::Query(rejection.body_text()).into())
}
