//! Why a workspace runs.

use time::OffsetDateTime;

use super::judge::{Reason, Stop, judge};
use super::policy::SleepPolicy;
use super::schedule::ScheduleText;
use super::watch::Asks;
use super::watched::Due;
use super::{Sleep, SleepError, Whose, is_running, lock};
use crate::workspaces::{Record, State};

/// Why a workspace runs, and how long it will.
#[derive(Clone, Debug)]
pub struct Why {
    /// Where it is in its life.
    pub state: State,
    /// When something last went on in it; `None` where it doesn't run.
    pub idle_since: Option<OffsetDateTime>,
    /// When it goes to sleep, unless something happens; `None` is never.
    pub sleeps_at: Option<OffsetDateTime>,
    /// Whether people have been warned of that.
    pub warned: bool,
    /// What keeps it awake now.
    pub reasons: Vec<Reason>,
    /// How it goes to sleep by itself.
    pub policy: SleepPolicy,
    /// When it does by the clock.
    pub clock: Option<Clock>,
}

/// A schedule, and when it comes next.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The schedule, as it was written.
    pub schedule: ScheduleText,
    /// Whose it is.
    pub whose: Whose,
    /// When it wakes the workspace next.
    pub next_start: Option<OffsetDateTime>,
    /// When it lets it sleep next.
    pub next_stop: Option<OffsetDateTime>,
}

impl Sleep {
    /// Tells why a workspace runs.
    pub async fn why(&self, record: &Record) -> Result<Why, SleepError> {
        let inner = &self.0;
        let id = &record.workspace.id;
        let policy = inner.policies.of(&record.workspace);
        let mut why = Why {
            state: record.state.clone(),
            idle_since: None,
            sleeps_at: None,
            warned: false,
            reasons: Vec::new(),
            policy,
            clock: self.clock(record),
        };
        if !is_running(record) {
            return Ok(why);
        }
        let stop = inner.see(record);
        let asks = if inner.is_watched(record, stop) {
            Asks::WhatIsKnown
        } else {
            Asks::Now
        };
        let leases = inner.store.leases().await?;
        let Some(signs) = inner.signs(record, &leases, asks).await else {
            return Ok(why);
        };
        let now = OffsetDateTime::now_utc();
        let mut verdict = judge(&signs, policy, now);
        let next_stop = why.clock.as_ref().and_then(|clock| clock.next_stop);
        if let (Stop::Ahead, Some(stop)) = (signs.stop, next_stop) {
            verdict = verdict.with_stop(&signs, policy, stop);
        }
        let warned = lock(&inner.watched).get(id).and_then(|one| one.warned);
        let left = warned.map(|warned| verdict.warning.saturating_sub(warned.elapsed()));
        why.idle_since = Some(verdict.idle_since);
        // It is never slept without a warning first.
        why.sleeps_at = verdict
            .sleeps_at
            .map(|at| at.max(now + left.unwrap_or(verdict.warning)));
        why.warned = warned.is_some() && verdict.sleeps_at.is_some();
        why.reasons = verdict.reasons;
        Ok(why)
    }

    fn clock(&self, record: &Record) -> Option<Clock> {
        let (schedule, whose) = self.0.schedule_of(&record.workspace.id)?;
        let due = Due::after(&schedule, OffsetDateTime::now_utc());
        Some(Clock {
            schedule: schedule.text().clone(),
            whose,
            next_start: due.start,
            next_stop: due.stop,
        })
    }
}
