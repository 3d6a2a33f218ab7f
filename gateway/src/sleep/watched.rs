//! What is known of a workspace that runs.

use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::activity::Report;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::ask::Inquiry;
use super::judge::{Agent, Freshly, Hold, Signs, Stop, Work};
use super::schedule::{Schedule, Which};
use super::{Lease, WorkspaceId};

/// How long ago a look is at most that was made to answer.
const FRESH: Duration = Duration::from_millis(800);

/// What was seen of a workspace since it began to run.
#[derive(Debug)]
pub(super) struct Watched {
    /// When it began, or something was last known to go on before this gateway.
    pub(super) since: OffsetDateTime,
    /// Until when this gateway is too young to tell.
    pub(super) young: OffsetDateTime,
    pub(super) stop: Stop,
    /// When people were warned of its sleep.
    pub(super) warned: Option<Instant>,
    pub(super) inquiry: Arc<tokio::sync::Mutex<Inquiry>>,
    /// What the gateway had counted: typing, everything else.
    counts: (u64, u64),
    /// What the agent had, once it has told.
    typed_inside: Option<u64>,
    typed: Option<OffsetDateTime>,
    used: Option<OffsetDateTime>,
    work: Option<Work>,
    held: Vec<Hold>,
    agent: Agent,
}

impl Watched {
    /// Begins to watch; what was counted before is nothing new.
    pub(super) fn new(since: OffsetDateTime, young: OffsetDateTime, counts: (u64, u64)) -> Self {
        Self {
            since,
            young,
            stop: Stop::Ahead,
            warned: None,
            inquiry: Arc::default(),
            counts,
            typed_inside: None,
            typed: None,
            used: None,
            work: None,
            held: Vec::new(),
            agent: Agent::Looks,
        }
    }

    /// Takes note of what the gateway has counted up to now.
    pub(super) fn count(&mut self, counts: (u64, u64), now: OffsetDateTime) {
        if counts.0 != self.counts.0 {
            self.typed = Some(now);
        }
        if counts.1 != self.counts.1 {
            self.used = Some(now);
        }
        self.counts = counts;
    }

    /// Takes note of what the agent told, or why it didn't.
    pub(super) fn hear(&mut self, told: Result<Report, Agent>, now: OffsetDateTime) {
        let report = match told {
            Ok(report) => report,
            Err(agent) => {
                self.agent = agent;
                return;
            }
        };
        self.agent = if report.compared {
            let looked = Duration::from_millis(report.looked);
            Agent::Tells(if looked < FRESH {
                Freshly::Yes
            } else {
                Freshly::No
            })
        } else {
            Agent::Looks
        };
        // What was typed before this gateway isn't known to be lately.
        let before = self.typed_inside.replace(report.typed);
        if before.is_some_and(|before| before != report.typed) {
            self.typed = Some(now);
        }
        if let Some(work) = report.work {
            self.work = Some(Work {
                at: now - Duration::from_millis(work.ago),
                kind: work.kind,
                program: work.program,
            });
        }
        let held = report.leases.into_iter().map(|held| Hold {
            detail: detail(&held.reason, "a job in the workspace"),
            since: now - Duration::from_millis(held.since),
            until: now + Duration::from_millis(held.left),
        });
        self.held = held.collect();
    }

    /// Returns when something last went on.
    pub(super) fn idle_since(&self) -> OffsetDateTime {
        let work = self.work.as_ref().map(|work| work.at);
        let lasts = [self.typed, self.used, work];
        lasts.into_iter().flatten().fold(self.since, Ord::max)
    }

    /// Returns what is known now; `leases` are those of all workspaces.
    pub(super) fn signs(&self, id: &WorkspaceId, leases: &[Lease]) -> Signs {
        let own = leases.iter().filter(|lease| lease.workspace == *id);
        let own = own.map(|lease| Hold {
            detail: detail(
                &lease.reason,
                lease.by.as_ref().map_or("the server", |by| by.as_str()),
            ),
            since: lease.since,
            until: lease.until,
        });
        Signs {
            since: self.since,
            typed: self.typed,
            used: self.used,
            work: self.work.clone(),
            leases: own.chain(self.held.iter().cloned()).collect(),
            agent: self.agent,
            young: self.young,
            stop: self.stop,
        }
    }
}

/// Says who keeps it awake, and what for.
fn detail(reason: &str, by: &str) -> String {
    if reason.is_empty() {
        format!("kept awake by {by}")
    } else {
        format!("kept awake by {by}: {reason}")
    }
}

/// When a schedule comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) start: Option<OffsetDateTime>,
    pub(super) stop: Option<OffsetDateTime>,
}

impl Due {
    /// Looks when a schedule comes next after a time.
    pub(super) fn after(schedule: &Schedule, after: OffsetDateTime) -> Self {
        Self {
            start: schedule.next(Which::Start, after),
            stop: schedule.next(Which::Stop, after),
        }
    }

    /// Returns which of the two has come by now; the later one where both have.
    pub(super) fn come(&self, now: OffsetDateTime) -> Option<Which> {
        let come = |at: Option<OffsetDateTime>| at.filter(|at| *at <= now);
        match (come(self.start), come(self.stop)) {
            (Some(start), Some(stop)) if start < stop => Some(Which::Stop),
            (Some(_), _) => Some(Which::Start),
            (None, Some(_)) => Some(Which::Stop),
            (None, None) => None,
        }
    }
}

/// Returns which of a schedule's two came last while no gateway looked.
pub(super) fn missed(
    schedule: &Schedule,
    looked: OffsetDateTime,
    now: OffsetDateTime,
) -> Option<Which> {
    let reach = Duration::try_from(now - looked).ok()?;
    let last = |which| schedule.last(which, now, reach);
    match (last(Which::Stop), last(Which::Start)) {
        (Some(stop), Some(start)) if start < stop => Some(Which::Stop),
        (_, Some(_)) => Some(Which::Start),
        (Some(_), None) => Some(Which::Stop),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sleep::ScheduleText;
    use devgate_protocol::activity::{Work as Told, WorkKind};
    use time::format_description::well_known::Rfc3339;

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    fn office_hours() -> Schedule {
        let text = ScheduleText {
            start: Some("0 8 * * *".to_owned()),
            stop: Some("0 20 * * *".to_owned()),
            time_zone: "UTC".to_owned(),
        };
        Schedule::new(text).unwrap()
    }

    #[test]
    fn what_is_counted_was_done_when_the_count_changed() {
        let start = at("2026-07-03T12:00:00Z");
        let second = |seconds| start + time::Duration::seconds(seconds);
        let mut watched = Watched::new(start, start, (7, 7));
        watched.count((7, 7), second(1));
        assert_eq!(watched.idle_since(), start);
        watched.count((8, 7), second(2));
        watched.count((8, 7), second(3));
        assert_eq!(watched.idle_since(), second(2));
        let report = |typed, work| Report {
            compared: true,
            typed,
            work,
            ..Report::default()
        };
        // What was typed before this gateway asked is nothing new.
        watched.hear(Ok(report(5, None)), second(4));
        assert_eq!(watched.idle_since(), second(2));
        watched.hear(Ok(report(6, None)), second(5));
        assert_eq!(watched.idle_since(), second(5));
        let work = Told {
            kind: WorkKind::Cpu,
            ago: 1000,
            program: None,
        };
        watched.hear(Ok(report(6, Some(work))), second(9));
        assert_eq!(watched.idle_since(), second(8));
    }

    #[test]
    fn of_two_that_have_come_the_later_one_counts() {
        let schedule = office_hours();
        let due = Due::after(&schedule, at("2026-07-03T07:00:00Z"));
        assert_eq!(due.come(at("2026-07-03T07:59:59Z")), None);
        assert_eq!(due.come(at("2026-07-03T08:00:00Z")), Some(Which::Start));
        // The host was suspended over the day.
        assert_eq!(due.come(at("2026-07-03T21:00:00Z")), Some(Which::Stop));
        let due = Due::after(&schedule, at("2026-07-03T09:00:00Z"));
        assert_eq!(due.come(at("2026-07-04T09:00:00Z")), Some(Which::Start));
    }

    #[test]
    fn of_what_no_gateway_saw_the_later_one_counts() {
        let schedule = office_hours();
        let missed = |looked, now| missed(&schedule, at(looked), at(now));
        let stop = Some(Which::Stop);
        let start = Some(Which::Start);
        for (looked, now, expected) in [
            ("2026-07-03T19:59:00Z", "2026-07-03T20:01:00Z", stop),
            ("2026-07-03T20:01:00Z", "2026-07-03T20:05:00Z", None),
            ("2026-07-03T19:59:00Z", "2026-07-04T08:01:00Z", start),
            ("2026-07-03T21:00:00Z", "2026-07-04T08:01:00Z", start),
            ("2026-07-02T10:00:00Z", "2026-07-03T21:00:00Z", stop),
            ("2026-07-01T10:00:00Z", "2026-07-03T09:00:00Z", start),
        ] {
            assert_eq!(missed(looked, now), expected, "{looked} {now}");
        }
    }
}
