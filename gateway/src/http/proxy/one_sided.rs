//! A stream that is read to its end although nothing can be written any more.
//!
//! A server that doesn't want an upload answers, and closes the connection before it has
//! read everything. Writing fails then, while its answer waits to be read: only reading
//! tells what became of the request.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use devgate_protocol::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that pretends to write once its peer doesn't read any more.
pub(super) struct OneSided {
    stream: Stream,
    /// Whether the peer doesn't read any more.
    deaf: bool,
}

impl From<Stream> for OneSided {
    fn from(stream: Stream) -> Self {
        let deaf = false;
        Self { stream, deaf }
    }
}

impl OneSided {
    /// Returns the stream as it is.
    pub(super) fn into_inner(self) -> Stream {
        self.stream
    }

    /// Writes by `write`; of what the peer doesn't read any more, `lost` tells what becomes.
    fn unless_deaf<T>(
        &mut self,
        lost: T,
        write: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.deaf {
            return Poll::Ready(Ok(lost));
        }
        match write(Pin::new(&mut self.stream)) {
            Poll::Ready(Err(error)) if is_deaf(&error) => {
                self.deaf = true;
                Poll::Ready(Ok(lost))
            }
            written => written,
        }
    }
}

/// Whether writing failed because the peer has closed its side.
fn is_deaf(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

impl AsyncRead for OneSided {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for OneSided {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .unless_deaf(buf.len(), |stream| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        self.get_mut()
            .unless_deaf(all, |stream| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .unless_deaf((), |stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .unless_deaf((), |stream| stream.poll_shutdown(cx))
    }
}

impl fmt::Debug for OneSided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneSided").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn what_a_peer_said_before_it_went_is_read_after_writing_failed() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"no").await.unwrap();
        drop(theirs);
        let mut stream = OneSided::from(Stream::from(ours));
        for _ in 0..3 {
            stream.write_all(b"more").await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "no");
    }
}
