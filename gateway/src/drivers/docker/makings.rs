//! Containers that the engine is asked to make.
//!
//! It makes them whatever becomes of who asked. So what is asked goes on here to its end, and
//! who removes a workspace's container waits for that: one that came later would be nobody's.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::names::WorkspaceId;
use crate::whole::to_the_end;

/// What is made at the moment.
#[derive(Debug, Default)]
pub(super) struct Makings {
    tasks: Mutex<JoinSet<()>>,
    /// Held while something is made.
    turns: Mutex<HashMap<WorkspaceId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Makings {
    /// Makes something of a workspace, to the end even if nobody waits for it.
    pub(super) async fn make<T: Send + 'static>(
        &self,
        id: &WorkspaceId,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let held = self.turn(id).lock_owned().await;
        let made = {
            let mut tasks = self.tasks.lock();
            while tasks.try_join_next().is_some() {}
            to_the_end(&mut tasks, async move {
                let done = work.await;
                drop(held);
                done
            })
        };
        made.await
    }

    /// Waits until nothing of a workspace is made any more.
    pub(super) async fn ended(&self, id: &WorkspaceId) {
        drop(self.turn(id).lock_owned().await);
    }

    fn turn(&self, id: &WorkspaceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(id.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::Poll;

    use futures_util::poll;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_removes_a_container_waits_for_one_that_nobody_waits_for_any_more() {
        let (makings, id) = (Makings::default(), WorkspaceId::random());
        let (begun, has_begun) = oneshot::channel();
        let (make, may_make) = oneshot::channel::<()>();
        {
            let asked = makings.make(&id, async move {
                begun.send(()).ok();
                may_make.await.ok();
            });
            let mut asked = Box::pin(asked);
            assert_eq!(poll!(&mut asked), Poll::Pending);
            has_begun.await.unwrap();
        }
        let mut ended = Box::pin(makings.ended(&id));
        assert_eq!(poll!(&mut ended), Poll::Pending);
        // Others wait for nothing.
        makings.ended(&WorkspaceId::random()).await;
        make.send(()).unwrap();
        ended.await;
    }

    #[tokio::test]
    async fn what_is_made_goes_with_who_makes_it() {
        let (makings, id) = (Makings::default(), WorkspaceId::random());
        let (held, is_dropped) = oneshot::channel::<()>();
        let mut made = Box::pin(makings.make(&id, async move {
            let _held = held;
            pending::<()>().await;
        }));
        assert_eq!(poll!(&mut made), Poll::Pending);
        drop(made);
        drop(makings);
        is_dropped.await.unwrap_err();
    }
}
