//! One connection to a gateway: TCP, TLS, HTTP upgrade.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::transport::{Tls, Transport};
use devgate_protocol::websocket::{accept_key, new_key};
use devgate_protocol::{TUNNEL_HEADER, UPGRADE_TOKEN};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest wait for a connection, its handshake and its upgrade.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of an HTTP response, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// Silence of an idle connection after which the gateway is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(30);

/// Time between two such questions.
const PROBE: Duration = Duration::from_secs(10);

/// Unanswered questions after which the gateway is gone: a network may be gone for a minute and a
/// half, as with SSH, and that may begin just before the first. A gateway thinks the same.
const PROBES: u32 = 9;

/// What a connection is upgraded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Raw bytes.
    Raw,
    /// A WebSocket (RFC 6455).
    Websocket,
}

/// A connection that didn't come to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The address isn't `host:port`.
    #[error("{0:?} is not host:port")]
    Address(String),
    /// The connection or its handshake failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// Something took too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    /// The upgrade was answered otherwise.
    #[error("the upgrade was answered with status {0}")]
    Refused(u16),
    /// The answer isn't HTTP, or not to what was asked.
    #[error("the answer is not an HTTP upgrade")]
    NotHttp,
}

/// Connects to `gateway` (`host:port`) and upgrades the connection at `path`.
pub(super) async fn connect(
    gateway: &str,
    config: Arc<ClientConfig>,
    path: &str,
    protocol: Protocol,
    tunnel: &str,
) -> Result<Tls, ConnectError> {
    let connected = async {
        let bad = || ConnectError::Address(gateway.to_owned());
        let (host, _port) = gateway.rsplit_once(':').ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
        let stream = TcpStream::connect(gateway).await?;
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(SILENCE)
            .with_interval(PROBE)
            .with_retries(PROBES);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        let stream = TlsConnector::from(config)
            .connect(name, Transport::from(stream))
            .await?;
        let mut stream = Tls::from(stream);
        upgrade(&mut stream, gateway, path, protocol, tunnel).await?;
        Ok(stream)
    };
    timeout(TIMEOUT, connected)
        .await
        .map_err(|_| ConnectError::TimedOut)?
}

/// Asks for the upgrade and reads its answer, and not a byte more.
async fn upgrade(
    stream: &mut Tls,
    gateway: &str,
    path: &str,
    protocol: Protocol,
    tunnel: &str,
) -> Result<(), ConnectError> {
    let key = new_key();
    let specific = match protocol {
        Protocol::Raw => format!("Upgrade: {UPGRADE_TOKEN}\r\n"),
        Protocol::Websocket => format!(
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        ),
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {gateway}\r\nConnection: Upgrade\r\n{specific}\
         {TUNNEL_HEADER}: {tunnel}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;

    let mut head = Vec::with_capacity(256);
    // Byte by byte out of the TLS layer's buffer: what follows is the stream's.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(ConnectError::NotHttp);
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).map_err(|_| ConnectError::NotHttp)?;
    let mut lines = head.split("\r\n");
    match status(lines.next().unwrap_or_default()) {
        Some(101) => {}
        Some(status) => return Err(ConnectError::Refused(status)),
        None => return Err(ConnectError::NotHttp),
    }
    let accepted = |wanted: &str| {
        lines.any(|line| match line.split_once(':') {
            Some((name, value)) => {
                name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == wanted
            }
            None => false,
        })
    };
    match protocol {
        Protocol::Raw => Ok(()),
        Protocol::Websocket if { accepted }(&accept_key(key.as_bytes())) => Ok(()),
        Protocol::Websocket => Err(ConnectError::NotHttp),
    }
}

/// Returns the code of a status line (RFC 9112 §4).
fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    let code = rest.split(' ').next()?;
    (version == "HTTP/1.1").then(|| code.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_and_anything_else_is_not_http() {
        assert_eq!(status("HTTP/1.1 101 Switching Protocols"), Some(101));
        assert_eq!(status("HTTP/1.1 403"), Some(403));
        for bad in ["", "SSH-2.0-x", "HTTP/1.1", "HTTP/1.1 abc", "HTTP/2 200"] {
            assert_eq!(status(bad), None, "{bad}");
        }
    }
}
