//! How long the other end of a connection may be silent: a network that is gone for a while
//! breaks nothing, and whoever is gone for good is noticed.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How long a network may be gone, as with SSH (`ssh.keepalive-interval` and
/// `ssh.keepalive-count`).
const OUTAGE: Duration = Duration::from_secs(90);

/// Longest time in which a peer takes nothing, or gives no sign of life.
///
/// Twice an outage: TCP doubles its pauses (RFC 6298 §5.5), so that as much time again may pass
/// until it sees that the network is back. What those who stop reading hold meanwhile is bounded
/// by how many connections there may be.
pub(super) const STALL: Duration = OUTAGE.saturating_mul(2);

/// Silence of an idle connection after which its peer is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(30);

/// Time between two such questions.
const PROBE: Duration = Duration::from_secs(10);

/// Unanswered questions after which a peer is gone that nothing else bounds: an outage may
/// begin just before the first.
const PROBES: u32 = 9; // × 10 s = OUTAGE

/// Sends at once what is written, and finds out when the peer takes nothing, or gives no sign
/// of life, for as long as `stall`.
pub(super) fn bound(stream: &TcpStream, stall: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // The kernel counts from when the peer's window closed, or its acknowledgements ceased. On an
    // idle connection it counts from the last sign of life, in place of PROBES.
    SockRef::from(stream).set_tcp_user_timeout(Some(stall))?;
    let keepalive = TcpKeepalive::new()
        .with_time(SILENCE)
        .with_interval(PROBE)
        .with_retries(PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Bears with an agent, which takes nothing for as long as its program does.
pub(super) fn bear(stream: &impl AsFd) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(None)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::SshConfig;
    use crate::http::serve::Limits;

    #[tokio::test]
    async fn an_outage_that_ssh_survives_breaks_no_connection_over_http() {
        let ssh = SshConfig::default();
        let survived = ssh.keepalive_interval.get() * ssh.keepalive_count;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let socket = SockRef::from(&stream);

        bound(&stream, Limits::default().stall).unwrap();
        let least = 2 * survived;
        assert!(socket.tcp_user_timeout().unwrap() >= Some(least));
        assert!(socket.keepalive().unwrap());

        bear(&stream).unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
        let asked =
            socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert!(asked >= survived, "{asked:?}");
    }
}
