//! Dials TCP inside the workspace.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

/// How long a connection may take, its name's resolution included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Head start of each address over the next one (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Connects to the first address of `host` that answers.
pub(super) async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let connected = timeout(CONNECT_TIMEOUT, async {
        first(&addresses(host, port).await?).await
    });
    connected
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Returns the addresses of `host`. `localhost` needs no resolver: servers listen on
/// either loopback address, and images without `/etc/hosts` exist.
pub(super) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Ok(ip) = literal.unwrap_or(host).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    Ok(lookup_host((host, port))
        .await?
        .take(MAX_ADDRESSES)
        .collect())
}

/// Returns an error's text without the standard library's "(os error 111)".
pub(super) fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
        return "timed out".to_owned();
    }
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

/// Connects to all addresses, each with a head start over the next one that ends when
/// it fails, and returns the first connection. The error is the first address's.
async fn first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut rest = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if let Some(address) = rest.next() {
            attempts.push(TcpStream::connect(address));
        }
        let more = rest.len() > 0;
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = failure.or(Some(error)),
                None => return Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            },
            () = sleep(ATTEMPT_DELAY), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn localhost_reaches_a_server_on_either_loopback_address() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let reached = tcp("localhost", port).await.unwrap().peer_addr().unwrap();
            assert_eq!(reached, listener.local_addr().unwrap());
        }
    }

    #[tokio::test]
    async fn a_refused_connection_says_so_in_plain_words() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = tcp("127.0.0.1", port).await.unwrap_err();
        assert_eq!(reason(&error), "Connection refused");
    }
}
