//! Connections that come to the SSH server by another way than its listener.
//!
//! Each is carried over a pair of sockets on this host, so that everything that holds for
//! a connection holds for it: limits, lock-out and log by the client's own address, what
//! the kernel tells of it, and how it is cut.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Connections that wait to be taken; whoever brings one more waits.
const WAITING: usize = 64;

/// How long the two ends of a pair may take to find each other.
const PAIR_TIMEOUT: Duration = Duration::from_secs(2);

/// What the kernel keeps of a pair in each direction and at each end, in bytes: little, as
/// what waits there can't be overtaken by a keystroke's echo.
const BUFFER: usize = 128 * 1024;

/// How long a connection may take to become what it is upgraded to.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other end may take to close once the SSH connection has ended.
const GOODBYE: Duration = Duration::from_secs(5);

/// Bytes of a client that aren't TCP's own.
pub trait Bytes: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

/// A connection that is brought.
pub struct Carried {
    /// The client's own address.
    pub client: SocketAddr,
    /// Gives the bytes, once the connection is upgraded.
    pub bytes: BoxFuture<'static, Option<Pin<Box<dyn Bytes>>>>,
    /// Ends it.
    pub ended: CancellationToken,
}

/// Where connections are brought to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Entrance(mpsc::Sender<Carried>);

/// Where the SSH server takes them.
#[derive(Debug)]
pub struct Entering(mpsc::Receiver<Carried>);

/// Returns both ends of the way in.
pub fn entrance() -> (Entrance, Entering) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Entrance(sender), Entering(receiver))
}

impl Entrance {
    /// Brings a connection; `false` where the server takes none any more.
    pub async fn enter(&self, carried: Carried) -> bool {
        self.0.send(carried).await.is_ok()
    }
}

impl Entering {
    /// Returns the next one; waits for ever once none can come. Cancel-safe.
    pub(super) async fn next(&mut self) -> Carried {
        match self.0.recv().await {
            Some(carried) => carried,
            None => std::future::pending().await,
        }
    }
}

/// Returns two ends of one connection on this host.
pub(super) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let connecting = timeout(PAIR_TIMEOUT, TcpStream::connect(address));
    let near = connecting.await.map_err(io::Error::from)??;
    let own = near.local_addr()?;
    let accepting = async {
        loop {
            let (far, peer) = listener.accept().await?;
            // Anybody on this host may have come first.
            if peer == own {
                return Ok::<_, io::Error>(far);
            }
        }
    };
    let far = timeout(PAIR_TIMEOUT, accepting)
        .await
        .map_err(io::Error::from)??;
    for end in [&near, &far] {
        end.set_nodelay(true)?;
        let end = socket2::SockRef::from(end);
        end.set_send_buffer_size(BUFFER)?;
        end.set_recv_buffer_size(BUFFER)?;
    }
    Ok((near, far))
}

/// Carries a connection's bytes to its end, or until a moment after the SSH connection is
/// `over`. What is slow pushes back: little is kept in between.
pub(super) async fn carry(carried: Carried, server: TcpStream, over: CancellationToken) {
    let Carried { bytes, ended, .. } = carried;
    let Ok(Some(client)) = timeout(UPGRADE_TIMEOUT, bytes).await else {
        return debug!("a carried connection was never upgraded");
    };
    tokio::select! {
        () = splice(client, server) => {}
        () = ended.cancelled() => debug!("a carried connection was ended"),
        () = async {
            over.cancelled().await;
            sleep(GOODBYE).await;
        } => debug!("a carried connection's client didn't take the rest"),
    }
}

async fn splice(client: Pin<Box<dyn Bytes>>, server: TcpStream) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = server.into_split();
    // An error of either end is that direction's end; the other learns of it by its own.
    let up = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let down = async {
        let _ = copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::pin!(up, down);
    tokio::select! {
        () = &mut up => down.await,
        () = &mut down => {
            let _ = timeout(GOODBYE, up).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, duplex};

    #[tokio::test]
    async fn bytes_go_both_ways_and_each_end_has_its_own_end() {
        let (mut client, carried) = duplex(64);
        let (mut server, far) = pair().await.unwrap();
        let bytes: Pin<Box<dyn Bytes>> = Box::pin(carried);
        let carried = Carried {
            client: "192.0.2.1:1".parse().unwrap(),
            bytes: Box::pin(std::future::ready(Some(bytes))),
            ended: CancellationToken::new(),
        };
        let work = async {
            client.write_all(b"up").await.unwrap();
            client.shutdown().await.unwrap();
            let mut up = String::new();
            server.read_to_string(&mut up).await.unwrap();
            assert_eq!(up, "up");
            server.write_all(b"down").await.unwrap();
            drop(server);
            let mut down = String::new();
            client.read_to_string(&mut down).await.unwrap();
            assert_eq!(down, "down");
        };
        tokio::join!(carry(carried, far, CancellationToken::new()), work);
    }
}
