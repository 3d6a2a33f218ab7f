//! Bodies on their way through.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::Connection;
use super::cut::{Cut, Due};
use super::expected::{Asked, Wait};
use super::pool::Upstream;
use crate::activity::Visit;
use crate::http::leftover;

/// A request's body.
pub(super) enum RequestBody {
    /// None.
    Empty,
    /// One that comes from the client.
    Coming {
        body: Body,
        progress: Progress,
        /// What it waits for before it is asked for.
        wait: Option<Wait>,
    },
}

/// Tells whether a request's body has been sent altogether, and takes what is left of one
/// that wasn't. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Progress(Option<Arc<Sending>>);

#[derive(Debug, Default)]
struct Sending {
    complete: AtomicBool,
    rest: Mutex<Option<Body>>,
    /// Of one that the client holds back.
    asked: Option<Asked>,
}

impl Progress {
    /// Whether all of the body was handed on.
    pub(super) fn is_complete(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|sending| sending.complete.load(Ordering::Acquire))
    }

    /// Returns what asks for a body that the client still holds back.
    pub(super) fn held_back(&self) -> Option<&Asked> {
        let asked = self.0.as_ref().and_then(|sending| sending.asked.as_ref());
        asked.filter(|asked| !asked.is_asked())
    }

    /// Reads what is left of a body that nobody takes any more, within limits.
    pub(super) async fn discard_rest(self) {
        let rest = self.0.and_then(|sending| {
            let mut rest = sending.rest.lock();
            rest.take()
        });
        if let Some(rest) = rest {
            leftover::discard(rest).await;
        }
    }

    fn begin(&self) {
        let asked = self.0.as_ref().and_then(|sending| sending.asked.as_ref());
        if let Some(asked) = asked {
            asked.begin();
        }
    }

    fn complete(&self) {
        if let Some(sending) = &self.0 {
            sending.complete.store(true, Ordering::Release);
        }
    }

    fn leave(&self, rest: Body) {
        if let Some(sending) = &self.0 {
            let mut place = sending.rest.lock();
            *place = Some(rest);
        }
    }
}

impl RequestBody {
    /// Returns a body, and what tells how far it is. One that is to be `asked` for waits for
    /// that as long as told.
    pub(super) fn track(body: Body, asked: Option<(Asked, Duration)>) -> (Self, Progress) {
        if body.is_end_stream() {
            return (Self::Empty, Progress(None));
        }
        let wait = asked
            .as_ref()
            .map(|(asked, patience)| asked.wait(*patience));
        let sending = Sending {
            asked: asked.map(|(asked, _)| asked),
            ..Sending::default()
        };
        let progress = Progress(Some(Arc::new(sending)));
        let coming = Self::Coming {
            body,
            progress: progress.clone(),
            wait,
        };
        (coming, progress)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Self::Coming { body, progress, .. } = self
            && !progress.is_complete()
        {
            progress.leave(std::mem::take(body));
        }
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self::Coming {
            body,
            progress,
            wait,
        } = self.get_mut()
        else {
            return Poll::Ready(None);
        };
        if let Some(asked) = wait {
            ready!(asked.poll(cx));
        }
        let polled = Pin::new(&mut *body).poll_frame(cx);
        if wait.take().is_some() {
            progress.begin();
        }
        match &polled {
            Poll::Ready(Some(Ok(_))) if body.is_end_stream() => progress.complete(),
            Poll::Ready(None) => progress.complete(),
            Poll::Ready(Some(_)) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Coming { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Coming { body, .. } => body.size_hint(),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

/// Why an answer's body ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The application's connection broke.
    #[error("the application's answer broke off")]
    Broken(#[source] hyper::Error),
    /// The right to see it ended.
    #[error("the answer was cut off: what allowed it has ended")]
    Cut,
}

/// An answer's body, which drives the connection that it comes over and gives it back
/// at its end.
pub(super) struct ResponseBody {
    /// Ends with the body: one that is cut off may be asked for again.
    _visit: Option<Visit>,
    incoming: Incoming,
    /// Absent where another task drives it, and once it was given back.
    connection: Option<Connection>,
    upstream: Arc<Upstream>,
    cut: Cut,
    due: Option<Due>,
    /// Ends in good order what would go on for ever.
    end: Option<Due>,
    /// Why it broke off, once that is known.
    broken: Option<hyper::Error>,
    /// Tells that it is over, whoever drives the connection.
    _over: Option<DropGuard>,
}

impl ResponseBody {
    /// Returns a body that `cut` breaks off, and `end` ends as if the application had. Its end
    /// drops `over`.
    pub(super) fn new(
        incoming: Incoming,
        connection: Option<Connection>,
        upstream: Arc<Upstream>,
        (cut, visit): (Cut, Option<Visit>),
        (end, over): (Option<CancellationToken>, Option<DropGuard>),
    ) -> Self {
        let mut body = Self {
            _visit: visit,
            incoming,
            connection,
            upstream,
            cut,
            due: None,
            end: end.map(|end| -> Due { Box::pin(end.cancelled_owned()) }),
            broken: None,
            _over: over,
        };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.upstream.put(connection);
        }
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.cut.can_be() {
            return Poll::Pending;
        }
        // Made on the first wait: a short answer never comes here.
        let due = self
            .due
            .get_or_insert_with(|| Box::pin(self.cut.clone().due()));
        due.as_mut().poll(cx)
    }
}

impl hyper::body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(BodyError::Broken(error))));
        }
        // A reader that is slower than the application never comes to wait.
        if this.cut.is_due() {
            this.connection = None;
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        if let Some(end) = &mut this.end
            && end.as_mut().poll(cx).is_ready()
        {
            this.connection = None;
            return Poll::Ready(None);
        }
        let mut polled = Pin::new(&mut this.incoming).poll_frame(cx);
        if polled.is_pending()
            && let Some(connection) = &mut this.connection
        {
            // The first look told the connection that more is wanted.
            connection.poll_drive(cx);
            polled = Pin::new(&mut this.incoming).poll_frame(cx);
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                if this.incoming.is_end_stream() {
                    this.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.connection = None;
                this.broken = Some(error);
                // hyper drops what it hasn't sent once it hears of it, the head too: it sends
                // that while it waits.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Pending => match this.poll_cut(cx) {
                Poll::Ready(()) => {
                    this.connection = None;
                    Poll::Ready(Some(Err(BodyError::Cut)))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// Where it is longer, or breaks off.
pub(crate) async fn gather(body: Body, limit: usize) -> Result<Bytes, axum::Error> {
    let limited = http_body_util::Limited::new(body, limit);
    let gathered = limited.collect().await.map_err(axum::Error::new)?;
    Ok(gathered.to_bytes())
}
