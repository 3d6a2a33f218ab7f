//! Accepts connections and lets them wait for the gateway.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use devgate_protocol::{Accepted, Originator};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::warn;

use super::SocketFile;
use crate::waiting::{Announcer, Connection, Waiting};

/// Pause after a failed accept: what failed, a lack of descriptors say, lasts.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is listened on.
#[derive(Debug)]
pub(crate) enum Listener {
    /// A forwarded port.
    Tcp(Vec<TcpListener>),
    /// A forwarded Unix socket.
    Unix(SocketFile),
    /// A session's forwarded authentication agent.
    AuthAgent(SocketFile),
    /// A session's forwarded display.
    X11(Vec<TcpListener>),
}

impl Listener {
    /// Accepts a connection. Cancel-safe.
    async fn accept(&self) -> io::Result<(Connection, Originator)> {
        match self {
            Self::Tcp(listeners) => {
                let (connection, peer) = accept_any(listeners).await?;
                let (address, port) = (peer.ip(), peer.port());
                Ok((connection, Originator::Tcpip { address, port }))
            }
            Self::X11(listeners) => {
                let (connection, peer) = accept_any(listeners).await?;
                let (address, port) = (peer.ip(), peer.port());
                Ok((connection, Originator::X11 { address, port }))
            }
            Self::Unix(socket) => Ok((accept_unix(socket).await?, Originator::Streamlocal)),
            Self::AuthAgent(socket) => Ok((accept_unix(socket).await?, Originator::AuthAgent)),
        }
    }
}

/// Accepts connections and sends what to tell the gateway, until nobody receives it.
pub(crate) async fn relay(waiting: &Waiting, listener: &Listener, tell: mpsc::Sender<Accepted>) {
    let mut announcer = Announcer::new(waiting);
    loop {
        let place = announcer.place();
        let accept = async {
            let place = place.await;
            (listener.accept().await, place)
        };
        tokio::select! {
            (accepted, place) = accept => match accepted {
                Ok((connection, originator)) => {
                    let accepted = announcer.announce(connection, originator, place);
                    if tell.send(accepted).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            () = announcer.expire() => {}
            () = tell.closed() => return,
        }
    }
}

async fn accept_unix(socket: &SocketFile) -> io::Result<Connection> {
    let (stream, _) = socket.listener().accept().await?;
    Ok(Connection::Unix(stream))
}

async fn accept_any(listeners: &[TcpListener]) -> io::Result<(Connection, SocketAddr)> {
    let accept = |cx: &mut Context<'_>| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    };
    let (stream, peer) = poll_fn(accept).await?;
    Ok((Connection::Tcp(stream), peer))
}
