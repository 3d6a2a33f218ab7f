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
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::{Connection, Listener};
use crate::refusal::Refused;
use crate::workspaces::Wake;

/// How many listeners one connection may have.
const MAX_LISTENERS: usize = 256;

/// How long an agent may take to free a listener.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client's request waits for a workspace that is starting. Its
/// connection does nothing else meanwhile, as its answer must come in order.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(20);

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
        let open = match &key {
            Key::Tcpip(address, port) => Open::TcpipForward {
                address: address.clone(),
                port: *port,
            },
            Key::Streamlocal(path) => Open::StreamlocalForward { path: path.clone() },
        };
        let opening = connection.open(&open, Wake::Background);
        let (stream, answer) = tokio::time::timeout(LISTEN_TIMEOUT, opening)
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
        let forward = serve(connection, stream, listener);
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
        if tokio::time::timeout(CANCEL_TIMEOUT, forward.freed)
            .await
            .is_err()
        {
            debug!(?key, "agent was slow to free a listener");
        }
        true
    }
}

/// Collects what a listener announces, in a task of the connection.
fn serve(connection: &Arc<Connection>, stream: Stream, listener: Listener) -> Forward {
    let cancel = connection.token();
    let (free, freed) = oneshot::channel();
    let (cancelled, owner) = (cancel.clone(), Arc::clone(connection));
    connection.spawn(async move {
        let (reader, mut writer) = stream.split();
        let mut frames = FrameReader::new(reader);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                () = cancelled.cancelled() => break,
            };
            match frame {
                Ok(Some(Frame::Accepted(accepted))) => {
                    owner.collect(accepted, listener.clone());
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    debug!(%error, "listening stream broke");
                    break;
                }
            }
        }
        cancelled.cancel();
        // The agent frees the address, then ends the stream.
        if writer.shutdown().await.is_ok() {
            while let Ok(Some(_)) = frames.next().await {}
        }
        // Nobody waits where the connection has ended.
        let _ = free.send(());
    });
    Forward { cancel, freed }
}
