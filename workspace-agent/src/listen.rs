//! The local socket, through which a gateway on the same host reaches the agent.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::config::Reach;
use devgate_protocol::{Stream, handshake, socket};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::agent::Agent;
use crate::serve::serve_opened;

/// How long a stream's header may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a failed accept: what failed, a lack of descriptors say, lasts.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long streams have to end once the agent has.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Listens at `path`, with mode 0600.
///
/// # Errors
/// `AddrInUse` where another agent answers there.
pub async fn bind(path: &Path) -> io::Result<UnixListener> {
    socket::bind(path).await
}

/// Listens at `path` for a gateway that may run as another user.
///
/// # Errors
/// `AddrInUse` where another agent answers there.
pub async fn bind_for(path: &Path, gateway: Option<u32>) -> io::Result<UnixListener> {
    match gateway {
        Some(_) => socket::bind_for_others(path).await,
        None => socket::bind(path).await,
    }
}

/// Serves every stream that arrives until `stop`, and those that did to their end or
/// until shortly after the agent's.
pub async fn run(agent: Arc<Agent>, listener: UnixListener, stop: CancellationToken) {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = streams.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    streams.spawn(receive(Arc::clone(&agent), stream));
                }
                Err(error) => {
                    warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let stopping = agent.stopping();
    let drained = async {
        while let Some(ended) = streams.join_next().await {
            report(ended);
        }
    };
    let overdue = async {
        stopping.cancelled().await;
        sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = drained => return,
        () = overdue => {}
    }
    info!(
        streams = streams.len(),
        "ending streams that are still open"
    );
    streams.shutdown().await;
}

async fn receive(agent: Arc<Agent>, stream: UnixStream) {
    let gateway = match agent.config().reach {
        Reach::Socket { gateway, .. } => gateway,
        Reach::Dial { .. } => None,
    };
    if let Err(error) = socket::check_peer_or(&stream, gateway) {
        warn!(%error, "a peer was turned away");
        return;
    }
    let mut stream = Stream::from(stream);
    match timeout(HEADER_TIMEOUT, handshake::read_open(&mut stream)).await {
        Ok(Ok(open)) => serve_opened(agent, stream, open).await,
        Ok(Err(error)) => debug!(%error, "a stream ended before its header"),
        Err(_) => debug!("a stream sent no header in time"),
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "a stream's task panicked");
    }
}
