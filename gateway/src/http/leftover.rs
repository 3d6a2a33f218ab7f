//! The rest of a request's body, which nobody wanted.
//!
//! An answer may come before all of its request. Were the connection closed then, a client
//! that still sends would see it broken, and not why it was refused (RFC 9112 §9.6): what is
//! left is read first, as far as it is no nuisance.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Most that is read, in bytes. It is kept nowhere.
const MAX_REST: usize = 64 * 1024 * 1024;

/// Longest time for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest time for it where what allowed the request has ended: what a token has open ends
/// within a second.
const SHORT: Duration = Duration::from_millis(500);

/// Marks the answer to a request that was allowed, and isn't any more; an extension of answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllowedNoMore;

/// Has a request answered, and returns the answer once the body has been read. Where somebody
/// still takes the body, as an application does that answers before the end, the answer waits
/// for nothing.
pub(super) async fn read_first<F>(request: Request, answer: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    if request.body().is_end_stream() {
        return answer(request).await;
    }
    let asked = Arc::new(AtomicBool::new(!is_held_back(&request)));
    let (back, mut rest) = oneshot::channel();
    let lend = |body| Lent {
        body: Some(body),
        back: Some(back),
        asked: Arc::clone(&asked),
    };
    let mut answered = answer(request.map(|body| Body::new(lend(body)))).await;
    if !asked.load(Ordering::Relaxed) {
        // Whether the body comes now is the client's to choose: what came next might be it,
        // or another request (RFC 9110 §10.1.1).
        let close = HeaderValue::from_static("close");
        answered.headers_mut().insert(header::CONNECTION, close);
    }
    if let Ok(rest) = rest.try_recv() {
        let is_short = answered.extensions().get::<AllowedNoMore>().is_some();
        // The answer goes out in any case.
        discard_within(if is_short { SHORT } else { PATIENCE }, rest).await;
    }
    answered
}

/// Whether a client sends a request's body only once it is asked for it. hyper sees to that in
/// the same way.
pub(super) fn is_held_back(request: &Request) -> bool {
    let expected = request.headers().get_all(header::EXPECT).iter().next_back();
    expected.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && request.version() > Version::HTTP_10
        && !request.body().is_end_stream()
}

/// Reads what is left of a body, as far as it is no nuisance.
pub(super) async fn discard(body: Body) {
    discard_within(PATIENCE, body).await;
}

async fn discard_within(patience: Duration, mut body: Body) {
    let reading = async {
        let mut read = 0;
        while read < MAX_REST
            && let Some(Ok(frame)) = body.frame().await
        {
            read += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // What is longer, or takes longer, is left.
    let _ = timeout(patience, reading).await;
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
    /// Whether it was looked for, so that the client sends it.
    asked: Arc<AtomicBool>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.asked.store(true, Ordering::Relaxed);
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && self.asked.load(Ordering::Relaxed)
            && !body.is_end_stream()
        {
            // Nobody waits for it where the connection has ended.
            let _ = back.send(body);
        }
    }
}
