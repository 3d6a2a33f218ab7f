//! Workspaces that have as many processes and threads as they may.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use super::Shared;
use crate::chain::chain;
use crate::events::{Kind, NewEvent};
use crate::names::WorkspaceId;

/// How long it is told in the workspace's status; its history keeps it.
const TOLD: time::Duration = time::Duration::HOUR;

/// The last time that a workspace couldn't start another process or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// When that was told.
    at: OffsetDateTime,
    /// How many it may have, as far as that is known.
    limit: Option<u64>,
}

impl Reached {
    /// Returns what a status says of it at that time, unless it is long ago.
    pub(super) fn text(self, now: OffsetDateTime) -> Option<String> {
        let at = self.at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()?;
        let what = what(self.limit);
        (now - self.at < TOLD).then(|| format!("at {at} {what}"))
    }
}

/// Records that a workspace's agent tells it.
pub(super) async fn record(shared: &Shared, id: &WorkspaceId, limit: Option<u64>) {
    let record = match shared.store.workspace(id).await {
        Ok(Some(record)) => record,
        Ok(None) => return,
        Err(error) => {
            return warn!(error = chain(&error), "a reached limit isn't recorded");
        }
    };
    warn!(workspace = %id, limit, "a workspace has as many processes and threads as it may");
    let about = NewEvent::of_workspace(Kind::WorkspaceNotice, &record.workspace);
    let at = about.time;
    shared.events.record(about.saying("detail", &what(limit)));
    let mut reached = shared.reached.lock();
    reached.insert(id.clone(), Reached { at, limit });
}

/// Says what happened, and the next step.
fn what(limit: Option<u64>) -> String {
    let count = limit.map_or("all".to_owned(), |limit| format!("the {limit}"));
    format!(
        "it had {count} processes and threads that it may have, and couldn't start another one: end \
         some, or raise docker.pids, or resources.pids in its template"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reached_limit_is_told_with_its_time_for_a_while() {
        let reached = Reached {
            at: OffsetDateTime::UNIX_EPOCH,
            limit: Some(200),
        };
        let text = reached.text(reached.at + time::Duration::MINUTE).unwrap();
        assert!(
            text.contains("at 1970-01-01T00:00:00Z it had the 200 processes"),
            "{text}"
        );
        assert_eq!(reached.text(reached.at + TOLD), None);
    }
}
