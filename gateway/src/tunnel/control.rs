//! The control connection of a tunnel, of either kind.

use std::io;
use std::time::Duration;

use devgate_certs::Authority;
use devgate_protocol::control::{self, FromAgent, FromGateway};
use devgate_protocol::websocket::{self, WebSocket};
use devgate_protocol::{FEATURE_SECRETS, ReadHalf, Stream, VERSION, WriteHalf};
use futures_util::StreamExt;
use futures_util::stream::{SplitSink, SplitStream};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;
use tracing::{info, warn};

use super::notices::{Notice, Notices, Victim};
use super::{AgentInfo, FEATURES};
use crate::names::WorkspaceId;
use crate::secrets::{Supply, Vault};

/// How it is found out that an agent is gone without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// Time between two pings.
    pub ping_every: Duration,
    /// Silence after which an agent counts as gone.
    pub dead_after: Duration,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(15),
            dead_after: Duration::from_secs(45),
        }
    }
}

/// Least time between two certificates for one tunnel.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(10);

/// Both directions of a control connection.
pub(super) struct Link {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

pub(super) enum Reader {
    Stream(ReadHalf),
    WebSocket(SplitStream<WebSocket>),
}

pub(super) enum Writer {
    Stream(WriteHalf),
    WebSocket(SplitSink<WebSocket, Message>),
}

impl From<Stream> for Link {
    fn from(stream: Stream) -> Self {
        let (reader, writer) = stream.split();
        Self {
            reader: Reader::Stream(reader),
            writer: Writer::Stream(writer),
        }
    }
}

impl From<WebSocket> for Link {
    fn from(socket: WebSocket) -> Self {
        let (writer, reader) = socket.split();
        Self {
            reader: Reader::WebSocket(reader),
            writer: Writer::WebSocket(writer),
        }
    }
}

impl Reader {
    /// Returns the agent's next message, or `None` at the end. Not cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<FromAgent>> {
        match self {
            Self::Stream(stream) => control::read(stream).await,
            Self::WebSocket(socket) => websocket::read_message(socket).await,
        }
    }
}

impl Writer {
    /// Sends a message. Not cancel-safe.
    pub(super) async fn send(&mut self, message: &FromGateway) -> io::Result<()> {
        match self {
            Self::Stream(stream) => control::write(stream, message).await,
            Self::WebSocket(socket) => websocket::write_message(socket, message).await,
        }
    }
}

/// Returns what an agent is told for its workspace's programs.
pub(super) async fn supply(vault: Option<&Vault>, id: &WorkspaceId, agent: &AgentInfo) -> Supply {
    let Some(vault) = vault else {
        return Supply::default();
    };
    let mut supply = vault.supply(id).await;
    if !agent.features.iter().any(|name| name == FEATURE_SECRETS) {
        (supply.told, supply.missing) = (Vec::new(), Vec::new());
    }
    supply
}

/// Returns the answer to an agent's hello, with what its workspace's programs get.
pub(super) async fn welcome(
    vault: Option<&Vault>,
    id: &WorkspaceId,
    agent: &AgentInfo,
) -> FromGateway {
    let supply = supply(vault, id, agent).await;
    FromGateway::Welcome {
        protocol: VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURES.iter().map(|&name| name.to_owned()).collect(),
        environment: supply.environment,
        secrets: supply.told,
        missing: supply.missing,
        authority: supply.authority,
    }
}

/// Runs a control connection until it breaks, the agent falls silent, or
/// `outgoing` has no sender any more. What the agent tells by itself, and what it knows
/// of what it was told, goes to `told`. Returns why, for the log.
///
/// Dropping the future closes the connection.
pub(super) async fn run(
    link: Link,
    id: &WorkspaceId,
    (authority, liveness): (&Authority, Liveness),
    replies: mpsc::Sender<FromGateway>,
    outgoing: mpsc::Receiver<FromGateway>,
    told: (&Notices, &watch::Sender<u64>),
) -> &'static str {
    let heard = Mutex::new(Instant::now());
    let Link { reader, writer } = link;
    tokio::select! {
        why = listen(reader, id, authority, (replies, told), &heard) => why,
        why = speak(writer, outgoing, &heard, liveness) => why,
    }
}

async fn listen(
    mut reader: Reader,
    id: &WorkspaceId,
    authority: &Authority,
    (replies, (notices, known)): (mpsc::Sender<FromGateway>, (&Notices, &watch::Sender<u64>)),
    heard: &Mutex<Instant>,
) -> &'static str {
    let mut last_certificate: Option<Instant> = None;
    loop {
        let message = match reader.next().await {
            Ok(Some(message)) => message,
            Ok(None) => return "the agent closed it",
            Err(error) => {
                info!(workspace = %id, %error, "a control connection broke");
                return "it broke";
            }
        };
        *heard.lock() = Instant::now();
        let request = match message {
            FromAgent::CertificateRequest { request } => request,
            FromAgent::OutOfMemory { program, pid } => {
                let victim = Victim::new(program.as_deref(), pid);
                notices.tell(id, Notice::OutOfMemory(victim));
                continue;
            }
            FromAgent::ProcessLimit { limit } => {
                notices.tell(id, Notice::ProcessLimit(limit));
                continue;
            }
            FromAgent::Known { number } => {
                known.send_replace(number);
                continue;
            }
            FromAgent::Hello { .. } | FromAgent::Pong { .. } | FromAgent::Unknown => continue,
        };
        if last_certificate.is_some_and(|last| last.elapsed() < CERTIFICATE_EVERY) {
            warn!(workspace = %id, "an agent asks for certificates too often");
            continue;
        }
        last_certificate = Some(Instant::now());
        match authority.sign_agent_request(id.as_str(), &request) {
            Ok(chain) => {
                info!(workspace = %id, "renewed an agent's certificate");
                if replies
                    .send(FromGateway::Certificate { chain })
                    .await
                    .is_err()
                {
                    return "it ends";
                }
            }
            Err(error) => warn!(workspace = %id, %error, "an agent's certificate isn't renewed"),
        }
    }
}

async fn speak(
    mut writer: Writer,
    mut outgoing: mpsc::Receiver<FromGateway>,
    heard: &Mutex<Instant>,
    liveness: Liveness,
) -> &'static str {
    let Liveness {
        ping_every,
        dead_after,
    } = liveness;
    let mut pings = interval_at(Instant::now() + ping_every, ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    let mut next = None;
    loop {
        let message = tokio::select! {
            biased;
            Some(message) = async { next.take() } => message,
            _ = pings.tick() => {
                let heard = *heard.lock();
                if heard.elapsed() >= dead_after {
                    return "the agent fell silent";
                }
                number += 1;
                FromGateway::Ping { number }
            }
            message = outgoing.recv() => match message {
                Some(message) => {
                    let (message, other) = together(message, &mut outgoing);
                    next = other;
                    message
                }
                None => return "it ends",
            },
        };
        match timeout(dead_after, writer.send(&message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "it broke",
            Err(_) => return "the agent doesn't read",
        }
    }
}

/// Makes one message of all requests for connections that wait in a row; and returns what
/// comes after them.
fn together(
    message: FromGateway,
    outgoing: &mut mpsc::Receiver<FromGateway>,
) -> (FromGateway, Option<FromGateway>) {
    let FromGateway::Dial { mut count } = message else {
        return (message, None);
    };
    loop {
        match outgoing.try_recv() {
            Ok(FromGateway::Dial { count: more }) => count = count.saturating_add(more),
            other => return (FromGateway::Dial { count }, other.ok()),
        }
    }
}
