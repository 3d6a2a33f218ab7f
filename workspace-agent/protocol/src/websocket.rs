//! Bytes and control messages over a WebSocket (RFC 6455).
//!
//! A data connection carries binary messages; their borders mean nothing. An
//! empty one ends its direction, as a WebSocket's own close ends both. A control
//! connection carries one message of [`crate::control`] in each text message.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, SinkExt, Stream as _, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, handshake};

use crate::control::MAX_MESSAGE;
use crate::transport::Tls;

/// A WebSocket over TLS, whichever side dialled.
pub type WebSocket = WebSocketStream<Tls>;

/// Largest binary message that is written, in bytes.
const CHUNK: usize = 64 * 1024;

/// Largest message that is read, in bytes.
const MAX_DATA: usize = 1024 * 1024;

/// Size of the buffer that is read into, in bytes.
const READ_BUFFER: usize = 32 * 1024;

/// Which side of the WebSocket's handshake this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that dialled; its frames are masked.
    Client,
    /// The one that was dialled.
    Server,
}

impl Side {
    fn role(self) -> Role {
        match self {
            Self::Client => Role::Client,
            Self::Server => Role::Server,
        }
    }
}

/// Returns the `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
pub fn accept_key(key: &[u8]) -> String {
    handshake::derive_accept_key(key)
}

/// Returns a new `Sec-WebSocket-Key`.
pub fn new_key() -> String {
    handshake::client::generate_key()
}

/// Makes a control connection of one whose upgrade is done; `read` is what came
/// after it already.
pub async fn control(stream: Tls, read: Vec<u8>, side: Side) -> WebSocket {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_MESSAGE);
    WebSocketStream::from_partially_read(stream, read, side.role(), Some(limits)).await
}

/// Writes one control message.
///
/// # Errors
/// `InvalidInput` where it is longer than [`MAX_MESSAGE`].
pub async fn write_message(
    socket: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let json = serde_json::to_string(message)?;
    if json.len() > MAX_MESSAGE {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "message too long"));
    }
    socket.send(Message::text(json)).await.map_err(broken)
}

/// Reads one control message, or `None` at the end. Cancel-safe.
pub async fn read_message<T: DeserializeOwned>(
    socket: &mut (impl futures_util::Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
) -> io::Result<Option<T>> {
    loop {
        return match socket.next().await {
            None | Some(Ok(Message::Close(_))) => Ok(None),
            Some(Ok(Message::Text(text))) => Ok(Some(serde_json::from_str(&text)?)),
            // Pings are answered by the library; binary messages are nothing we know.
            Some(Ok(_)) => continue,
            Some(Err(error)) => Err(broken(error)),
        };
    }
}

/// A data connection: a WebSocket as a pair of byte streams.
#[derive(Debug)]
pub struct WebSocketBytes<S = Tls> {
    socket: WebSocketStream<S>,
    incoming: Bytes,
    received: Direction,
    sent: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Open,
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketBytes<S> {
    /// Makes a data connection of one whose upgrade is done; `read` is what came
    /// after it already.
    pub async fn new(stream: S, read: Vec<u8>, side: Side) -> Self {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_DATA))
            .max_frame_size(Some(MAX_DATA))
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(4 * CHUNK);
        let role = side.role();
        let socket = WebSocketStream::from_partially_read(stream, read, role, Some(limits)).await;
        Self {
            socket,
            incoming: Bytes::new(),
            received: Direction::Open,
            sent: Direction::Open,
        }
    }
}

impl WebSocketBytes {
    pub(crate) fn adopt(&mut self) -> io::Result<()> {
        match self.socket.get_mut() {
            Tls::Client(tls) => tls.get_mut().0.adopt(),
            Tls::Server(tls) => tls.get_mut().0.adopt(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.incoming.is_empty() {
            if self.received == Direction::Ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {
                    self.received = Direction::Ended;
                }
                Some(Ok(Message::Binary(bytes))) => self.incoming = bytes,
                None | Some(Ok(Message::Close(_))) => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let length = self.incoming.len().min(buf.remaining());
        buf.put_slice(&self.incoming.split_to(length));
        if !self.incoming.has_remaining() {
            self.incoming = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.sent == Direction::Ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // An empty message would say that the direction ended.
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let chunk = buf.get(..CHUNK).unwrap_or(buf);
        let message = Message::Binary(Bytes::copy_from_slice(chunk));
        let sent = Pin::new(&mut self.socket).start_send(message);
        sent.map_err(broken)?;
        Poll::Ready(Ok(chunk.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sent == Direction::Open {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
            let end = Message::Binary(Bytes::new());
            let sent = Pin::new(&mut self.socket).start_send(end);
            sent.map_err(broken)?;
            self.sent = Direction::Ended;
        }
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }
}

fn broken(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            io::ErrorKind::BrokenPipe.into()
        }
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => io::ErrorKind::ConnectionReset.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
