//! One HTTP/1.1 connection to what serves inside a workspace.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use devgate_protocol::Stream;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::body::RequestBody;
use super::one_sided::OneSided;

/// Largest head of an answer, and read buffer of a connection, in bytes.
const MAX_BUFFER: usize = 256 * 1024;

/// Most headers of an answer: cookies take one each.
const MAX_HEADERS: usize = 512;

/// A connection that whoever holds it drives: nothing happens on it unless it is
/// polled.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    io: http1::Connection<TokioIo<OneSided>, RequestBody>,
    ended: bool,
}

/// An exchange that failed, with the request where nothing of it was sent.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: hyper::Error,
    pub(super) request: Option<Request<RequestBody>>,
}

impl Connection {
    /// Begins to speak HTTP on a stream.
    pub(super) async fn open(stream: Stream) -> hyper::Result<Self> {
        let (sender, io) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_headers(MAX_HEADERS)
            // Old servers' ways, which browsers put up with; both are mended on the way
            // (RFC 9112 §5.1 and §5.2).
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .handshake(TokioIo::new(OneSided::from(stream)))
            .await?;
        Ok(Self {
            sender,
            io,
            ended: false,
        })
    }

    /// Drives the connection.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended && self.io.poll_without_shutdown(cx).is_ready() {
            // A failure reaches whoever waits for the answer or its body.
            self.ended = true;
        }
    }

    /// Whether it takes a request now, as far as can be told.
    pub(super) fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_drive(cx);
        !self.ended && self.sender.is_ready()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Sends a request and returns the head of the answer. Dropping the future closes
    /// the connection.
    pub(super) async fn exchange(
        self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Self), Failed> {
        let Self {
            mut sender,
            mut io,
            mut ended,
        } = self;
        let mut answer = pin!(sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            ended = ended || io.poll_without_shutdown(cx).is_ready();
            match answer.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending if ended => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        let mut failed = match answered {
            Some(Ok(response)) => return Ok((response, Self { sender, io, ended })),
            Some(Err(failed)) => failed,
            None => {
                // It ended before it took the request, which comes back once it is gone.
                drop(io);
                let answered = answer.await;
                answered.expect_err("a connection that is gone hands on no answer")
            }
        };
        let request = failed.take_message();
        let error = failed.into_error();
        Err(Failed { error, request })
    }

    /// Drives the connection until it ends. It takes no further request.
    pub(super) async fn finish(self) {
        let Self {
            sender,
            mut io,
            ended,
        } = self;
        drop(sender);
        if !ended {
            // A failure reaches whoever reads the answer's body.
            let _ = poll_fn(|cx| io.poll_without_shutdown(cx)).await;
        }
    }

    /// Returns the stream beneath after an upgrade, and what was read of it already.
    pub(super) fn into_stream(self) -> (Stream, Bytes) {
        let parts = self.io.into_parts();
        (parts.io.into_inner().into_inner(), parts.read_buf)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::UnixStream;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_request_comes_back_where_the_connection_ended_before_it_was_taken() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        // The end is known before anything is written.
        ours.readable().await.unwrap();
        let connection = Connection::open(Stream::from(ours)).await.unwrap();
        let exchange = connection.exchange(Request::new(RequestBody::Empty));
        let exchanged = timeout(Duration::from_mins(1), exchange).await.unwrap();
        assert!(exchanged.unwrap_err().request.is_some());
    }
}
