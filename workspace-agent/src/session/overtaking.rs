//! Requests that pass what waits on a session's stream.
//!
//! A program that doesn't read its stdin stops the reading of the stream, and what the
//! gateway has written behind the data waits there. A signal, a new size and the end of all
//! interest in the output mean what they mean whenever they come: where a session has a
//! number, the gateway sends them on the control connection, which is always read.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use devgate_protocol::control::Overtaking;
use devgate_protocol::frame::{Frame, Size};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::debug;

use super::signals;

/// The numbered sessions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Passing(Arc<Mutex<HashMap<u64, Arc<Waiting>>>>);

/// What came for one session and wasn't acted on yet.
#[derive(Debug, Default)]
struct Waiting {
    requests: Mutex<Requests>,
    came: Notify,
}

/// Bounded by what they mean: the last size, and each signal once, as for any process that
/// has one pending.
#[derive(Debug, Default, PartialEq)]
struct Requests {
    size: Option<Size>,
    signals: Vec<String>,
    is_unread: bool,
}

/// Receives what comes for one session, until it is dropped.
#[derive(Debug)]
pub(super) struct Passed {
    sessions: Passing,
    session: Option<(u64, Arc<Waiting>)>,
}

impl Passing {
    /// Has what comes for a session be kept for it from now on; nothing comes for one
    /// without a number.
    pub(super) fn register(&self, number: Option<u64>) -> Passed {
        let session = number.map(|number| {
            let waiting = Arc::<Waiting>::default();
            self.0.lock().insert(number, Arc::clone(&waiting));
            (number, waiting)
        });
        let sessions = self.clone();
        Passed { sessions, session }
    }

    /// Hands a session a request. One that has ended doesn't miss it.
    pub(crate) fn pass(&self, number: u64, request: Overtaking) {
        let Some(waiting) = self.0.lock().get(&number).cloned() else {
            debug!("a request for a session that has ended");
            return;
        };
        waiting.requests.lock().put(request);
        waiting.came.notify_one();
    }
}

impl Requests {
    fn put(&mut self, request: Overtaking) {
        match request {
            Overtaking::Signal { name } => {
                // Only names that there are, so that there are few.
                if signals::by_name(&name).is_some() && !self.signals.contains(&name) {
                    self.signals.push(name);
                }
            }
            Overtaking::WindowChange { size } => self.size = Some(size),
            Overtaking::EndOfWrite => self.is_unread = true,
            Overtaking::Unknown => debug!("a request that this agent doesn't know"),
        }
    }

    fn take(&mut self) -> Option<Frame> {
        if let Some(size) = self.size.take() {
            return Some(Frame::WindowChange(size));
        }
        if !self.signals.is_empty() {
            return Some(Frame::Signal(self.signals.remove(0)));
        }
        std::mem::take(&mut self.is_unread).then_some(Frame::EndOfWrite)
    }
}

impl Passed {
    /// Returns the next request, as the frame that it would have been; waits for ever where
    /// none comes. Cancel-safe.
    pub(super) async fn next(&self) -> Frame {
        let Some((_, waiting)) = &self.session else {
            return pending().await;
        };
        loop {
            if let Some(frame) = waiting.requests.lock().take() {
                return frame;
            }
            waiting.came.notified().await;
        }
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if let Some((number, _)) = &self.session {
            self.sessions.0.lock().remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(name: &str) -> Overtaking {
        let name = name.to_owned();
        Overtaking::Signal { name }
    }

    fn size(columns: u32) -> Size {
        Size {
            columns,
            ..Size::default()
        }
    }

    #[tokio::test]
    async fn what_came_before_anybody_looked_is_few_however_much_it_was() {
        let sessions = Passing::default();
        let passed = sessions.register(Some(7));
        for columns in 1..=1000 {
            sessions.pass(7, signal("INT"));
            sessions.pass(7, signal(&format!("NONE{columns}")));
            let size = size(columns);
            sessions.pass(7, Overtaking::WindowChange { size });
        }
        sessions.pass(7, signal("TERM"));
        sessions.pass(7, Overtaking::EndOfWrite);
        assert_eq!(passed.next().await, Frame::WindowChange(size(1000)));
        assert_eq!(passed.next().await, Frame::Signal("INT".to_owned()));
        assert_eq!(passed.next().await, Frame::Signal("TERM".to_owned()));
        assert_eq!(passed.next().await, Frame::EndOfWrite);
        assert_eq!(
            *passed.session.as_ref().unwrap().1.requests.lock(),
            Requests::default()
        );
    }

    #[tokio::test]
    async fn a_request_reaches_its_own_session_and_none_that_has_ended() {
        let sessions = Passing::default();
        let (one, other) = (sessions.register(Some(1)), sessions.register(Some(2)));
        sessions.pass(2, signal("HUP"));
        assert_eq!(other.next().await, Frame::Signal("HUP".to_owned()));
        assert!(
            one.session
                .as_ref()
                .unwrap()
                .1
                .requests
                .lock()
                .take()
                .is_none()
        );
        drop((one, other));
        sessions.pass(1, signal("HUP"));
        assert!(sessions.0.lock().is_empty());
    }
}
