//! The SSH side: accepts connections, knows who calls, and bridges their channels
//! to the workspace's agent, one stream a channel.
//!
//! Every connection is one task, and its channels are tasks that it owns. All of them
//! run on one thread: what a channel hands to its connection is taken without waking
//! another one. The handshake begins at once, whatever state the workspace is in: the
//! first channel waits for it, not the log-in.

mod browser;
mod carried;
mod connection;
mod forward;
mod handler;
mod incoming;
mod login;
mod options;
mod pace;
mod proof;
mod session;
mod sign_in;
mod signals;
mod socket;
mod splice;
mod suites;

use std::io;
use std::net::{self, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use devgate_protocol::Peer;
use futures_util::FutureExt;
use russh::{Disconnect, MethodKind, server};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, LocalPoolHandle, TaskTracker};
use tracing::field::Empty;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::identity::{Certificates, Identity, Lockout};
use crate::startups::Startups;
use crate::workspaces::Workspaces;
use connection::Connection;
use handler::Handler;
use login::Login;
use socket::Socket;
use suites::Configs;

pub use browser::BrowserSignIn;
pub use carried::{Bytes, Carried, Entering, Entrance, entrance};
pub use options::{Chacha20, Host, Options};

/// How much is read from a client at once, in bytes.
const READ_BUFFER: usize = 256 * 1024;

/// How long to wait after an accept failed, which it does for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take to end by itself once its last channel has.
const SELF_END: Duration = Duration::from_millis(500);

/// How long a client may take to close a connection that it was told to.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client may take to close a connection to what isn't its own any more.
const DISOWNED_GOODBYE: Duration = Duration::from_millis(300);

/// How long the tasks of a connection that ended may take to finish.
const TASKS_TIMEOUT: Duration = Duration::from_secs(15);

/// What every connection needs.
pub struct Gateway {
    identity: Arc<Identity>,
    certificates: Certificates,
    lockout: Arc<Lockout>,
    workspaces: Workspaces,
    configs: Configs,
    options: Options,
    startups: Arc<Startups>,
    /// How clients without a key sign in, where they may.
    browser: Option<BrowserSignIn>,
}

impl Gateway {
    /// Gathers what connections need.
    pub fn new(
        (identity, certificates): (Arc<Identity>, Certificates),
        lockout: Arc<Lockout>,
        workspaces: Workspaces,
        host: Host<'_>,
        options: Options,
        browser: Option<BrowserSignIn>,
    ) -> Self {
        let methods = match browser {
            Some(_) => &[MethodKind::PublicKey, MethodKind::KeyboardInteractive][..],
            None => &[MethodKind::PublicKey],
        };
        let configs = options.configs(&host, methods);
        let startups = Startups::new("log-in", options.max_unauthenticated);
        Self {
            identity,
            certificates,
            lockout,
            workspaces,
            configs,
            options,
            startups,
            browser,
        }
    }
}

/// Serves connections until `stop` is cancelled and they have ended.
///
/// Once it is, nothing new is accepted and a connection is ended as soon as no
/// channel is open on it. Dropping the future ends all connections at once.
pub async fn serve(
    listener: TcpListener,
    mut entering: Entering,
    gateway: Arc<Gateway>,
    stop: CancellationToken,
) {
    let threads = available_parallelism().map_or(1, NonZero::get);
    let pool = LocalPoolHandle::new(threads);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => report(&ended),
            carried = entering.next() => {
                let (pool, gateway, stop) = (pool.clone(), Arc::clone(&gateway), stop.clone());
                connections.spawn(serve_carried(pool, gateway, carried, stop));
            }
            accepted = listener.accept() => match accepted.and_then(detach) {
                Ok((tcp, peer)) => {
                    let running = spawn(&pool, &gateway, (tcp, peer, Way::Direct), &stop);
                    connections.spawn(running.map(|ended| report(&ended)));
                }
                Err(error) => {
                    warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop((listener, entering));
    while let Some(ended) = connections.join_next().await {
        report(&ended);
    }
}

/// How a client's bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By the connection itself.
    Direct,
    /// By another one, of which nothing is known here.
    Carried,
}

/// Serves a connection that was brought, to its end.
async fn serve_carried(
    pool: LocalPoolHandle,
    gateway: Arc<Gateway>,
    carried: Carried,
    stop: CancellationToken,
) {
    let made = carried::pair().await;
    let made = made.and_then(|(near, far)| Ok((detach((near, carried.client))?, far)));
    let ((near, peer), far) = match made {
        Ok(made) => made,
        Err(error) => return warn!(%error, "no room for another connection"),
    };
    let over = CancellationToken::new();
    let running = spawn(&pool, &gateway, (near, peer, Way::Carried), &stop);
    let running = async {
        report(&running.await);
        over.cancel();
    };
    tokio::join!(running, carried::carry(carried, far, over.clone()));
}

/// Runs a connection on one of the pool's threads.
fn spawn(
    pool: &LocalPoolHandle,
    gateway: &Arc<Gateway>,
    (tcp, peer, way): (net::TcpStream, SocketAddr, Way),
    stop: &CancellationToken,
) -> AbortOnDropHandle<()> {
    let (gateway, stop) = (Arc::clone(gateway), stop.clone());
    let span = info_span!("connection", %peer, user = Empty, workspace = Empty);
    AbortOnDropHandle::new(
        pool.spawn_pinned(move || run(gateway, (tcp, peer, way), stop).instrument(span)),
    )
}

/// Takes a connection off this thread, for the one that will serve it.
fn detach((tcp, peer): (TcpStream, SocketAddr)) -> io::Result<(net::TcpStream, SocketAddr)> {
    Ok((tcp.into_std()?, peer))
}

fn report(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task failed");
    }
}

/// Serves one connection to its end, and waits for its channels' tasks.
async fn run(
    gateway: Arc<Gateway>,
    (tcp, peer, way): (net::TcpStream, SocketAddr, Way),
    stop: CancellationToken,
) {
    let Ok(tcp) = TcpStream::from_std(tcp) else {
        return warn!("no room for another connection");
    };
    let Ok(server) = tcp.local_addr() else {
        return; // It has ended already.
    };
    let peer = Peer {
        client: peer.ip().to_canonical(),
        client_port: peer.port(),
        server: server.ip().to_canonical(),
        server_port: server.port(),
    };
    let socket = Socket::new(tcp);
    let cutter = socket.cutter();
    let cut = cutter.clone();
    let startup = gateway.startups.begin(peer.client, move || cut.cut());
    let login = Arc::new(Login::default());
    let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
    let end = ended.clone().drop_guard();
    let handler = Handler::new(
        Arc::clone(&gateway),
        peer.clone(),
        Arc::clone(&login),
        (tasks.clone(), ended, socket.gauge(way)),
    );
    let deadline = Instant::now() + gateway.options.login_grace;
    let stream = BufReader::with_capacity(READ_BUFFER, socket);
    let starting = server::run_stream(Arc::clone(gateway.configs.for_silent()), stream, handler);
    let mut session = tokio::select! {
        started = timeout_at(deadline, starting) => match started {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return debug!(%error, "no SSH client"),
            Err(_) => return info!("log-in took too long"),
        },
        () = stop.cancelled() => return,
    };
    let result = tokio::select! {
        result = &mut session => Some(result),
        _ = login.connection.wait() => None,
        () = login.late(deadline) => {
            info!("log-in took too long");
            cutter.cut();
            None
        }
        () = stop.cancelled() => {
            cutter.cut();
            None
        }
    };
    drop(startup);
    let result = match (result, login.connection.get()) {
        (Some(result), _) => result,
        (None, None) => session.await,
        (None, Some(connection)) => {
            let drained = drain(connection, session.handle(), &stop);
            let disowned = disown(connection, session.handle());
            let revoked = revoke(connection, session.handle());
            tokio::pin!(drained, disowned, revoked);
            tokio::select! {
                result = &mut session => result,
                () = &mut drained => {
                    cutter.cut();
                    session.await
                }
                () = &mut disowned => {
                    cutter.cut();
                    session.await
                }
                () = &mut revoked => {
                    cutter.cut();
                    session.await
                }
            }
        }
    };
    if let Err(error) = result {
        debug!(%error, "connection broke");
    }
    if login.connection.get().is_none() {
        login.failed(&gateway.lockout, peer.client);
    }
    drop(end);
    tasks.close();
    if timeout(TASKS_TIMEOUT, tasks.wait()).await.is_err() {
        warn!("channels outlived their connection");
    }
}

/// Ends the connection once its workspace is somebody else's; returns when the client had
/// time to close it.
async fn disown(connection: &Connection, handle: server::Handle) {
    connection.disowned().await;
    dismiss(&handle, "the workspace belongs to somebody else now").await;
}

/// Ends the connection once what signed it in has ended; returns when the client had time
/// to close it.
async fn revoke(connection: &Connection, handle: server::Handle) {
    connection.revoked().await;
    info!("what signed this connection in has ended");
    dismiss(&handle, "what signed this connection in has ended").await;
}

/// Tells a client that its connection ends; returns when it had time to close it.
async fn dismiss(handle: &server::Handle, why: &str) {
    let goodbye = why.to_owned();
    // It fails only where the connection has ended.
    let _ = timeout(
        DISOWNED_GOODBYE,
        handle.disconnect(Disconnect::ByApplication, goodbye, String::new()),
    )
    .await;
    sleep(DISOWNED_GOODBYE).await;
}

/// Once `stop` is cancelled, ends the connection as soon as no channel is open
/// on it; returns when the client had time to close it.
async fn drain(connection: &Connection, handle: server::Handle, stop: &CancellationToken) {
    stop.cancelled().await;
    // Most clients end by themselves after their last channel; a DISCONNECT in the
    // middle of that would be an error to them.
    loop {
        connection.idle().await;
        sleep(SELF_END).await;
        if connection.channels() == 0 {
            break;
        }
    }
    let goodbye = "the gateway is shutting down; connect again in a moment".to_owned();
    // It fails only where the connection has ended.
    let _ = handle
        .disconnect(Disconnect::ByApplication, goodbye, String::new())
        .await;
    sleep(GOODBYE_TIMEOUT).await;
}
