//! The TCP connection beneath TLS, read in large pieces.
//!
//! TLS reads a record at a time, of 16 KiB at most; a system call for each costs more
//! than its decryption. A connection that is silent holds no buffer.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_util::io::poll_read_buf;

/// How much is read from the connection at once, in bytes: little at first, and more
/// while there always is more.
const MIN_READ: usize = 16 * 1024;
const MAX_READ: usize = 256 * 1024;

/// How much may wait to be sent once it is encrypted, in bytes: a large write
/// then becomes one system call.
const WRITE_SIZE: usize = 256 * 1024;

/// TLS 1.3 over TCP, whichever side dialled.
pub type Tls = TlsStream<Transport>;

/// A TCP connection whose reads are buffered.
#[derive(Debug)]
pub struct Transport {
    tcp: TcpStream,
    buffer: BytesMut,
    /// How much is read next.
    size: usize,
}

impl From<TcpStream> for Transport {
    fn from(tcp: TcpStream) -> Self {
        Self {
            tcp,
            buffer: BytesMut::new(),
            size: MIN_READ,
        }
    }
}

impl Transport {
    /// Has the runtime of the caller drive the connection from now on: a thread that
    /// serves it alone then needn't be woken by another one.
    pub(crate) fn adopt(&mut self) -> io::Result<()> {
        let own = self.tcp.as_fd().try_clone_to_owned()?;
        self.tcp = TcpStream::from_std(own.into())?;
        Ok(())
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

/// Has TLS take large writes whole.
pub(crate) fn enlarge(tls: &mut Tls) {
    match tls {
        Tls::Client(tls) => tls.get_mut().1.set_buffer_limit(Some(WRITE_SIZE)),
        Tls::Server(tls) => tls.get_mut().1.set_buffer_limit(Some(WRITE_SIZE)),
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.buffer.is_empty() {
            if this.tcp.poll_read_ready(cx)?.is_pending() {
                (this.buffer, this.size) = (BytesMut::new(), MIN_READ);
                return Poll::Pending;
            }
            this.buffer.reserve(this.size);
            let read = poll_read_buf(Pin::new(&mut this.tcp), cx, &mut this.buffer);
            if !matches!(read, Poll::Ready(Ok(1..))) {
                (this.buffer, this.size) = (BytesMut::new(), MIN_READ);
            }
            if ready!(read)? >= this.size {
                this.size = MAX_READ;
            }
        }
        let length = this.buffer.len().min(buf.remaining());
        buf.put_slice(this.buffer.get(..length).unwrap_or_default());
        this.buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn bytes_arrive_in_order_and_a_silent_connection_holds_no_buffer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut transport = Transport::from(listener.accept().await.unwrap().0);
        client.write_all(b"one and two").await.unwrap();
        let mut piece = [0; 7];
        transport.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"one and");
        let mut piece = [0; 4];
        transport.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b" two");
        tokio::select! {
            biased;
            read = transport.read_u8() => panic!("{read:?}"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(transport.buffer.capacity(), 0);
        drop(client);
        assert_eq!(transport.read(&mut piece).await.unwrap(), 0);
    }
}
