//! A client's TCP connection, tuned for SSH and able to be cut from outside.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tracing::debug;

use super::Way;

/// How much unsent data the kernel keeps, in bytes, before it asks for more.
///
/// What waits here can't be overtaken by a keystroke's echo, so it is kept just
/// large enough that the socket never runs dry between two wake-ups.
const NOTSENT_LOWAT: nix::libc::c_int = 128 * 1024;

/// How many times the shortest round trip a path's usual one may be: where it varies, as over
/// the air.
const JITTER: u32 = 3;

/// One client's connection.
///
/// Clients with Nagle's algorithm on (Node's ssh2, older OpenSSH without a terminal) hold
/// back a small packet until the one before is acknowledged, which the kernel delays by
/// 40 ms where nothing is sent back: with each of their windows' adjustments, for one. So
/// what was read is acknowledged before more is waited for, unless something that was
/// written has done it.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: Arc<TcpStream>,
    /// Something was read, and nothing written since.
    unacknowledged: bool,
}

/// Tells how far away the client of a [`Socket`] is.
#[derive(Clone, Debug)]
pub(super) struct Gauge(Arc<TcpStream>, Way);

/// Ends a [`Socket`] that is owned by somebody else.
#[derive(Clone, Debug)]
pub(super) struct Cutter(Arc<TcpStream>);

impl Socket {
    /// Tunes the connection: no delay, and little unsent data in the kernel.
    pub(super) fn new(tcp: TcpStream) -> Self {
        if let Err(error) = tcp.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY refused");
        }
        if let Err(error) = limit_unsent(&tcp) {
            debug!(%error, "TCP_NOTSENT_LOWAT refused");
        }
        Self {
            tcp: Arc::new(tcp),
            unacknowledged: false,
        }
    }

    fn acknowledge(&mut self) {
        if std::mem::take(&mut self.unacknowledged) {
            // The kernel takes it back after a while: hence each time. It fails only where
            // the connection has ended.
            let _ = rustix::net::sockopt::set_tcp_quickack(&*self.tcp, true);
        }
    }

    pub(super) fn cutter(&self) -> Cutter {
        Cutter(Arc::clone(&self.tcp))
    }

    pub(super) fn gauge(&self, way: Way) -> Gauge {
        Gauge(Arc::clone(&self.tcp), way)
    }
}

impl Gauge {
    /// Returns the path's round trip time, where it can be known.
    ///
    /// It is the kernel's smoothed one: that contains how long data waits in a client that
    /// is slow to read it, which must not be taken for the path's length. So it is at most
    /// [`JITTER`] times the shortest of the last minutes.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        match self.1 {
            Way::Direct => {
                let information = information(&self.0).ok()?;
                let microseconds = path(information.tcpi_rtt, information.tcpi_min_rtt);
                Some(Duration::from_micros(microseconds.into()))
            }
            Way::Carried => None,
        }
    }
}

impl Cutter {
    /// Makes every read and write on the socket end at once.
    pub(super) fn cut(&self) {
        // It fails only where the connection has ended already.
        let _ = socket2::SockRef::from(&*self.0).shutdown(Shutdown::Both);
    }
}

/// Returns a path's round trip time by the kernel's, all in microseconds.
fn path(smoothed: u32, shortest: u32) -> u32 {
    match shortest {
        // An old kernel doesn't tell.
        0 => smoothed,
        shortest => smoothed.min(shortest.saturating_mul(JITTER)),
    }
}

#[expect(unsafe_code, reason = "no kept library offers TCP_INFO (tcp(7))")]
fn information(tcp: &TcpStream) -> io::Result<nix::libc::tcp_info> {
    let mut information = MaybeUninit::<nix::libc::tcp_info>::zeroed();
    let mut length = nix::libc::socklen_t::try_from(size_of::<nix::libc::tcp_info>())
        .map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe `information`, which outlives the call.
    let result = unsafe {
        nix::libc::getsockopt(
            tcp.as_raw_fd(),
            nix::libc::IPPROTO_TCP,
            nix::libc::TCP_INFO,
            information.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        // SAFETY: it consists of integers; what an older kernel left out is zero.
        Ok(unsafe { information.assume_init() })
    } else {
        Err(io::Error::last_os_error())
    }
}

#[expect(
    unsafe_code,
    reason = "no kept library offers TCP_NOTSENT_LOWAT (tcp(7))"
)]
fn limit_unsent(tcp: &TcpStream) -> io::Result<()> {
    let value = NOTSENT_LOWAT;
    let length = nix::libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe `value`, which outlives the call.
    let result = unsafe {
        nix::libc::setsockopt(
            tcp.as_raw_fd(),
            nix::libc::IPPROTO_TCP,
            nix::libc::TCP_NOTSENT_LOWAT,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(readable) = this.tcp.poll_read_ready(cx) else {
                this.acknowledge();
                return Poll::Pending;
            };
            readable?;
            match this.tcp.try_read(buf.initialize_unfilled()) {
                Ok(n) => {
                    buf.advance(n);
                    this.unacknowledged = true;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.unacknowledged = false;
                    return Poll::Ready(result);
                }
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(
            match socket2::SockRef::from(&*self.tcp).shutdown(Shutdown::Write) {
                Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
                _ => Ok(()),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::{Duration, Instant};

    #[tokio::test]
    async fn a_client_with_nagles_algorithm_on_is_not_held_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut socket = Socket::new(listener.accept().await.unwrap().0);
        let began = Instant::now();
        let asking = async {
            for _ in 0..50 {
                // The second is held back until the first is acknowledged.
                client.write_all(b"adjust").await.unwrap();
                client.write_all(b"ask").await.unwrap();
                client.read_exact(&mut [0; 6]).await.unwrap();
            }
        };
        let answering = async {
            for _ in 0..50 {
                socket.read_exact(&mut [0; 9]).await.unwrap();
                socket.write_all(b"answer").await.unwrap();
            }
        };
        tokio::join!(asking, answering);
        let elapsed = began.elapsed();
        assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_is_not_far_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut socket = Socket::new(listener.accept().await.unwrap().0);
        socket.write_all(b"there").await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        client.write_all(b"back").await.unwrap();
        socket.read_exact(&mut [0; 4]).await.unwrap();
        let seen = information(&socket.tcp).unwrap();
        let (smoothed, shortest) = (seen.tcpi_rtt, seen.tcpi_min_rtt);
        // This kernel tells it.
        assert!((1..=smoothed).contains(&shortest), "{shortest} {smoothed}");

        assert_eq!(path(40_000, 20), 60);
        assert_eq!(path(30_000, 20_000), 30_000);
        assert_eq!(path(30_000, 0), 30_000);
        assert_eq!(path(30_000, u32::MAX), 30_000);
    }

    #[tokio::test]
    async fn a_cut_ends_a_read_that_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut socket = Socket::new(listener.accept().await.unwrap().0);
        let cutter = socket.cutter();
        let mut byte = [0];
        let (read, ()) = tokio::join!(socket.read(&mut byte), async { cutter.cut() });
        assert_eq!(read.unwrap(), 0);
    }
}
