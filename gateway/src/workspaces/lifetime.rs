//! Times to live: workspaces that are deleted by themselves, and the warning before.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::blueprint::Blueprint;
use super::error::CommandError;
use super::state::Workspace;
use super::{Order, Workspaces};
use crate::chain::chain;
use crate::events::{Kind, NewEvent};
use crate::names::WorkspaceId;
use crate::store::StoreError;

/// Longest and shortest time between two looks.
const SLOW: Duration = Duration::from_secs(5);
const FAST: Duration = Duration::from_millis(200);

/// Longest time before its end at which people are warned.
const MAX_WARNING: Duration = Duration::from_hours(24);

/// Least time between the first warning and an end that came while there was no gateway.
const LEAST: Duration = Duration::from_mins(10);

/// Time before an end at which people on terminals are told again.
const LAST: Duration = Duration::from_mins(5);

/// How long a workspace's task may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Who asks where a time to live is over, for a workspace's history.
const CLOCK: &str = "(time to live)";

/// What people were told of an end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    end: OffsetDateTime,
    /// When; absent: an earlier gateway told them.
    at: Option<Instant>,
    /// Whether it was for the last time.
    last: bool,
}

impl Workspaces {
    /// Has a workspace live for that time from now on, or for as long as its template says;
    /// it never ends earlier than it would have.
    ///
    /// # Errors
    /// `NoTimeToLive` where it lives for good; `TimeToLive` where that is longer than its
    /// template says.
    pub async fn extend(
        &self,
        id: &WorkspaceId,
        length: Option<Duration>,
    ) -> Result<(), CommandError> {
        self.command(id, Order::Extend(length)).await
    }

    /// Deletes the workspaces whose time to live is over, and warns of those for which it is
    /// soon. Returns how long nothing more is due.
    pub async fn end_lives(&self) -> Duration {
        let shared = &self.inner.shared;
        let mortal = shared.ledger.mortal();
        shared
            .told_ends
            .lock()
            .retain(|id, _| mortal.iter().any(|workspace| workspace.id == *id));
        let mut pause = SLOW;
        for workspace in mortal {
            if let Some(expires) = workspace.expires {
                pause = pause.min(self.end_life(&workspace, expires).await);
            }
        }
        pause.max(FAST)
    }

    /// Does what is due of a workspace that ends then. Returns how long nothing more is.
    async fn end_life(&self, workspace: &Workspace, expires: OffsetDateTime) -> Duration {
        let (left, warning) = (left(expires), workspace.blueprint.warning());
        if left > warning {
            return left.saturating_sub(warning);
        }
        let told = match self.warn_of_end(workspace, expires).await {
            Ok(told) => told,
            Err(error) => {
                warn!(workspace = %workspace.id, error = chain(&error), "nobody is warned");
                return SLOW;
            }
        };
        // Nobody could be warned while there was no gateway.
        let notice = told.at.map_or(Duration::ZERO, |at| {
            warning.min(LEAST).saturating_sub(at.elapsed())
        });
        let left = left.max(notice);
        if left.is_zero() {
            self.end(workspace).await;
        } else if left <= LAST && !told.last {
            self.tell_of_end(workspace, expires, &Told { last: true, ..told });
        }
        left
    }

    async fn end(&self, workspace: &Workspace) {
        let id = &workspace.id;
        if let Some(activity) = self.activity(id) {
            activity.tell("this workspace's time to live is over: it is deleted");
        }
        let order = self.command(id, Order::Expire);
        match timeout(ANSWER, order).await {
            Ok(Ok(())) => {
                info!(workspace = %id, "the workspace's time to live is over");
                self.note(workspace, "expire", CLOCK);
            }
            Ok(Err(CommandError::Gone | CommandError::Deleting | CommandError::ShuttingDown)) => {}
            Ok(Err(error)) => {
                let error = chain(&error);
                warn!(workspace = %id, error, "a workspace whose time is over isn't deleted");
            }
            // The order stays; others aren't to wait for it.
            Err(_) => warn!(workspace = %id, "a workspace whose time is over is busy"),
        }
    }

    /// Tells people of an end, once; returns what they were told.
    async fn warn_of_end(
        &self,
        workspace: &Workspace,
        expires: OffsetDateTime,
    ) -> Result<Told, StoreError> {
        let (shared, id) = (&self.inner.shared, &workspace.id);
        let known = shared.told_ends.lock().get(id).copied();
        if let Some(told) = known.filter(|told| told.end == expires) {
            return Ok(told);
        }
        let at = expires.format(&Rfc3339).unwrap_or_default();
        let kind = Kind::WorkspaceExpiresSoon;
        let said = shared.store.last_said(id, kind.as_str(), "at").await?;
        let is_new = said.as_deref() != Some(&at);
        let told = Told {
            end: expires,
            at: is_new.then(Instant::now),
            last: false,
        };
        if is_new {
            info!(workspace = %id, at, "the workspace's time to live is over soon");
            let about = NewEvent::of_workspace(kind, workspace).saying("at", &at);
            shared.events.record(about);
            self.tell_of_end(workspace, expires, &told);
        } else {
            shared.told_ends.lock().insert(id.clone(), told);
        }
        Ok(told)
    }

    /// Tells people on terminals of an end, and takes note of it.
    fn tell_of_end(&self, workspace: &Workspace, expires: OffsetDateTime, told: &Told) {
        let at = expires.replace_nanosecond(0).unwrap_or(expires);
        let at = at.format(&Rfc3339).unwrap_or_default();
        if let Some(activity) = self.activity(&workspace.id) {
            activity.tell(&format!(
                "this workspace is deleted at {at}, unless it is extended on its page in the \
                 dashboard"
            ));
        }
        let mut told_ends = self.inner.shared.told_ends.lock();
        told_ends.insert(workspace.id.clone(), *told);
    }
}

impl Blueprint {
    /// Returns how long before its end people are warned: for a tenth of its life.
    pub(super) fn warning(&self) -> Duration {
        let tenth = self.time_to_live.map(|life| life.get() / 10);
        tenth.unwrap_or_default().min(MAX_WARNING)
    }
}

/// Tells of a workspace that lives longer.
pub(super) fn extended(workspace: &Workspace, until: OffsetDateTime) -> NewEvent {
    let until = until.format(&Rfc3339).unwrap_or_default();
    NewEvent::of_workspace(Kind::WorkspaceExtended, workspace).saying("until", &until)
}

fn left(until: OffsetDateTime) -> Duration {
    Duration::try_from(until - OffsetDateTime::now_utc()).unwrap_or_default()
}
