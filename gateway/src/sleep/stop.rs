//! A schedule's `stop` that comes, for who asks when a workspace goes to sleep.

use time::OffsetDateTime;

use super::judge::{ReasonKind, Signs, Stop, Verdict, judge, untold};
use super::policy::SleepPolicy;

impl Verdict {
    /// Takes into account that a schedule's `stop` comes at that time, from when on less quiet
    /// is enough. For who asks: nothing is done before it has come.
    pub(super) fn with_stop(
        mut self,
        signs: &Signs,
        policy: SleepPolicy,
        stop: OffsetDateTime,
    ) -> Self {
        let passed = Signs {
            stop: Stop::Passed,
            ..signs.clone()
        };
        // As it will be then, if nothing happens.
        let then = judge(&passed, policy, stop);
        // It is never slept without a warning first, and that comes after the stop.
        let earliest = stop + then.warning;
        let by_clock = then.sleeps_at.map(|at| at.max(earliest));
        let own = self.sleeps_at;
        if by_clock.is_some_and(|at| own.is_none_or(|own| at < own)) {
            self.sleeps_at = by_clock;
            self.warning = then.warning;
        }
        for reason in &mut self.reasons {
            if reason.kind == ReasonKind::Policy {
                "it doesn't go to sleep by itself before the next stop of its schedule: \
                 `sleep.after` is off"
                    .clone_into(&mut reason.detail);
                reason.until = Some(earliest);
            }
            reason.until = reason.until.map(|until| match self.sleeps_at {
                Some(at) if reason.kind != ReasonKind::Lease => until.min(at),
                _ => until,
            });
        }
        if own.is_none() && self.reasons.iter().all(|it| it.kind != ReasonKind::Agent) {
            self.reasons.extend(untold(signs));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::judge::{Agent, Freshly};
    use super::*;

    fn minute(minute: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(minute)
    }

    fn signs(agent: Agent, typed: Option<OffsetDateTime>) -> Signs {
        Signs {
            since: minute(0),
            typed,
            used: None,
            work: None,
            leases: Vec::new(),
            agent,
            young: minute(0),
            stop: Stop::Ahead,
        }
    }

    /// Judges at that minute, with a stop at another one.
    fn judged(signs: &Signs, after: u64, now: i64, stop: i64) -> Verdict {
        let policy = SleepPolicy::new(Duration::from_mins(after), Duration::from_mins(2));
        judge(signs, policy, minute(now)).with_stop(signs, policy, minute(stop))
    }

    fn kinds(verdict: &Verdict) -> Vec<ReasonKind> {
        verdict.reasons.iter().map(|reason| reason.kind).collect()
    }

    #[test]
    fn a_stop_that_comes_is_told_where_nothing_comes_before_it() {
        let quiet = signs(Agent::Tells(Freshly::Yes), None);
        let verdict = judged(&quiet, 0, 1, 60);
        assert_eq!(verdict.sleeps_at, Some(minute(62)));
        assert_eq!(kinds(&verdict), [ReasonKind::Policy]);
        assert_eq!(verdict.reasons[0].until, Some(minute(62)));
        assert!(verdict.reasons[0].detail.contains("schedule"));
        // Sooner, and not sooner, than it would go to sleep by itself.
        assert_eq!(judged(&quiet, 30, 1, 15).sleeps_at, Some(minute(17)));
        assert_eq!(judged(&quiet, 30, 1, 60).sleeps_at, Some(minute(30)));
        let typed = signs(Agent::Tells(Freshly::Yes), Some(minute(55)));
        assert_eq!(judged(&typed, 0, 56, 60).sleeps_at, Some(minute(65)));
    }

    #[test]
    fn what_is_not_known_of_programs_keeps_it_awake_beyond_a_stop() {
        let verdict = judged(&signs(Agent::Silent, None), 0, 1, 60);
        assert_eq!(verdict.sleeps_at, None);
        assert_eq!(kinds(&verdict), [ReasonKind::Policy, ReasonKind::Agent]);
    }
}
