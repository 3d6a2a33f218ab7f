//! How a workspace ends: deleted first, and removed once nobody can want it back.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use super::state::{Deletion, Intent, Workspace};
use crate::drivers::DriverError;
use crate::events::{Kind, NewEvent};

/// Longest pause before a removal that failed is tried again.
const MAX_PAUSE: Duration = Duration::from_mins(10);

/// How often the clock is looked at, which may be set meanwhile.
const LOOK: Duration = Duration::from_mins(1);

/// Counts tries that failed, for ever longer pauses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retries(u32);

impl Retries {
    /// Returns how long to wait before the next try.
    pub(super) fn pause(&mut self, first: Duration) -> Duration {
        let pause = first.saturating_mul(2_u32.saturating_pow(self.0));
        self.0 = self.0.saturating_add(1);
        pause.min(MAX_PAUSE)
    }
}

/// Returns the deletion of a workspace that is deleted now.
pub(super) fn deletion(intent: Intent, grace: Duration) -> Deletion {
    let at = as_recorded(OffsetDateTime::now_utc());
    let until = match intent {
        Intent::Delete => at + grace,
        Intent::Run | Intent::Stop | Intent::Sleep | Intent::Purge => at,
    };
    Deletion { at, until }
}

/// Returns a time as exact as the records are.
pub(super) fn as_recorded(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(at.nanosecond() / 1_000_000 * 1_000_000)
        .unwrap_or(at)
}

/// Tells of a deletion, and until when it can be undone.
pub(super) fn told(workspace: &Workspace, intent: Intent, deletion: Deletion) -> NewEvent {
    let mut about = NewEvent::of_workspace(Kind::WorkspaceDeleted, workspace);
    if intent == Intent::Delete
        && let Ok(until) = deletion.until.format(&Rfc3339)
    {
        about.says("restorable-until", &until);
    }
    about
}

/// Takes for done what can't be done to a workspace that goes, because its host was taken
/// out of the configuration: what it has there is that host's owner's to remove.
pub(super) fn unless_out_of_reach(
    intent: Intent,
    done: Result<(), DriverError>,
) -> Result<(), DriverError> {
    match done {
        Err(DriverError::HostGone { .. }) if intent.ends() => Ok(()),
        done => done,
    }
}

/// Waits until a time of the clock. Cancel-safe.
pub(super) async fn due(at: OffsetDateTime) {
    loop {
        let left = at - OffsetDateTime::now_utc();
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() => sleep(left.min(LOOK)).await,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let mut retries = Retries::default();
        let first = Duration::from_secs(1);
        let pauses: Vec<_> = (0..40).map(|_| retries.pause(first)).collect();
        assert_eq!(pauses[..3], [first, 2 * first, 4 * first]);
        assert_eq!(pauses[39], MAX_PAUSE);
    }
}
