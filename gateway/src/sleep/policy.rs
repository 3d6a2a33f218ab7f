//! After how long a workspace goes to sleep.

use std::time::Duration;

use crate::config::Period;
use crate::workspaces::Workspace;

/// How a workspace goes to sleep by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepPolicy {
    /// How long nothing goes on before; `None` is never.
    pub after: Option<Duration>,
    /// How long before that people are warned; half of `after` at most.
    pub warn: Duration,
}

/// Which workspace has which policy: the one place where that is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policies {
    /// The installation's.
    pub(super) installation: SleepPolicy,
}

impl SleepPolicy {
    /// Returns a policy; an `after` of zero is never.
    pub fn new(after: Duration, warn: Duration) -> Self {
        Self {
            after: (!after.is_zero()).then_some(after),
            warn,
        }
    }

    /// Returns how long before a sleep that comes after `quiet` people are warned.
    pub(super) fn warning(&self, quiet: Duration) -> Duration {
        self.warn.min(quiet / 2)
    }
}

impl Policies {
    /// Returns a workspace's policy.
    pub(super) fn of(&self, workspace: &Workspace) -> SleepPolicy {
        let Some(rule) = workspace.blueprint.sleep else {
            return self.installation;
        };
        let warn = rule.warn.map_or(self.installation.warn, Period::get);
        SleepPolicy::new(rule.after.get(), warn)
    }
}
