//! Times to live: workspaces that are deleted by themselves, and the warning before.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::{info, warn};

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

/// Who asks where a time to live is over, for a workspace's history.
const CLOCK: &str = "(time to live)";

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
            .told_ends()
            .retain(|id, _| mortal.iter().any(|workspace| workspace.id == *id));
        let mut pause = SLOW;
        for workspace in mortal {
            let Some(expires) = workspace.expires else {
                continue;
            };
            let left = left(expires);
            let warning = warning(&workspace);
            if left.is_zero() {
                self.end(&workspace).await;
            } else if left <= warning {
                pause = pause.min(left);
                if let Err(error) = self.warn_of_end(&workspace, expires).await {
                    warn!(workspace = %workspace.id, error = chain(&error), "nobody is warned");
                }
            } else {
                pause = pause.min(left.saturating_sub(warning));
            }
        }
        pause.max(FAST)
    }

    async fn end(&self, workspace: &Workspace) {
        let id = &workspace.id;
        match self.command(id, Order::Expire).await {
            Ok(()) => {
                info!(workspace = %id, "the workspace's time to live is over");
                self.note(workspace, "expire", CLOCK);
            }
            Err(CommandError::Gone | CommandError::Deleting | CommandError::ShuttingDown) => {}
            Err(error) => {
                let error = chain(&error);
                warn!(workspace = %id, error, "a workspace whose time is over isn't deleted");
            }
        }
    }

    /// Tells people once of an end.
    async fn warn_of_end(
        &self,
        workspace: &Workspace,
        expires: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (shared, id) = (&self.inner.shared, &workspace.id);
        if shared.told_ends().get(id) == Some(&expires) {
            return Ok(());
        }
        let at = expires.format(&Rfc3339).unwrap_or_default();
        let kind = Kind::WorkspaceExpiresSoon;
        let said = shared.store.last_said(id, kind.as_str(), "at").await?;
        if said.as_deref() != Some(&at) {
            info!(workspace = %id, at, "the workspace's time to live is over soon");
            let about = NewEvent::of_workspace(kind, workspace).saying("at", &at);
            shared.events.record(about);
            if let Some(activity) = self.activity(id) {
                let at = expires.replace_nanosecond(0).unwrap_or(expires);
                activity.tell(&format!(
                    "this workspace is deleted at {at}: `devgate extend {}`, or the dashboard, \
                     has it live longer",
                    workspace.target()
                ));
            }
        }
        shared.told_ends().insert(id.clone(), expires);
        Ok(())
    }
}

/// Tells of a workspace that lives longer.
pub(super) fn extended(workspace: &Workspace, until: OffsetDateTime) -> NewEvent {
    let until = until.format(&Rfc3339).unwrap_or_default();
    NewEvent::of_workspace(Kind::WorkspaceExtended, workspace).saying("until", &until)
}

/// Returns how long before its end people are warned: for a tenth of its life.
fn warning(workspace: &Workspace) -> Duration {
    let life = workspace.blueprint.time_to_live;
    let tenth = life.map(|life| life.get() / 10);
    tenth.unwrap_or_default().min(MAX_WARNING)
}

fn left(until: OffsetDateTime) -> Duration {
    Duration::try_from(until - OffsetDateTime::now_utc()).unwrap_or_default()
}
