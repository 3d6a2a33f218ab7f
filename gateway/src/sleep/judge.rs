//! Whether a workspace may sleep, from what was seen of it. Nothing is done here.

use std::time::Duration;

use devgate_protocol::activity::WorkKind;
use time::OffsetDateTime;

use super::policy::SleepPolicy;

/// How quiet it has to be once a schedule's `stop` has passed, where the policy doesn't
/// ask for less.
pub(super) const AFTER_STOP: Duration = Duration::from_mins(10);

/// What was seen of a workspace that runs.
#[derive(Clone, Debug)]
pub(super) struct Signs {
    /// When it began to run, or something was last known to go on before this gateway.
    pub(super) since: OffsetDateTime,
    /// When somebody last typed.
    pub(super) typed: Option<OffsetDateTime>,
    /// When somebody last used an editor, a port, an application.
    pub(super) used: Option<OffsetDateTime>,
    /// What programs last did.
    pub(super) work: Option<Work>,
    /// Leases that are held.
    pub(super) leases: Vec<Hold>,
    /// What the agent tells.
    pub(super) agent: Agent,
    /// Until when this gateway is too young to tell.
    pub(super) young: OffsetDateTime,
    /// Whether a schedule's `stop` has passed.
    pub(super) stop: Stop,
}

/// Work that programs did.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) at: OffsetDateTime,
    pub(super) kind: WorkKind,
    pub(super) program: Option<String>,
}

/// A lease.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) detail: String,
    pub(super) since: OffsetDateTime,
    pub(super) until: OffsetDateTime,
}

/// What the agent tells of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    /// What they do.
    Tells(Freshly),
    /// Nothing yet: it has to look for a moment.
    Looks,
    /// Nothing: it is of a version that can't.
    TooOld,
    /// Nothing: it doesn't answer.
    Silent,
}

/// Whether an agent has looked at programs just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshly {
    Yes,
    /// It averages over a while that isn't over: something may have begun since.
    No,
}

/// Whether a schedule's `stop` has passed since the workspace began to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Passed,
    Ahead,
}

/// What keeps a workspace awake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Of which kind.
    pub kind: ReasonKind,
    /// A sentence for people.
    pub detail: String,
    /// Since when, or when last.
    pub since: OffsetDateTime,
    /// Until when, unless something happens.
    pub until: Option<OffsetDateTime>,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    /// Somebody typed.
    Input,
    /// Somebody used an editor, a forwarded port or an application.
    Traffic,
    /// Programs compute.
    Cpu,
    /// Programs read from disks or write to them.
    Disk,
    /// A lease is held.
    Lease,
    /// It has just begun to run.
    Started,
    /// The gateway has just begun to look.
    Gateway,
    /// It can't be told whether programs work.
    Agent,
    /// It never goes to sleep by itself.
    Policy,
}

/// What is decided.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// When something last went on.
    pub(super) idle_since: OffsetDateTime,
    /// When it may sleep, unless something happens.
    pub(super) sleeps_at: Option<OffsetDateTime>,
    /// How long before that people are warned.
    pub(super) warning: Duration,
    /// What holds it awake until then.
    pub(super) reasons: Vec<Reason>,
}

/// Decides.
pub(super) fn judge(signs: &Signs, policy: SleepPolicy, now: OffsetDateTime) -> Verdict {
    let work = signs.work.as_ref().map(|work| work.at);
    let lasts = [signs.typed, signs.used, work];
    let idle_since = lasts.into_iter().flatten().fold(signs.since, Ord::max);
    let quiet = match (policy.after, signs.stop) {
        (after, Stop::Ahead) => after,
        (after, Stop::Passed) => Some(after.map_or(AFTER_STOP, |after| after.min(AFTER_STOP))),
    };
    let Some(quiet) = quiet else {
        let mut reasons = holds(signs);
        reasons.push(never(signs.since));
        return Verdict {
            idle_since,
            sleeps_at: None,
            warning: policy.warn,
            reasons,
        };
    };
    let mut reasons = recent(signs, quiet, now);
    reasons.extend(holds(signs));
    if signs.young > now {
        reasons.push(Reason {
            kind: ReasonKind::Gateway,
            detail: "devgate itself has just started, and may have missed something".to_owned(),
            since: signs.since,
            until: Some(signs.young),
        });
    }
    reasons.extend(untold(signs));
    let tells = matches!(signs.agent, Agent::Tells(_) | Agent::Looks);
    let held = signs.leases.iter().map(|lease| lease.until);
    let sleeps_at = held.fold((idle_since + quiet).max(signs.young), Ord::max);
    Verdict {
        idle_since,
        sleeps_at: tells.then_some(sleeps_at),
        warning: policy.warning(quiet),
        reasons,
    }
}

/// Returns what went on lately.
fn recent(signs: &Signs, quiet: Duration, now: OffsetDateTime) -> Vec<Reason> {
    let work = signs.work.as_ref().map(|work| {
        let program = work.program.as_deref();
        let (kind, detail) = match work.kind {
            WorkKind::Disk => (ReasonKind::Disk, does(program, "used the disk")),
            WorkKind::Cpu | WorkKind::Other => (ReasonKind::Cpu, does(program, "computed")),
        };
        (kind, detail, work.at)
    });
    let since =
        |at: Option<OffsetDateTime>, kind, detail: &str| at.map(|at| (kind, detail.to_owned(), at));
    let all = [
        since(signs.typed, ReasonKind::Input, "somebody typed"),
        since(
            signs.used,
            ReasonKind::Traffic,
            "somebody used an editor, a forwarded port or an application",
        ),
        work,
        since(Some(signs.since), ReasonKind::Started, "it began to run"),
    ];
    let recent = all.into_iter().flatten().map(|(kind, detail, at)| Reason {
        kind,
        detail,
        since: at,
        until: Some(at + quiet),
    });
    recent
        .filter(|reason| reason.until.is_some_and(|until| until > now))
        .collect()
}

fn does(program: Option<&str>, what: &str) -> String {
    program.map_or_else(
        || format!("programs {what}"),
        |program| format!("{program} {what}"),
    )
}

fn holds(signs: &Signs) -> Vec<Reason> {
    let leases = signs.leases.iter().map(|lease| Reason {
        kind: ReasonKind::Lease,
        detail: lease.detail.clone(),
        since: lease.since,
        until: Some(lease.until),
    });
    leases.collect()
}

fn never(since: OffsetDateTime) -> Reason {
    Reason {
        kind: ReasonKind::Policy,
        detail: "it doesn't go to sleep by itself: `sleep.after` in the configuration is off"
            .to_owned(),
        since,
        until: None,
    }
}

/// Returns why it isn't known what programs do.
pub(super) fn untold(signs: &Signs) -> Option<Reason> {
    let detail = match signs.agent {
        Agent::Tells(_) | Agent::Looks => return None,
        Agent::TooOld => {
            "its agent is too old to tell whether programs work: restart the workspace"
        }
        Agent::Silent => "its agent doesn't tell whether programs work",
    };
    Some(Reason {
        kind: ReasonKind::Agent,
        detail: detail.to_owned(),
        since: signs.since,
        until: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_mins(30);

    fn start() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000)
    }

    fn minute(minute: i64) -> OffsetDateTime {
        start() + time::Duration::minutes(minute)
    }

    fn policy() -> SleepPolicy {
        SleepPolicy::new(AFTER, Duration::from_mins(2))
    }

    fn nothing() -> Signs {
        Signs {
            since: start(),
            typed: None,
            used: None,
            work: None,
            leases: Vec::new(),
            agent: Agent::Tells(Freshly::Yes),
            young: start(),
            stop: Stop::Ahead,
        }
    }

    fn kinds(verdict: &Verdict) -> Vec<ReasonKind> {
        verdict.reasons.iter().map(|reason| reason.kind).collect()
    }

    #[test]
    fn whatever_came_last_counts() {
        let signs = Signs {
            typed: Some(minute(5)),
            used: Some(minute(20)),
            work: Some(Work {
                at: minute(15),
                kind: WorkKind::Cpu,
                program: Some("cargo".to_owned()),
            }),
            ..nothing()
        };
        let verdict = judge(&signs, policy(), minute(40));
        assert_eq!(verdict.idle_since, minute(20));
        assert_eq!(verdict.sleeps_at, Some(minute(50)));
        assert_eq!(kinds(&verdict), [ReasonKind::Traffic, ReasonKind::Cpu]);
        assert_eq!(verdict.reasons[1].detail, "cargo computed");
        let verdict = judge(&nothing(), policy(), minute(1));
        assert_eq!(verdict.sleeps_at, Some(minute(30)));
        assert_eq!(kinds(&verdict), [ReasonKind::Started]);
    }

    #[test]
    fn a_lease_holds_to_its_end_and_a_young_gateway_waits() {
        let signs = Signs {
            leases: vec![Hold {
                detail: "training".to_owned(),
                since: start(),
                until: minute(120),
            }],
            ..nothing()
        };
        let verdict = judge(&signs, policy(), minute(60));
        assert_eq!(verdict.sleeps_at, Some(minute(120)));
        assert_eq!(kinds(&verdict), [ReasonKind::Lease]);
        let young = Signs {
            young: minute(63),
            ..nothing()
        };
        let verdict = judge(&young, policy(), minute(60));
        assert_eq!(verdict.sleeps_at, Some(minute(63)));
        assert_eq!(kinds(&verdict), [ReasonKind::Gateway]);
    }

    #[test]
    fn what_is_not_known_keeps_it_awake_and_so_does_a_policy_of_never() {
        for agent in [Agent::TooOld, Agent::Silent] {
            let signs = Signs { agent, ..nothing() };
            let verdict = judge(&signs, policy(), minute(60));
            assert_eq!(verdict.sleeps_at, None);
            assert_eq!(kinds(&verdict), [ReasonKind::Agent]);
        }
        let never = SleepPolicy::new(Duration::ZERO, Duration::ZERO);
        let verdict = judge(&nothing(), never, minute(600));
        assert_eq!(verdict.sleeps_at, None);
        assert_eq!(kinds(&verdict), [ReasonKind::Policy]);
    }

    #[test]
    fn once_a_stop_has_passed_less_quiet_is_enough() {
        let never = SleepPolicy::new(Duration::ZERO, Duration::from_mins(2));
        let short = SleepPolicy::new(Duration::from_mins(4), Duration::from_mins(2));
        let signs = Signs {
            typed: Some(minute(60)),
            stop: Stop::Passed,
            ..nothing()
        };
        for (policy, sleeps_at) in [(policy(), 70), (never, 70), (short, 64)] {
            let verdict = judge(&signs, policy, minute(61));
            assert_eq!(verdict.sleeps_at, Some(minute(sleeps_at)));
            assert_eq!(kinds(&verdict), [ReasonKind::Input]);
        }
    }

    #[test]
    fn a_warning_takes_no_more_than_half_of_the_quiet() {
        let policy = SleepPolicy::new(Duration::from_secs(2), Duration::from_mins(2));
        let verdict = judge(&nothing(), policy, minute(0));
        assert_eq!(verdict.warning, Duration::from_secs(1));
    }
}
