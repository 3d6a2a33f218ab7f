//! The spare data connections of one tunnel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use devgate_protocol::config::DataTransport;
use devgate_protocol::websocket::{Side, WebSocketBytes};
use devgate_protocol::{DATA_PATH, Open, Stream, handshake};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::backoff::Backoff;
use super::connect::{ConnectError, Protocol, connect};
use super::identity::Identity;
use super::tunnel::{End, Tunnel};

/// Spares that an idle tunnel keeps.
const FEWEST: usize = 4;

/// Spares that a busy tunnel keeps.
const MOST: usize = 64;

/// Connections that no stream uses yet, at most, however many are asked for.
const MOST_UNUSED: usize = 256;

/// How often the number of spares shrinks while none is asked for, and a spare
/// looks whether it is one too many.
const SHRINK_EVERY: Duration = Duration::from_secs(30);

/// Failures of raw connections after which WebSocket is tried, where none ever
/// succeeded: some proxies close what they don't know without a word.
const RAW_FAILURES: usize = 3;

/// Keeps spares for one tunnel.
pub(super) struct Spares<'a, S> {
    identity: &'a Identity<'a>,
    dialler: Arc<Dialler<S>>,
}

/// What the task of each connection needs.
struct Dialler<S> {
    gateway: String,
    tunnel: String,
    streams: TaskTracker,
    serve: S,
    /// Whether data connections are carried by `WebSocket`.
    websocket: AtomicBool,
    /// Connections that wait for their header.
    idle: AtomicUsize,
    /// How many should.
    target: AtomicUsize,
}

/// What became of a connection.
enum Outcome {
    /// It carries a stream.
    Taken,
    /// There were more than needed.
    Shed,
    /// It ended before it was used.
    Lost,
    /// It didn't come to be.
    Failed(Protocol, ConnectError),
}

impl<'a, S, F> Spares<'a, S>
where
    S: Fn(Stream, Open) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    pub(super) fn new(tunnel: &Tunnel<'_, S>, identity: &'a Identity<'a>, name: String) -> Self {
        let websocket = tunnel.dial.data == DataTransport::Websocket;
        let dialler = Dialler {
            gateway: tunnel.gateway.to_owned(),
            tunnel: name,
            streams: tunnel.streams.clone(),
            serve: tunnel.serve.clone(),
            websocket: AtomicBool::new(websocket),
            idle: AtomicUsize::new(0),
            target: AtomicUsize::new(FEWEST),
        };
        Self {
            identity,
            dialler: Arc::new(dialler),
        }
    }

    /// Keeps the spares, and dials as many more as are asked for. Dropping the
    /// future closes them; the streams that they became live on.
    pub(super) async fn keep(&self, mut requests: mpsc::Receiver<u32>) -> End {
        let mut connections = JoinSet::new();
        let mut backoff = Backoff::default();
        let mut not_before = Instant::now();
        let mut raw_failures = 0;
        let mut shrink = interval(SHRINK_EVERY);
        shrink.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let target = &self.dialler.target;
        loop {
            let missing = target
                .load(Ordering::Relaxed)
                .saturating_sub(connections.len());
            let paused = Instant::now() < not_before;
            if !paused {
                for _ in 0..missing {
                    self.dial(&mut connections);
                }
            }
            tokio::select! {
                request = requests.recv() => {
                    let Some(count) = request else { return End::Closed };
                    let count = usize::try_from(count).unwrap_or(MOST_UNUSED);
                    let room = MOST_UNUSED.saturating_sub(connections.len());
                    debug!(count, "the gateway asks for connections");
                    for _ in 0..count.min(room) {
                        self.dial(&mut connections);
                    }
                    let grown = target.load(Ordering::Relaxed).saturating_add(count);
                    target.store(grown.min(MOST), Ordering::Relaxed);
                }
                Some(ended) = connections.join_next() => match ended {
                    Ok(Outcome::Taken) => {
                        backoff = Backoff::default();
                        raw_failures = 0;
                    }
                    Ok(Outcome::Shed) => {}
                    Ok(Outcome::Lost) => not_before = Instant::now() + backoff.next(),
                    Ok(Outcome::Failed(protocol, error)) => {
                        debug!(%error, "a data connection failed");
                        not_before = Instant::now() + backoff.next();
                        if protocol == Protocol::Raw {
                            raw_failures += 1;
                            self.fall_back(&error, raw_failures);
                        }
                    }
                    Err(error) => debug!(%error, "the task of a data connection died"),
                },
                () = sleep_until(not_before), if paused && missing > 0 => {}
                _ = shrink.tick() => {
                    let half = target.load(Ordering::Relaxed) / 2;
                    target.store(half.max(FEWEST), Ordering::Relaxed);
                }
            }
        }
    }

    fn dial(&self, connections: &mut JoinSet<Outcome>) {
        let config = self.identity.config();
        connections.spawn(Arc::clone(&self.dialler).run(config));
    }

    /// Goes over to WebSocket where something on the way refuses raw upgrades. An
    /// answer that is the gateway's own means something else.
    fn fall_back(&self, error: &ConnectError, failures: usize) {
        let proxy = match error {
            ConnectError::Refused(401 | 403 | 409) => false,
            ConnectError::Refused(_) | ConnectError::NotHttp => true,
            _ => failures >= RAW_FAILURES,
        };
        if proxy && !self.dialler.websocket.swap(true, Ordering::Relaxed) {
            info!(%error, "raw data connections don't get through, using WebSocket");
        }
    }
}

impl<S, F> Dialler<S>
where
    S: Fn(Stream, Open) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    async fn run(self: Arc<Self>, config: Arc<ClientConfig>) -> Outcome {
        let protocol = if self.websocket.load(Ordering::Relaxed) {
            Protocol::Websocket
        } else {
            Protocol::Raw
        };
        let connected = connect(&self.gateway, config, DATA_PATH, protocol, &self.tunnel).await;
        let mut stream: Stream = match connected {
            Ok(stream) => match protocol {
                Protocol::Raw => Stream::Tls(Box::new(stream)),
                Protocol::Websocket => WebSocketBytes::new(stream, Vec::new(), Side::Client)
                    .await
                    .into(),
            },
            Err(error) => return Outcome::Failed(protocol, error),
        };
        match self.wait(&mut stream).await {
            Some(Ok(open)) => {
                self.streams.spawn((self.serve)(stream, open));
                Outcome::Taken
            }
            Some(Err(error)) => {
                debug!(%error, "a spare connection ended unused");
                Outcome::Lost
            }
            None => Outcome::Shed,
        }
    }

    /// Waits for the stream's header, or until there are too many spares.
    async fn wait(
        &self,
        stream: &mut Stream,
    ) -> Option<Result<Open, devgate_protocol::StreamError>> {
        let _idle = Idle::new(&self.idle);
        let header = handshake::read_open(stream);
        tokio::pin!(header);
        let mut looks = interval(SHRINK_EVERY);
        looks.tick().await;
        loop {
            tokio::select! {
                biased;
                open = &mut header => return Some(open),
                // Where the gateway takes it at this very moment, it finds the
                // connection closed before an answer, and takes another.
                _ = looks.tick() => {
                    let target = self.target.load(Ordering::Relaxed);
                    if self.idle.load(Ordering::Relaxed) > target {
                        return None;
                    }
                }
            }
        }
    }
}

/// Counts an idle connection for as long as it lives.
struct Idle<'a>(&'a AtomicUsize);

impl<'a> Idle<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
