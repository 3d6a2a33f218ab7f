//! What comes after an agent that ended by itself.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{error, warn};

use super::{Actor, Lifecycle};
use crate::chain::chain;
use crate::drivers::Exit;
use crate::workspaces::crash::Crash;
use crate::workspaces::failure::FailureReason;
use crate::workspaces::state::State;

/// The delay before the second restart; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// The longest delay before a restart.
const LAST_BACKOFF: Duration = Duration::from_secs(5);

impl Actor {
    /// Starts an agent that ended by itself again, unless it does so all the time.
    pub(super) async fn crashed(&mut self, exit: Exit) -> Lifecycle {
        let now = Instant::now();
        let window = self.shared.options.crash_window;
        self.crashes.retain(|at| now.duration_since(*at) < window);
        self.crashes.push_back(now);
        let crashes = u32::try_from(self.crashes.len()).unwrap_or(u32::MAX);
        warn!(%exit, crashes, "agent ended");
        if crashes >= self.shared.options.crash_limit {
            self.crashes.clear();
            self.note_crash(None).await;
            let last = exit;
            return self.fail(FailureReason::CrashLoop { crashes, last }).await;
        }
        let crash = Crash {
            at: OffsetDateTime::now_utc(),
            exit,
        };
        self.note_crash(Some(crash)).await;
        let why = crash.to_string();
        self.enter_saying(State::Starting, Some(why)).await;
        let after = match crashes.checked_sub(2) {
            None => Duration::ZERO,
            Some(further) => (FIRST_BACKOFF * 2_u32.pow(further.min(16))).min(LAST_BACKOFF),
        };
        Lifecycle::Starting { after }
    }

    /// Has a crash be told from now on, by later gateways too; or none any more.
    pub(super) async fn note_crash(&mut self, crash: Option<Crash>) {
        if self.crash.send_replace(crash) == crash {
            return;
        }
        let recorded = self.shared.store.set_crash(&self.workspace.id, crash).await;
        if let Err(failure) = recorded {
            error!(failure = chain(&failure), "a crash is not recorded");
        }
    }
}
