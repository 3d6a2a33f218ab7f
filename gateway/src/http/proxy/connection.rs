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

/// Largest head of an answer, and read buffer of a connection, in bytes.
const MAX_BUFFER: usize = 256 * 1024;

/// Most headers of an answer.
const MAX_HEADERS: usize = 256;

/// A connection that whoever holds it drives: nothing happens on it unless it is
/// polled.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    io: http1::Connection<TokioIo<Stream>, RequestBody>,
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
            .handshake(TokioIo::new(stream))
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
        mut self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Self), Failed> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            if !self.ended && self.io.poll_without_shutdown(cx).is_ready() {
                self.ended = true;
            }
            match answer.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(answered),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        match answered {
            Ok(response) => Ok((response, self)),
            Err(mut failed) => {
                let request = failed.take_message();
                let error = failed.into_error();
                Err(Failed { error, request })
            }
        }
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
        (parts.io.into_inner(), parts.read_buf)
    }
}
