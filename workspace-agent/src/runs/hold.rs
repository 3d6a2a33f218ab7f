//! Who has to get all that a process writes.

use std::sync::Arc;

use super::run::{Run, Stream};

/// Needs all that a process writes: it waits for whoever has this, until it is killed.
/// Dropping it lets go.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Run>);

impl Hold {
    /// Takes over what a process was started with.
    pub(super) fn of(run: &Arc<Run>) -> Self {
        Self(Arc::clone(run))
    }

    /// Needs nothing any more of what was before.
    pub(crate) fn advance(&self, stream: Stream, to: u64) {
        self.0.hold(stream, Some(to));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for stream in Stream::BOTH {
            self.0.hold(stream, None);
        }
    }
}
