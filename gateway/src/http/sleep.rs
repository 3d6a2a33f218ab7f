//! Workspaces' sleep as both APIs show it.

use std::time::Duration;

use super::view;
use super::wire::sleep as wire;
use crate::sleep::{Clock, Lease, Reason, ReasonKind, ScheduleText, SleepPolicy, Whose, Why};

impl From<Why> for wire::WhyRunning {
    fn from(why: Why) -> Self {
        Self {
            state: view::state(&why.state),
            idle_since: why.idle_since,
            sleeps_at: why.sleeps_at,
            warned: why.warned,
            reasons: why.reasons.into_iter().map(Into::into).collect(),
            policy: why.policy.into(),
            schedule: why.clock.map(Into::into),
        }
    }
}

impl From<Reason> for wire::AwakeReason {
    fn from(reason: Reason) -> Self {
        Self {
            kind: reason.kind.into(),
            detail: reason.detail,
            since: reason.since,
            until: reason.until,
        }
    }
}

impl From<ReasonKind> for wire::AwakeKind {
    fn from(kind: ReasonKind) -> Self {
        match kind {
            ReasonKind::Input => Self::Input,
            ReasonKind::Traffic => Self::Traffic,
            ReasonKind::Cpu => Self::Cpu,
            ReasonKind::Disk => Self::Disk,
            ReasonKind::Lease => Self::Lease,
            ReasonKind::Started => Self::Started,
            ReasonKind::Gateway => Self::Gateway,
            ReasonKind::Agent => Self::Agent,
            ReasonKind::Policy => Self::Policy,
        }
    }
}

impl From<SleepPolicy> for wire::SleepPolicy {
    fn from(policy: SleepPolicy) -> Self {
        Self {
            after_seconds: policy.after.as_ref().map(Duration::as_secs),
            warn_seconds: policy.warn.as_secs(),
        }
    }
}

impl From<Clock> for wire::Schedule {
    fn from(clock: Clock) -> Self {
        Self {
            start: clock.schedule.start,
            stop: clock.schedule.stop,
            time_zone: clock.schedule.time_zone,
            inherited: clock.whose == Whose::Installation,
            next_start: clock.next_start,
            next_stop: clock.next_stop,
        }
    }
}

impl From<wire::SetSchedule> for ScheduleText {
    fn from(set: wire::SetSchedule) -> Self {
        Self {
            start: set.start,
            stop: set.stop,
            time_zone: set.time_zone,
        }
    }
}

impl From<Lease> for wire::Lease {
    fn from(lease: Lease) -> Self {
        Self {
            id: lease.id,
            reason: lease.reason,
            by: lease.by,
            since: lease.since,
            until: lease.until,
        }
    }
}
