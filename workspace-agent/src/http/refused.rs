//! Bodies of requests that are refused before they were read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::timeout;

/// How much of a body is still read, in bytes, and for how long.
const MOST: usize = 256 * 1024;
const LONGEST: Duration = Duration::from_millis(500);

/// Reads the rest of a refused request's body, where there isn't much of it: whoever still
/// sends while the connection ends doesn't see the answer. Behind one that goes on for longer
/// the connection ends.
pub(super) async fn read_to_the_end(request: Request<Body>, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let lent = Lent(Arc::new(Mutex::new(body)));
    let body = Body::new(lent.clone());
    let mut response = next.run(Request::from_parts(head, body)).await;
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    if refused && !lent.end().await {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// A body that is there again once nobody reads it any more.
#[derive(Clone)]
struct Lent(Arc<Mutex<Body>>);

impl Lent {
    /// Reads what is left; tells whether that was all.
    async fn end(mut self) -> bool {
        let reading = async {
            let mut room = MOST;
            while let Some(frame) = self.frame().await {
                let length = frame.ok()?.data_ref().map_or(0, Bytes::len);
                room = room.checked_sub(length)?;
            }
            Some(())
        };
        timeout(LONGEST, reading)
            .await
            .is_ok_and(|read| read.is_some())
    }

    fn with<T>(&self, what: impl FnOnce(Pin<&mut Body>) -> T) -> T {
        let mut body = self.0.lock();
        what(Pin::new(&mut *body))
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| body.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use futures_util::{StreamExt as _, stream};
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    /// Tells whether the connection goes on behind the refusal of such a body.
    async fn goes_on(body: Body) -> bool {
        let refuse = post(|| async { StatusCode::NOT_FOUND });
        let app = Router::new().route("/", refuse);
        let app = app.layer(from_fn(read_to_the_end));
        let request = Request::post("/").body(body).unwrap();
        let answer = app.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 404);
        !answer.headers().contains_key(header::CONNECTION)
    }

    #[tokio::test]
    async fn the_rest_of_a_refused_body_is_read_unless_it_goes_on_and_on() {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let pieces = stream::iter(0..3).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_static(b"piece"))
        });
        assert!(goes_on(Body::from_stream(pieces)).await);
        assert_eq!(read.load(Ordering::Relaxed), 3);
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![0; 65_536])));
        assert!(!goes_on(Body::from_stream(endless)).await);
        let silent = stream::pending::<Result<Bytes, Infallible>>();
        assert!(!goes_on(Body::from_stream(silent)).await);
    }
}
