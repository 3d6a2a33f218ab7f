//! What is done whole once it is begun, whatever becomes of who asked.

use std::future::pending;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Does that among those tasks, to its end even if nobody waits for it: what is recorded is
/// taken up.
pub(crate) fn to_the_end<T, W>(
    tasks: &mut JoinSet<()>,
    work: W,
) -> impl Future<Output = T> + use<T, W>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let (done, is_done) = oneshot::channel();
    tasks.spawn(async move {
        // Nobody waits any more.
        let _ = done.send(work.await);
    });
    async {
        match is_done.await {
            Ok(done) => done,
            // The tasks have ended, and who asked with them.
            Err(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_goes_on_without_who_asked() {
        let mut tasks = JoinSet::new();
        let (begin, may_begin) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let asking = to_the_end(&mut tasks, async move {
            may_begin.await.ok();
            end.send("whole").ok();
        });
        drop(asking);
        begin.send(()).unwrap();
        assert_eq!(ended.await.unwrap(), "whole");
    }
}
