//! One tunnel, from its control connection's beginning to its end.

use std::fmt;
use std::io;
use std::time::Duration;

use devgate_certs::CertsError;
use devgate_protocol::control::{FromAgent, FromGateway};
use devgate_protocol::websocket::{self, Side, WebSocket};
use devgate_protocol::{
    CONTROL_PATH, FEATURE_ACTIVITY, FEATURE_EDITOR, FEATURE_HTTP, FEATURE_OVERTAKING,
    FEATURE_SECRETS, FEATURE_STARTUP, OLDEST_VERSION, Open, Stream, VERSION,
};
use futures_util::StreamExt;
use futures_util::stream::{SplitSink, SplitStream};
use rand::RngExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::Dial;
use super::connect::{ConnectError, Protocol, connect};
use super::identity::Identity;
use super::spares::Spares;
use crate::notices::Notices;

/// Optional capabilities of this agent, told to the gateway.
const FEATURES: &[&str] = &[
    "certificate-renewal",
    "go-away",
    FEATURE_HTTP,
    FEATURE_EDITOR,
    FEATURE_STARTUP,
    FEATURE_SECRETS,
    FEATURE_ACTIVITY,
    FEATURE_OVERTAKING,
];

/// Longest wait for the gateway's welcome.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// The status of a gateway that takes no agents because it ends (RFC 9110 §15.6.4).
const UNAVAILABLE: u16 = 503;

/// Messages that wait to be written; what makes more waits.
const OUTGOING: usize = 16;

/// Requests for connections that wait to be fulfilled; the reader waits when it
/// is full.
const REQUESTS: usize = 16;

/// What a tunnel needs.
pub(super) struct Tunnel<'a, S> {
    pub(super) dial: &'a Dial,
    pub(super) gateway: &'a str,
    pub(super) streams: &'a TaskTracker,
    pub(super) serve: &'a S,
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// No certificate to show.
    #[error(transparent)]
    Identity(#[from] CertsError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The gateway didn't welcome the agent.
    #[error("the gateway closed the control connection; its log says why")]
    Unwelcome,
    /// The gateway's version is not ours.
    #[error("the gateway speaks version {0} of the protocol, which this agent doesn't")]
    Version(u8),
}

impl DialError {
    /// Tells whether the gateway takes no agents because it ends.
    pub(super) fn is_shutting_down(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::Refused(UNAVAILABLE)))
    }
}

/// Why a tunnel that was up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Broken(io::ErrorKind),
    Silent,
    GoAway,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the gateway closed it"),
            Self::Broken(kind) => write!(f, "it broke: {kind}"),
            Self::Silent => f.write_str("the gateway fell silent"),
            Self::GoAway => f.write_str("the gateway goes away"),
        }
    }
}

impl<S, F> Tunnel<'_, S>
where
    S: Fn(Stream, Open) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    /// Runs a tunnel to its end.
    pub(super) async fn run(&self, identity: &Identity<'_>) -> Result<End, DialError> {
        let name = format!("{:032x}", rand::rng().random::<u128>());
        let config = identity.config();
        let protocol = Protocol::Websocket;
        let stream = connect(self.gateway, config, CONTROL_PATH, protocol, &name).await?;
        let mut socket = websocket::control(stream, Vec::new(), Side::Client).await;
        let version = self.greet(&mut socket).await?;
        info!(gateway = self.gateway, version, "the tunnel is up");

        let (mut writer, mut reader) = socket.split();
        let (outgoing, mut queued) = mpsc::channel(OUTGOING);
        let (requests, wanted) = mpsc::channel(REQUESTS);
        let spares = Spares::new(self, identity, name);
        let dead_after = self.dial.dead_after;
        let end = tokio::select! {
            end = listen(&mut reader, (identity, self.dial), (&outgoing, &requests), dead_after) => end,
            end = speak(&mut writer, (&mut queued, &self.dial.notices), dead_after) => end,
            end = renew(identity, &outgoing) => end,
            end = spares.keep(wanted) => end,
        };
        Ok(end)
    }

    /// Says hello and returns the gateway's version.
    async fn greet(&self, socket: &mut WebSocket) -> Result<String, DialError> {
        let hello = FromAgent::Hello {
            protocol: VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workspace: self.dial.workspace.clone(),
            pid: std::process::id(),
            features: FEATURES.iter().map(|&name| name.to_owned()).collect(),
        };
        let greeted = async {
            websocket::write_message(socket, &hello).await?;
            websocket::read_message(socket).await
        };
        match timeout(WELCOME_TIMEOUT, greeted).await {
            Ok(Ok(Some(FromGateway::Welcome {
                protocol,
                version,
                environment,
                secrets,
                missing,
                authority,
                ..
            }))) => {
                if (OLDEST_VERSION..=VERSION).contains(&protocol) {
                    self.dial
                        .secrets
                        .take(environment, (secrets, missing), authority);
                    Ok(version)
                } else {
                    Err(DialError::Version(protocol))
                }
            }
            Ok(Ok(_)) => Err(DialError::Unwelcome),
            Ok(Err(error)) => Err(ConnectError::Io(error).into()),
            Err(_) => Err(ConnectError::TimedOut.into()),
        }
    }
}

async fn listen(
    reader: &mut SplitStream<WebSocket>,
    (identity, dial): (&Identity<'_>, &Dial),
    (outgoing, requests): (&mpsc::Sender<FromAgent>, &mpsc::Sender<u32>),
    dead_after: Duration,
) -> End {
    loop {
        let message = match timeout(dead_after, websocket::read_message(reader)).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return End::Closed,
            Ok(Err(error)) => return End::Broken(error.kind()),
            Err(_) => return End::Silent,
        };
        match message {
            FromGateway::Ping { number } => {
                if outgoing.send(FromAgent::Pong { number }).await.is_err() {
                    return End::Closed;
                }
            }
            FromGateway::Tell {
                number,
                environment,
                secrets,
                missing,
                authority,
            } => {
                dial.secrets
                    .take(environment, (secrets, missing), authority);
                if outgoing.send(FromAgent::Known { number }).await.is_err() {
                    return End::Closed;
                }
            }
            FromGateway::Overtake { session, request } => dial.passing.pass(session, request),
            FromGateway::Dial { count } => {
                if requests.send(count).await.is_err() {
                    return End::Closed;
                }
            }
            FromGateway::GoAway => return End::GoAway,
            FromGateway::Certificate { chain } => {
                if let Err(error) = identity.install(&chain) {
                    warn!(%error, "the renewed certificate isn't used");
                }
            }
            FromGateway::Welcome { .. } | FromGateway::Unknown => {}
        }
    }
}

async fn speak(
    writer: &mut SplitSink<WebSocket, Message>,
    (queued, notices): (&mut mpsc::Receiver<FromAgent>, &Notices),
    dead_after: Duration,
) -> End {
    loop {
        let (message, is_notice) = tokio::select! {
            message = queued.recv() => match message {
                Some(message) => (message, false),
                None => return End::Closed,
            },
            notice = notices.next() => (notice, true),
        };
        let written = timeout(dead_after, websocket::write_message(writer, &message)).await;
        let end = match written {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => End::Broken(error.kind()),
            Err(_) => End::Silent,
        };
        if is_notice {
            notices.put_back(message);
        }
        return end;
    }
}

/// Asks for a new certificate whenever two thirds of the old one's life are over.
async fn renew(identity: &Identity<'_>, outgoing: &mpsc::Sender<FromAgent>) -> End {
    loop {
        // A longer sleep would overflow the timer; the time is looked up again.
        let longest = Duration::from_hours(1);
        let left = identity.renew_in();
        sleep(left.min(longest)).await;
        if left > longest {
            continue;
        }
        match identity.request() {
            Ok(request) => {
                let request = FromAgent::CertificateRequest { request };
                if outgoing.send(request).await.is_err() {
                    return End::Closed;
                }
            }
            Err(error) => warn!(%error, "can't make a certificate request"),
        }
        sleep(Duration::from_mins(1)).await;
    }
}
