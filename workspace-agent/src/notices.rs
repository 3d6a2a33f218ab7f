//! What an agent tells a gateway by itself, to one of them, once.

use std::collections::VecDeque;
use std::sync::Arc;

use devgate_protocol::control::FromAgent;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Notices that wait for a gateway; the oldest go first.
const WAITING: usize = 64;

/// What waits to be told.
#[derive(Clone, Debug, Default)]
pub struct Notices(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<VecDeque<FromAgent>>,
    told: Notify,
}

impl Notices {
    /// Has something be told.
    pub(crate) fn tell(&self, notice: FromAgent) {
        let mut waiting = self.0.waiting.lock();
        if waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(notice);
        self.0.told.notify_one();
    }

    /// Waits for what no gateway knows yet. Cancel-safe.
    pub(crate) async fn next(&self) -> FromAgent {
        loop {
            let told = self.0.told.notified();
            if let Some(notice) = self.0.waiting.lock().pop_front() {
                return notice;
            }
            told.await;
        }
    }

    /// Takes back what couldn't be told.
    pub(crate) fn put_back(&self, notice: FromAgent) {
        self.0.waiting.lock().push_front(notice);
        self.0.told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_is_told_once_and_not_lost_where_it_could_not_be() {
        let notices = Notices::default();
        let notice = |limit| FromAgent::ProcessLimit { limit: Some(limit) };
        for limit in [1, 2] {
            notices.tell(notice(limit));
        }
        let first = notices.next().await;
        assert_eq!(first, notice(1));
        notices.put_back(first);
        assert_eq!(notices.next().await, notice(1));
        assert_eq!(notices.next().await, notice(2));
    }
}
