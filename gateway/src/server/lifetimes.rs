//! Ends workspaces whose time to live is over.

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::workspaces::Workspaces;

/// Looks at the workspaces until `stop`.
pub(super) async fn run(workspaces: Workspaces, stop: CancellationToken) {
    let work = async {
        loop {
            let pause = workspaces.end_lives().await;
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}
