//! Bodies that may be of any size, and may not stand still.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long nothing of a body may come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A body that breaks off once nothing of it has come for a minute. Time in which nobody
/// wants any of it doesn't count.
struct Patient {
    body: Body,
    late: Late,
    patience: Duration,
    due: Pin<Box<Sleep>>,
    waits: bool,
}

/// Tells whether a body was waited for in vain. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Late(Arc<AtomicBool>);

impl Late {
    /// Whether it was.
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why a body breaks off.
#[derive(Debug, thiserror::Error)]
#[error("nothing of the request came for a minute")]
struct Stalled;

/// Gives up a body that stands still.
pub(super) fn patient(body: Body) -> (Body, Late) {
    patient_for(body, PATIENCE)
}

fn patient_for(body: Body, patience: Duration) -> (Body, Late) {
    let late = Late::default();
    if body.is_end_stream() {
        return (body, late);
    }
    let body = Patient {
        body,
        late: late.clone(),
        patience,
        due: Box::pin(sleep(patience)),
        waits: false,
    };
    (Body::new(body), late)
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waits = false;
            return Poll::Ready(frame);
        }
        if !this.waits {
            this.waits = true;
            this.due.as_mut().reset(Instant::now() + this.patience);
        }
        this.due.as_mut().poll(cx).map(|()| {
            this.late.0.store(true, Ordering::Release);
            Some(Err(axum::Error::new(Stalled)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_that_stands_still_breaks_off_and_one_that_comes_does_not() {
        let piece = || stream::iter(["piece"; 5].map(Ok::<_, std::io::Error>));
        let (body, late) = patient(Body::from_stream(piece()));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 25);
        assert!(!late.is());
        let stalls = Body::from_stream(piece().chain(stream::pending()));
        let (body, late) = patient_for(stalls, Duration::from_millis(10));
        assert!(body.collect().await.is_err());
        assert!(late.is());
        let (body, _) = patient(Body::empty());
        assert!(body.is_end_stream());
    }
}
