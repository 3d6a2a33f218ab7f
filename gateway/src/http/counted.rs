//! A connection that is counted until it is gone, whatever it has become meanwhile, and
//! may be cut to make room. What is read of it is looked at ([`Heads`]).

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::heads::{Heads, Seen};
use crate::startups::Startup;

/// A connection with its place among all of the listener. One task at a time uses it,
/// both ways.
pub(super) struct Counted<S> {
    stream: S,
    place: Option<Place>,
    heads: Heads,
}

/// A place among the connections of a listener.
struct Place {
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _startup: Startup,
}

impl<S> Counted<S> {
    /// Counts a connection until it is dropped, or `cut`.
    pub(super) fn new(stream: S, startup: Startup, cut: CancellationToken) -> Self {
        let place = Place {
            cut: Box::pin(cut.cancelled_owned()),
            _startup: startup,
        };
        Self {
            stream,
            place: Some(place),
            heads: Heads::default(),
        }
    }

    /// Takes a connection that isn't counted: its peer is one of ours.
    pub(super) fn free(stream: S) -> Self {
        Self {
            stream,
            place: None,
            heads: Heads::default(),
        }
    }

    /// Returns what is known of the requests' heads.
    pub(super) fn seen(&self) -> Seen {
        self.heads.seen()
    }

    /// Returns what is beneath, which isn't counted any more.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Has whoever waits for the peer learn of the cut instead.
    fn unless_cut<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.place {
            Some(place) if polled.is_pending() => {
                let cut = place.cut.as_mut().poll(cx);
                cut.map(|()| Err(io::ErrorKind::ConnectionAborted.into()))
            }
            _ => polled,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Some(new) = buf.filled().get(before..) {
            this.heads.read(new);
        }
        this.unless_cut(cx, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.unless_cut(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.unless_cut(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.unless_cut(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.unless_cut(cx, shut)
    }
}

impl<S> fmt::Debug for Counted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}
