//! Agents that live, as far as is known, and can't be reached.

use std::pin::pin;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::Shared;
use super::state::Workspace;
use crate::events::{Kind, NewEvent};

/// How long a tunnel may be gone without a word: most are there again at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits until an agent is `back` whose tunnel is lost. Meanwhile [`text`] is told of it, and the
/// history says so where nothing else does. Cancel-safe.
pub(super) async fn until(shared: &Shared, workspace: &Workspace, back: impl Future<Output = ()>) {
    let lost = Instant::now();
    let since = OffsetDateTime::now_utc();
    let mut back = pin!(back);
    if timeout(PATIENCE, back.as_mut()).await.is_ok() {
        return;
    }
    // A gateway that ends has sent its agents away.
    if shared.tunnels.is_going_away() {
        return back.await;
    }
    let _told = Told::new(shared, workspace, since);
    // One that was paused isn't lost, and that is told already.
    let known = shared.driver.doing(&workspace.id).is_some();
    warn!(known, "the agent can't be reached");
    if !known {
        let detail = "its agent can't be reached, and may still run: it is tried all the time";
        record(shared, workspace, detail);
    }
    back.await;
    info!(elapsed = ?lost.elapsed(), "the agent is reached again");
    if !known {
        let seconds = lost.elapsed().as_secs();
        let detail = format!("its agent is reached again, after {seconds} s");
        record(shared, workspace, &detail);
    }
}

/// Returns what a status says of an agent that can't be reached since then.
pub(super) fn text(since: OffsetDateTime) -> Option<String> {
    let since = since.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()?;
    Some(format!(
        "its agent can't be reached since {since}, and may still run: it is tried all the time; if \
         that lasts, look at its host and the network there, or restart it"
    ))
}

fn record(shared: &Shared, workspace: &Workspace, detail: &str) {
    let about = NewEvent::of_workspace(Kind::WorkspaceNotice, workspace);
    shared.events.record(about.saying("detail", detail));
}

/// Has it be told as long as it lives.
struct Told<'a> {
    shared: &'a Shared,
    workspace: &'a Workspace,
}

impl<'a> Told<'a> {
    fn new(shared: &'a Shared, workspace: &'a Workspace, since: OffsetDateTime) -> Self {
        let id = workspace.id.clone();
        shared.away.lock().insert(id, since);
        Self { shared, workspace }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.shared.away.lock().remove(&self.workspace.id);
    }
}
