//! What a connected agent is told on its control connection: for its programs, and for
//! sessions past their streams.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use devgate_protocol::FEATURE_OVERTAKING;
use devgate_protocol::control::{FromGateway, Overtaking};
use tokio::time::timeout;

use super::Tunnels;
use crate::names::WorkspaceId;
use crate::tunnel::entry::Tunnel;
use crate::tunnel::{TunnelError, control};

/// Longest wait until an agent knows what it is told while it is connected.
const TELL_TIMEOUT: Duration = Duration::from_secs(2);

impl Tunnels {
    /// Tells a workspace's agent anew what it was told when it connected. Once this
    /// returns, programs that start know it.
    ///
    /// # Errors
    /// Where no agent is connected, or it doesn't say in time that it knows.
    pub async fn tell(&self, id: &WorkspaceId) -> Result<(), TunnelError> {
        let tunnel = self.newest(id).ok_or(TunnelError::NotConnected)?;
        let supply = control::supply(self.vault(), id, &tunnel.info).await;
        let number = self.0.tellings.fetch_add(1, Ordering::Relaxed) + 1;
        let mut known = tunnel.known.subscribe();
        let telling = async {
            let message = FromGateway::Tell {
                number,
                environment: supply.environment,
                secrets: supply.told,
                missing: supply.missing,
                authority: supply.authority,
            };
            let sent = tunnel.outgoing.send(message).await;
            sent.map_err(|_| TunnelError::NotConnected)?;
            tokio::select! {
                // The sender is in the tunnel, so it can't be gone.
                _ = known.wait_for(|known| *known == number) => Ok(()),
                () = tunnel.stop.cancelled() => Err(TunnelError::NotConnected),
            }
        };
        let told = timeout(TELL_TIMEOUT, telling).await;
        told.map_err(|_| TunnelError::TimedOut)?
    }

    /// Hands a session, named by its number, a request past its stream. Where an agent has
    /// several tunnels any will do.
    ///
    /// # Errors
    /// `NotConnected` where there is no control connection to an agent that takes such.
    pub async fn overtake(
        &self,
        id: &WorkspaceId,
        session: u64,
        request: Overtaking,
    ) -> Result<(), TunnelError> {
        let tunnel = self.overtaking(id).ok_or(TunnelError::NotConnected)?;
        let message = FromGateway::Overtake { session, request };
        tokio::select! {
            sent = tunnel.outgoing.send(message) => sent.map_err(|_| TunnelError::NotConnected),
            () = tunnel.stop.cancelled() => Err(TunnelError::NotConnected),
        }
    }

    fn overtaking(&self, id: &WorkspaceId) -> Option<Arc<Tunnel>> {
        let workspaces = self.0.lock();
        let mut newest_first = workspaces.get(id)?.tunnels.iter().rev();
        let found = newest_first.find(|tunnel| {
            let mut features = tunnel.info.features.iter();
            !tunnel.stop.is_cancelled() && features.any(|it| it == FEATURE_OVERTAKING)
        });
        found.cloned()
    }
}
