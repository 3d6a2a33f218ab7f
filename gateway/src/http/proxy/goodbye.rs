//! The end of a WebSocket that is passed on, said in its server's place.
//!
//! What a server sends is passed on byte for byte. Once the gateway ends, what begins is
//! finished, and after that frame comes one that says so, and nothing else (RFC 6455 §5.5.1).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The reason that it gives.
pub(crate) const GATEWAY_ENDS: &str = "the gateway ends";

/// A Close frame of code 1001, which is for servers that go down (RFC 6455 §7.4.1).
const GOODBYE: &[u8] = b"\x88\x12\x03\xe9the gateway ends";

/// Most of a frame that is read at once when its end is waited for, in bytes.
const PIECE: usize = 4096;

/// A server's side of a WebSocket, which says goodbye once the gateway ends.
pub(super) struct Goodbye<S> {
    stream: S,
    frames: Frames,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How much of it was said.
    said: usize,
}

impl<S> Goodbye<S> {
    /// Takes a server's side, of which `early` was read already.
    pub(super) fn new(stream: S, early: &[u8], end: CancellationToken) -> Self {
        let mut frames = Frames::default();
        frames.read(early);
        Self {
            stream,
            frames,
            end: Box::pin(end.cancelled_owned()),
            said: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Goodbye<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.end.as_mut().poll(cx).is_pending() {
            let before = buf.filled().len();
            let read = Pin::new(&mut this.stream).poll_read(cx, buf);
            this.frames
                .read(buf.filled().get(before..).unwrap_or_default());
            return read;
        }
        let missing = this.frames.missing();
        if missing == 0 {
            let rest = GOODBYE.get(this.said..).unwrap_or_default();
            let now = rest.get(..buf.remaining()).unwrap_or(rest);
            buf.put_slice(now);
            this.said += now.len();
            return Poll::Ready(Ok(()));
        }
        let mut piece = [0; PIECE];
        let most = missing.min(PIECE).min(buf.remaining());
        let mut piece = ReadBuf::new(piece.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))?;
        this.frames.read(piece.filled());
        buf.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Goodbye<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Where frames begin and end (RFC 6455 §5.2).
#[derive(Debug, Default)]
struct Frames {
    /// The head of the one that begins, as far as it was read.
    head: Vec<u8>,
    /// How much of its payload is missing.
    payload: usize,
}

impl Frames {
    /// Reads what comes next.
    fn read(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.payload > 0 {
                let passed = self.payload.min(bytes.len());
                self.payload -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if self.head.len() == self.size() {
                self.payload = self.length();
                self.head.clear();
            }
        }
    }

    /// Returns how much has to be read, at least, until no frame is under way, in bytes.
    fn missing(&self) -> usize {
        if self.head.is_empty() {
            self.payload
        } else {
            self.size() - self.head.len()
        }
    }

    /// Returns how long the head is, in bytes, as far as that is known.
    fn size(&self) -> usize {
        let Some(second) = self.head.get(1) else {
            return 2;
        };
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    /// Returns the length of the payload that a whole head tells, in bytes.
    fn length(&self) -> usize {
        let big_endian = |bytes: Option<&[u8]>| {
            let bytes = bytes.unwrap_or_default().iter();
            bytes.fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
        };
        match self.head.get(1).map(|second| second & 0x7f) {
            Some(126) => big_endian(self.head.get(2..4)),
            Some(127) => big_endian(self.head.get(2..10)),
            short => usize::from(short.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
    use tokio_tungstenite::tungstenite::protocol::{Message, Role};

    use super::*;

    /// Returns what messages of these sizes are on the wire.
    async fn sent(sizes: &[usize]) -> Vec<u8> {
        let (here, mut there) = duplex(1 << 20);
        let mut server = WebSocketStream::from_raw_socket(here, Role::Server, None).await;
        for size in sizes {
            let message = Message::binary(vec![7; *size]);
            server.send(message).await.unwrap();
        }
        drop(server);
        let mut bytes = Vec::new();
        there.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn the_frame_under_way_is_finished_before_the_goodbye() {
        let sizes = [0, 5, 125, 126, 300, 70_000, 1];
        let bytes = sent(&sizes).await;
        let total = bytes.len();
        for cut in [0, 1, 2, 3, 7, 8, 140, 270, 271, 600, 5000, total - 1, total] {
            let end = CancellationToken::new();
            let (mut server, passed) = duplex(1 << 20);
            let (early, later) = bytes.split_at(cut / 2);
            let mut passed = Goodbye::new(passed, early, end.clone());
            let (before, after) = later.split_at(cut - cut / 2);
            let mut got = early.to_vec();
            server.write_all(before).await.unwrap();
            let mut now = vec![0; before.len()];
            passed.read_exact(&mut now).await.unwrap();
            got.extend(now);
            end.cancel();
            server.write_all(after).await.unwrap();
            passed.read_to_end(&mut got).await.unwrap();

            let (mut wire, client) = duplex(1 << 20);
            wire.write_all(&got).await.unwrap();
            let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
            let mut whole = 0;
            let frame = loop {
                match client.next().await.unwrap().unwrap() {
                    Message::Binary(data) => {
                        assert_eq!(data.len(), sizes[whole], "{cut}");
                        whole += 1;
                    }
                    Message::Close(frame) => break frame.unwrap(),
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(frame.code, CloseCode::Away);
            assert_eq!(frame.reason.as_str(), GATEWAY_ENDS);
            assert_eq!(whole == 0, cut == 0, "{cut}: {whole}");
        }
    }
}
