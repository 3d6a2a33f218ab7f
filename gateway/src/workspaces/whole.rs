//! What is done whole once it is begun, whatever becomes of who asked.

use std::future::pending;
use std::panic::resume_unwind;

/// Does that to its end, even if the call is dropped: what is recorded is taken up.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_goes_on_without_who_asked() {
        let (begin, begun) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut asking = Box::pin(to_the_end(async move {
            begun.await.ok();
            end.send("whole").ok();
        }));
        assert!(futures_util::poll!(&mut asking).is_pending());
        drop(asking);
        begin.send(()).unwrap();
        assert_eq!(ended.await.unwrap(), "whole");
    }
}
