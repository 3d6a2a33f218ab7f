//! Agents that dial in: a pool of spare connections, assigned one by one.

use std::collections::VecDeque;
use std::time::Duration;

use devgate_protocol::Stream;
use devgate_protocol::control::FromGateway;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::debug;

use super::TunnelError;

/// Most spares that a tunnel keeps; an agent keeps fewer.
const MAX_SPARES: usize = 128;

/// Most streams that wait for a connection at once; more are refused.
const MAX_WAITING: usize = 1024;

/// Longest wait for a connection that the agent was asked for.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The spare data connections of one tunnel.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Connections>);

#[derive(Debug, Default)]
struct Connections {
    spares: VecDeque<Stream>,
    waiting: VecDeque<oneshot::Sender<Stream>>,
}

impl Pool {
    /// Takes a connection that the agent offers: for who has waited longest, or as
    /// a spare. One too many is closed.
    pub(super) fn offer(&self, mut stream: Stream) {
        let mut connections = self.0.lock();
        while let Some(waiting) = connections.waiting.pop_front() {
            match waiting.send(stream) {
                Ok(()) => return,
                Err(unclaimed) => stream = unclaimed,
            }
        }
        connections.spares.retain_mut(is_alive);
        if connections.spares.len() < MAX_SPARES {
            connections.spares.push_back(stream);
        } else {
            debug!("an agent offers more connections than are kept");
        }
    }

    /// Takes a spare that lives, as far as can be seen, or asks the agent for a
    /// connection and waits for it. Cancel-safe.
    pub(super) async fn take(
        &self,
        ask: &mpsc::Sender<FromGateway>,
    ) -> Result<Stream, TunnelError> {
        let arriving = {
            let mut connections = self.0.lock();
            // The newest is the one that most likely lives.
            while let Some(mut spare) = connections.spares.pop_back() {
                if is_alive(&mut spare) {
                    return adopted(spare);
                }
                debug!("dropped a dead spare connection");
            }
            connections.waiting.retain(|waiting| !waiting.is_closed());
            if connections.waiting.len() >= MAX_WAITING {
                return Err(TunnelError::TimedOut);
            }
            let (sender, arriving) = oneshot::channel();
            connections.waiting.push_back(sender);
            arriving
        };
        let dialled = async {
            let asked = ask.send(FromGateway::Dial { count: 1 }).await;
            asked.map_err(|_| TunnelError::NotConnected)?;
            let arrived = arriving.await.map_err(|_| TunnelError::NotConnected)?;
            adopted(arrived)
        };
        timeout(DIAL_TIMEOUT, dialled)
            .await
            .map_err(|_| TunnelError::TimedOut)?
    }
}

/// Moves a connection to the thread that will use it; the listener's made it.
fn adopted(mut stream: Stream) -> Result<Stream, TunnelError> {
    let moved = stream.adopt();
    moved.map_err(|error| TunnelError::Stream(error.into()))?;
    Ok(stream)
}

/// Whether a spare is silent and open: an agent says nothing before it is asked,
/// so that anything to read, its end included, means that it can't be used.
fn is_alive(spare: &mut Stream) -> bool {
    spare.read_u8().now_or_never().is_none()
}
