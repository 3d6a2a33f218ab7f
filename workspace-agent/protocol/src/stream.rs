//! The connections that carry streams.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixStream, unix};

use crate::descriptor::Handed;
use crate::transport::{self, Tls};
use crate::websocket::WebSocketBytes;

/// One connection between a gateway and an agent, of any kind.
///
/// `shutdown` ends the written direction only; the other one stays open. What is
/// written may wait in a buffer until the next write, so a writer that pauses
/// calls `flush` first.
#[derive(Debug)]
pub enum Stream {
    /// On the same host.
    Local(UnixStream),
    /// Over TLS 1.3, whichever side dialled.
    Tls(Box<Tls>),
    /// Over WebSocket messages, where a proxy lets nothing else through.
    WebSocket(Box<WebSocketBytes>),
    /// On the same host, past the agent.
    Handed(Arc<Handed>),
}

/// The reading half of a [`Stream`].
#[derive(Debug)]
pub enum ReadHalf {
    /// On the same host.
    Local(unix::OwnedReadHalf),
    /// Over TLS.
    Tls(tokio::io::ReadHalf<Box<Tls>>),
    /// Over WebSocket messages.
    WebSocket(tokio::io::ReadHalf<Box<WebSocketBytes>>),
    /// On the same host, past the agent.
    Handed(Arc<Handed>),
}

/// The writing half of a [`Stream`]. Dropping it doesn't end its direction;
/// `shutdown` does.
#[derive(Debug)]
pub enum WriteHalf {
    /// On the same host.
    Local(unix::OwnedWriteHalf),
    /// Over TLS.
    Tls(tokio::io::WriteHalf<Box<Tls>>),
    /// Over WebSocket messages.
    WebSocket(tokio::io::WriteHalf<Box<WebSocketBytes>>),
    /// On the same host, past the agent.
    Handed(Arc<Handed>),
}

impl Stream {
    /// Has the runtime of the caller drive the stream from now on, if it is another
    /// one that made it. Must be called within a runtime.
    ///
    /// # Errors
    /// Where there is no room for another descriptor; the stream stays as it was.
    pub fn adopt(&mut self) -> io::Result<()> {
        match self {
            // Whoever wants a local one makes it.
            Self::Local(_) | Self::Handed(_) => Ok(()),
            Self::Tls(tls) => match &mut **tls {
                Tls::Client(tls) => tls.get_mut().0.adopt(),
                Tls::Server(tls) => tls.get_mut().0.adopt(),
            },
            Self::WebSocket(socket) => socket.adopt(),
        }
    }

    /// Splits the stream into halves that different tasks can own.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Local(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Local(read), WriteHalf::Local(write))
            }
            Self::Tls(stream) => {
                let (read, write) = tokio::io::split(stream);
                (ReadHalf::Tls(read), WriteHalf::Tls(write))
            }
            Self::WebSocket(stream) => {
                let (read, write) = tokio::io::split(stream);
                (ReadHalf::WebSocket(read), WriteHalf::WebSocket(write))
            }
            Self::Handed(socket) => (
                ReadHalf::Handed(Arc::clone(&socket)),
                WriteHalf::Handed(socket),
            ),
        }
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Local(stream)
    }
}

impl From<Handed> for Stream {
    fn from(connection: Handed) -> Self {
        Self::Handed(Arc::new(connection))
    }
}

impl<S: Into<Tls>> From<Box<S>> for Stream {
    fn from(stream: Box<S>) -> Self {
        let mut tls = Box::new((*stream).into());
        transport::enlarge(&mut tls);
        Self::Tls(tls)
    }
}

impl From<WebSocketBytes> for Stream {
    fn from(stream: WebSocketBytes) -> Self {
        Self::WebSocket(Box::new(stream))
    }
}

macro_rules! read_by_variant {
    ($type:ident, $($variant:ident),+) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(inner) => Pin::new(inner).poll_read(cx, buf),)+
                    Self::Handed(socket) => socket.poll_read(cx, buf),
                }
            }
        }
    };
}

macro_rules! write_by_variant {
    ($type:ident, $($variant:ident),+) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $(Self::$variant(inner) => Pin::new(inner).poll_write(cx, buf),)+
                    Self::Handed(socket) => socket.poll_write(cx, &[IoSlice::new(buf)]),
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $(Self::$variant(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),)+
                    Self::Handed(socket) => socket.poll_write(cx, bufs),
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $(Self::$variant(inner) => inner.is_write_vectored(),)+
                    Self::Handed(_) => true,
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(inner) => Pin::new(inner).poll_flush(cx),)+
                    Self::Handed(_) => Poll::Ready(Ok(())),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(inner) => Pin::new(inner).poll_shutdown(cx),)+
                    Self::Handed(socket) => Poll::Ready(socket.shutdown()),
                }
            }
        }
    };
}

read_by_variant!(Stream, Local, Tls, WebSocket);
write_by_variant!(Stream, Local, Tls, WebSocket);
read_by_variant!(ReadHalf, Local, Tls, WebSocket);
write_by_variant!(WriteHalf, Local, Tls, WebSocket);
