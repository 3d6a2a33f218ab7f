//! What is in a file, on its way to a client.
//!
//! A thread reads the next block while the one before is sent, and none waits for a
//! client that is slow.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use super::range::Range;
use crate::files::read::block;

/// How much is read at once, in bytes.
pub(super) const BLOCK: usize = 512 * 1024;

/// A part of a file.
#[derive(Debug)]
pub(super) struct Blocks {
    file: Arc<std::fs::File>,
    /// What is left to be read.
    left: Range,
    ready: Option<Bytes>,
    reading: Option<JoinHandle<Result<Vec<u8>, Errno>>>,
    size: Option<u64>,
}

impl Blocks {
    /// Returns a part of a file, of which the first block was read.
    pub(super) fn new(file: std::fs::File, range: Range, first: Vec<u8>) -> Self {
        let read = u64::try_from(first.len()).unwrap_or(u64::MAX);
        Self {
            file: Arc::new(file),
            left: Range {
                begin: range.begin.saturating_add(read),
                end: range.end,
            },
            ready: (!first.is_empty()).then(|| first.into()),
            reading: None,
            size: Some(range.length()),
        }
    }

    /// Returns a file whose size isn't known.
    pub(super) fn to_the_end(file: std::fs::File, first: Vec<u8>) -> Self {
        let blocks = Self::new(file, Range::all(u64::MAX), first);
        Self {
            size: None,
            ..blocks
        }
    }

    fn read_on(&mut self) {
        let length = usize::try_from(self.left.length())
            .unwrap_or(BLOCK)
            .min(BLOCK);
        if length > 0 {
            let (file, begin) = (Arc::clone(&self.file), self.left.begin);
            self.reading = Some(spawn_blocking(move || block(&file, begin, length)));
        }
    }
}

impl Body for Blocks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(first) = this.ready.take() {
            this.read_on();
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(reading) = &mut this.reading else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(reading).poll(cx));
        this.reading = None;
        let read = match read {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
        };
        if read.is_empty() {
            let shorter = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Poll::Ready(this.size.map(|_| Err(shorter)));
        }
        this.left.begin += u64::try_from(read.len()).unwrap_or(u64::MAX);
        this.read_on();
        Poll::Ready(Some(Ok(Frame::data(read.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_none() && self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let ready = self.ready.as_ref().map_or(0, Bytes::len);
        let ready = u64::try_from(ready).unwrap_or_default();
        match self.size {
            // Before the first frame is asked for, which is when it counts.
            Some(size) if self.ready.is_some() => SizeHint::with_exact(size),
            Some(0) => SizeHint::with_exact(0),
            _ => {
                let mut hint = SizeHint::new();
                hint.set_lower(ready);
                hint
            }
        }
    }
}
