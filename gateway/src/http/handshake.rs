//! The TLS handshake of a connection.

use std::io;
use std::net::IpAddr;

use devgate_certs::why_refused;
use devgate_protocol::transport::Transport as Buffered;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use super::apps::Apps;
use super::plain;
use super::serve::Limits;

/// Shakes hands with a peer; `None` where it spoke plain HTTP, and was sent away.
pub(super) async fn shake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    (peer, apps): (IpAddr, Option<&Apps>),
    limits: &Limits,
) -> io::Result<Option<TlsStream<Buffered>>> {
    if plain::is_spoken(&stream).await? {
        plain::send_away(stream, peer, apps, limits.headers).await;
        return Ok(None);
    }
    acceptor.accept(Buffered::from(stream)).await.map(Some)
}

/// A refused certificate is worth a warning, other noise isn't.
pub(super) fn log_refused(error: &io::Error) {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    if let Some(why) = cause.and_then(why_refused) {
        warn!(why, "refused a client's certificate");
    } else {
        debug!(%error, "a TLS handshake failed");
    }
}
