//! Listeners in the workspace that a client asked for: `tcpip-forward`
//! (RFC 4254 §7.1) and `streamlocal-forward@openssh.com`.
//!
//! A listener lives as long as its stream. Invariant: once a cancel was
//! answered, its address is free.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::frame::{Frame, FrameReader};
use devgate_protocol::{Answer, Open, Stream};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::{Connection, Listener, Opened};
use crate::refusal::Refused;
use crate::workspaces::Wake;

/// How many listeners one connection may have.
const MAX_LISTENERS: usize = 256;

/// How long an agent may take to free a listener.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client's request waits for a workspace that is starting. Its
/// connection does nothing else meanwhile, as its answer must come in order.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(20);

/// Pauses between attempts to open a listener again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What a listener is known by: what the client will cancel it with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Tcpip(String, u16),
    Streamlocal(String),
}

/// The listeners of one connection.
#[derive(Debug, Default)]
pub(super) struct Forwards(HashMap<Key, Forward>);

#[derive(Debug)]
struct Forward {
    cancel: CancellationToken,
    freed: oneshot::Receiver<()>,
}

impl Forwards {
    /// Listens; returns the port that was bound, 0 for a Unix socket.
    pub(super) async fn listen(
        &mut self,
        connection: &Arc<Connection>,
        key: Key,
    ) -> Result<u16, Refused> {
        self.0.retain(|_, forward| !forward.cancel.is_cancelled());
        if self.0.len() >= MAX_LISTENERS {
            return Err(Refused::TooManyListeners);
        }
        let open = key.open();
        let opening = connection.open(&open, Wake::Background, None);
        let Opened { stream, answer, .. } = timeout(LISTEN_TIMEOUT, opening)
            .await
            .map_err(|_| Refused::NotReadyInTime)??;
        let (key, listener, bound_port) = match (key, answer) {
            (Key::Tcpip(bound, _), Answer::Listening { port }) => (
                Key::Tcpip(bound.clone(), port),
                Listener::Tcpip {
                    bound,
                    bound_port: port,
                },
                port,
            ),
            (Key::Streamlocal(path), _) => (
                Key::Streamlocal(path.clone()),
                Listener::Streamlocal { path },
                0,
            ),
            (Key::Tcpip(..), _) => return Err(Refused::AgentLost),
        };
        let forward = serve(connection, stream, key.open(), listener);
        self.0.insert(key, forward);
        Ok(bound_port)
    }

    /// Ends a listener and waits until its address is free; returns whether
    /// there was one.
    pub(super) async fn cancel(&mut self, key: &Key) -> bool {
        let Some(forward) = self.0.remove(key) else {
            return false;
        };
        forward.cancel.cancel();
        // It ends in bounded time, also where the agent doesn't answer.
        let _ = forward.freed.await;
        true
    }
}

impl Key {
    fn open(&self) -> Open {
        match self {
            Self::Tcpip(address, port) => Open::TcpipForward {
                address: address.clone(),
                port: *port,
            },
            Self::Streamlocal(path) => Open::StreamlocalForward { path: path.clone() },
        }
    }
}

/// Collects what a listener announces, in a task of the connection. A listener
/// that is lost with its agent is opened again: the client believes it is there.
fn serve(connection: &Arc<Connection>, stream: Stream, open: Open, listener: Listener) -> Forward {
    let cancel = connection.token();
    let (free, freed) = oneshot::channel();
    let (cancelled, owner) = (cancel.clone(), Arc::clone(connection));
    connection.spawn(async move {
        let mut stream = Some(stream);
        while let Some(listening) = stream {
            let ended = announce(&owner, listening, &listener, &cancelled).await;
            stream = match ended {
                Announced::Cancelled => None,
                Announced::Lost => open_again(&owner, &open, &cancelled).await,
            };
        }
        // Nobody waits where the connection has ended.
        let _ = free.send(());
    });
    Forward { cancel, freed }
}

/// How a listener's stream ended.
enum Announced {
    /// The client or the connection's end cancelled it, and its address is free.
    Cancelled,
    /// The agent ended it.
    Lost,
}

/// Collects what one listener's stream announces.
async fn announce(
    connection: &Arc<Connection>,
    stream: Stream,
    listener: &Listener,
    cancelled: &CancellationToken,
) -> Announced {
    let (reader, mut writer) = stream.split();
    let mut frames = FrameReader::new(reader);
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = cancelled.cancelled() => break,
        };
        match frame {
            Ok(Some(Frame::Accepted(accepted))) => {
                connection.collect(accepted, listener.clone()).await;
            }
            Ok(Some(_)) => {}
            Ok(None) => return Announced::Lost,
            Err(error) => {
                debug!(%error, "listening stream broke");
                return Announced::Lost;
            }
        }
    }
    // The agent frees the address, then ends the stream.
    let freed = async {
        if writer.shutdown().await.is_ok() {
            while let Ok(Some(_)) = frames.next().await {}
        }
    };
    if timeout(CANCEL_TIMEOUT, freed).await.is_err() {
        debug!("agent was slow to free a listener");
    }
    Announced::Cancelled
}

/// Opens a listener again once its workspace runs; `None` where it is cancelled.
async fn open_again(
    connection: &Connection,
    open: &Open,
    cancelled: &CancellationToken,
) -> Option<Stream> {
    let mut pause = FIRST_PAUSE;
    loop {
        cancelled.run_until_cancelled(sleep(pause)).await?;
        // Nobody asks for it: it is there again once something wakes the workspace.
        let opening = connection.open(open, Wake::Again, None);
        match cancelled.run_until_cancelled(opening).await? {
            Ok(opened) => return Some(opened.stream),
            Err(error) => debug!(%error, ?pause, "listener not yet back"),
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
