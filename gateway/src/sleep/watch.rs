//! The task that looks at all workspaces, warns, and puts them to sleep.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::judge::{AFTER_STOP, Agent, Freshly, Signs, Stop, Verdict, judge};
use super::schedule::{Schedule, Which};
use super::watched::{Due, Watched, missed};
use super::{Inner, Lease, Sleep, YOUNG, is_running, lock};
use crate::chain::chain;
use crate::events::{Kind, NewEvent};
use crate::names::WorkspaceId;
use crate::store::{LastActive, StoreError};
use crate::workspaces::{Intent, Record};

/// Longest and shortest time between two looks.
const SLOW: Duration = Duration::from_secs(5);
const FAST: Duration = Duration::from_millis(200);

/// How far apart the agents' looks at programs are at most: what idles works for a moment
/// now and then, and so does an editor's server.
const APART: Duration = Duration::from_mins(1);

/// How often what is known is written down, for the next gateway.
const WRITE: Duration = Duration::from_mins(1);

/// What people on terminals read when it is time.
const GOING: &str =
    "nobody was here: the workspace goes to sleep, and the next connection wakes it";

impl Sleep {
    /// Looks at the workspaces until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let inner = &self.0;
        let mut written: Option<Instant> = None;
        loop {
            let pass = async {
                let pause = match inner.pass().await {
                    Ok(pause) => pause,
                    Err(error) => {
                        warn!(error = chain(&error), "workspaces can't be looked at");
                        SLOW
                    }
                };
                let fresh = inner.unwritten.swap(false, Ordering::Relaxed);
                if fresh || written.is_none_or(|written| written.elapsed() >= WRITE) {
                    inner.write_down().await;
                    written = Some(Instant::now());
                }
                sleep(pause).await;
            };
            if stop.run_until_cancelled(pass).await.is_none() {
                break;
            }
        }
        inner.write_down().await;
    }
}

impl Inner {
    /// Looks at all workspaces once. Returns how long to wait until the next look.
    async fn pass(&self) -> Result<Duration, StoreError> {
        let records = self.workspaces.list().await?;
        self.forget(&records).await?;
        self.by_the_clock(&records).await;
        let mut pause = SLOW;
        let mut ripe = Vec::new();
        for record in records.iter().filter(|record| is_running(record)) {
            let stop = self.see(record);
            let after = self.policies.of(&record.workspace).after;
            if self.is_watched(record, stop) {
                ripe.push(record);
            }
            if let Some(after) = after {
                pause = pause.min(after / 8);
            }
        }
        if !ripe.is_empty() {
            let leases = self.store.leases().await?;
            join_all(ripe.into_iter().map(|record| self.look(record, &leases))).await;
        }
        Ok(pause.max(FAST))
    }

    /// Tells whether the watch asks a workspace's agent again and again.
    pub(super) fn is_watched(&self, record: &Record, stop: Stop) -> bool {
        let after = self.policies.of(&record.workspace).after;
        after.is_some() || stop == Stop::Passed
    }

    /// Counts what passed through the gateway, and begins to watch what has just begun
    /// to run. Returns whether a schedule's `stop` has passed.
    pub(super) fn see(&self, record: &Record) -> Stop {
        let id = &record.workspace.id;
        let now = OffsetDateTime::now_utc();
        let activity = self.workspaces.activity(id);
        let counts = activity.map_or((0, 0), |activity| activity.counts());
        let mut watched = lock(&self.watched);
        let entry = watched
            .entry(id.clone())
            .or_insert_with(|| self.begin(record, counts, now));
        entry.count(counts, now);
        entry.stop
    }

    fn begin(&self, record: &Record, counts: (u64, u64), now: OffsetDateTime) -> Watched {
        let id = &record.workspace.id;
        self.unwritten.store(true, Ordering::Relaxed);
        let Some(left) = lock(&self.left).remove(id) else {
            return Watched::new(now, now, counts);
        };
        // It ran before this gateway, and what people did since wasn't seen.
        let policy = self.policies.of(&record.workspace);
        let young = policy.after.map_or(YOUNG, |after| after.min(YOUNG));
        // What came since this gateway began is counted, though.
        let mut watched = Watched::new(left.at.min(now), self.begun + young, (0, 0));
        let schedule = self.schedule_of(id);
        if schedule
            .is_some_and(|(schedule, _)| missed(&schedule, left.looked, now) == Some(Which::Stop))
        {
            watched.stop = Stop::Passed;
        }
        watched
    }

    /// Asks the agent of a workspace that runs, and tells what is known then.
    ///
    /// Where the watch asks it again and again, others have it look at nothing: it would have
    /// looked for them alone whenever the watch comes, which puts nothing to sleep then.
    pub(super) async fn signs(
        &self,
        record: &Record,
        leases: &[Lease],
        asks: Asks,
    ) -> Option<Signs> {
        let id = &record.workspace.id;
        let after = self.policies.of(&record.workspace).after;
        let apart = match asks {
            Asks::Now => (after.unwrap_or(AFTER_STOP) / 6).min(APART),
            Asks::WhatIsKnown => Duration::MAX,
        };
        let inquiry = lock(&self.watched).get(id)?.inquiry.clone();
        let told = inquiry.lock().await.ask(&self.tunnels, id, apart).await;
        let mut watched = lock(&self.watched);
        let entry = watched.get_mut(id)?;
        entry.hear(told, OffsetDateTime::now_utc());
        Some(entry.signs(id, leases))
    }

    /// Looks at one workspace, and does what is due.
    async fn look(&self, record: &Record, leases: &[Lease]) {
        let id = &record.workspace.id;
        let Some(signs) = self.signs(record, leases, Asks::Now).await else {
            return;
        };
        // What was typed while the agent was asked.
        self.see(record);
        let signs = match lock(&self.watched).get(id) {
            Some(watched) => Signs {
                agent: signs.agent,
                ..watched.signs(id, leases)
            },
            None => return,
        };
        let now = OffsetDateTime::now_utc();
        let policy = self.policies.of(&record.workspace);
        let verdict = judge(&signs, policy, now);
        match self.step(id, &verdict, signs.agent, now) {
            Step::Nothing => {}
            Step::Warn(at) => self.warn(record, at - now),
            Step::Sleep => self.put_to_sleep(record, &verdict).await,
        }
    }

    /// Says what is due, and takes note of it.
    fn step(&self, id: &WorkspaceId, verdict: &Verdict, agent: Agent, now: OffsetDateTime) -> Step {
        let mut watched = lock(&self.watched);
        let Some(entry) = watched.get_mut(id) else {
            return Step::Nothing;
        };
        let Some(at) = verdict.sleeps_at else {
            entry.warned = None;
            return Step::Nothing;
        };
        if now < at - verdict.warning {
            entry.warned = None;
            return Step::Nothing;
        }
        match entry.warned {
            None => {
                entry.warned = Some(Instant::now());
                Step::Warn(at.max(now + verdict.warning))
            }
            Some(warned)
                if now >= at
                    && warned.elapsed() >= verdict.warning
                    && agent == Agent::Tells(Freshly::Yes) =>
            {
                Step::Sleep
            }
            Some(_) => Step::Nothing,
        }
    }

    fn warn(&self, record: &Record, left: time::Duration) {
        let workspace = &record.workspace;
        let left = Duration::try_from(left).unwrap_or_default();
        let at = OffsetDateTime::now_utc() + left;
        let left = words(left);
        info!(workspace = %workspace.id, left, "workspace goes to sleep soon");
        let at = at
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap_or_default();
        let about = NewEvent::of_workspace(Kind::WorkspaceSleepSoon, workspace).saying("at", &at);
        self.workspaces.events().record(about);
        if let Some(activity) = self.workspaces.activity(&workspace.id) {
            activity.tell(&format!(
                "nothing goes on here: the workspace goes to sleep in {left}; press any key to \
                 keep it awake"
            ));
        }
    }

    async fn put_to_sleep(&self, record: &Record, verdict: &Verdict) {
        let id = &record.workspace.id;
        if let Some(activity) = self.workspaces.activity(id) {
            activity.tell(GOING);
        }
        info!(workspace = %id, idle_since = %verdict.idle_since, "workspace goes to sleep");
        if let Err(error) = self.workspaces.sleep(id).await {
            warn!(workspace = %id, error = chain(&error), "workspace doesn't go to sleep");
        }
    }

    /// Does what schedules ask for.
    async fn by_the_clock(&self, records: &[Record]) {
        let now = OffsetDateTime::now_utc();
        for record in records {
            let id = &record.workspace.id;
            let Some((schedule, _)) = self.schedule_of(id) else {
                continue;
            };
            match self.come(id, &schedule, now) {
                Some(Which::Stop) => self.set_stop(id, Stop::Passed),
                Some(Which::Start) => {
                    self.set_stop(id, Stop::Ahead);
                    // What a person stopped stays so.
                    if record.intent == Intent::Sleep {
                        info!(workspace = %id, "a schedule wakes the workspace");
                        if let Err(error) = self.workspaces.start(id).await {
                            warn!(workspace = %id, error = chain(&error), "workspace doesn't wake");
                        }
                    }
                }
                None => {}
            }
        }
        lock(&self.slept).clear();
        self.note_sleepers(records);
    }

    /// Returns which of a schedule's two has come since it was last looked at.
    fn come(&self, id: &WorkspaceId, schedule: &Schedule, now: OffsetDateTime) -> Option<Which> {
        let looked = lock(&self.slept).remove(id);
        let mut due = lock(&self.due);
        let next = due
            .entry(id.clone())
            .or_insert_with(|| Due::after(schedule, now));
        let come = next.come(now);
        if come.is_some() {
            *next = Due::after(schedule, now);
        }
        come.or_else(|| missed(schedule, looked?, now))
    }

    /// Takes note of those that sleep until a schedule wakes them.
    fn note_sleepers(&self, records: &[Record]) {
        let due = lock(&self.due);
        let sleepers = records.iter().filter(|record| {
            let next = due.get(&record.workspace.id);
            record.intent == Intent::Sleep && next.is_some_and(|due| due.start.is_some())
        });
        let sleepers: HashSet<_> = sleepers.map(|it| it.workspace.id.clone()).collect();
        let before = std::mem::replace(&mut *lock(&self.sleepers), sleepers.clone());
        if !sleepers.is_subset(&before) {
            self.unwritten.store(true, Ordering::Relaxed);
        }
    }

    fn set_stop(&self, id: &WorkspaceId, stop: Stop) {
        if let Some(watched) = lock(&self.watched).get_mut(id) {
            watched.stop = stop;
        }
    }

    /// Forgets what doesn't run any more, in the records as well: whatever wakes it, it
    /// begins anew.
    async fn forget(&self, records: &[Record]) -> Result<(), StoreError> {
        let runs = |id: &WorkspaceId| {
            let mut found = records.iter();
            found.any(|record| record.workspace.id == *id && is_running(record))
        };
        let starts = |id: &WorkspaceId| {
            let mut found = records.iter();
            found.any(|record| record.workspace.id == *id && record.intent == Intent::Run)
        };
        let mut gone: Vec<WorkspaceId> = Vec::new();
        lock(&self.watched).retain(|id, _| {
            let runs = runs(id);
            if !runs {
                gone.push(id.clone());
            }
            runs
        });
        lock(&self.left).retain(|id, _| {
            let starts = starts(id);
            if !starts {
                gone.push(id.clone());
            }
            starts
        });
        lock(&self.due).retain(|id, _| records.iter().any(|record| record.workspace.id == *id));
        if gone.is_empty() {
            return Ok(());
        }
        // Those that sleep until a schedule wakes them aren't forgotten.
        self.unwritten.store(true, Ordering::Relaxed);
        self.store.set_last_active(&[], &gone).await
    }

    /// Writes down when something last went on, and until when it was looked after those that
    /// sleep until a schedule wakes them, so that the next gateway knows.
    async fn write_down(&self) {
        let looked = OffsetDateTime::now_utc();
        let mut active: HashMap<_, _> = lock(&self.sleepers)
            .iter()
            .map(|id| (id.clone(), looked))
            .collect();
        let watched = lock(&self.watched)
            .iter()
            .map(|(id, watched)| (id.clone(), watched.idle_since()))
            .collect::<Vec<_>>();
        active.extend(watched);
        let active: Vec<_> = active
            .into_iter()
            .map(|(workspace, at)| LastActive {
                workspace,
                at,
                looked,
            })
            .collect();
        if active.is_empty() {
            return;
        }
        if let Err(error) = self.store.set_last_active(&active, &[]).await {
            warn!(error = chain(&error), "what goes on isn't written down");
        }
    }
}

/// What an agent is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// What programs do, for which it looks at them, if it hasn't lately.
    Now,
    /// What it knows by its last look.
    WhatIsKnown,
}

/// What is due.
enum Step {
    Nothing,
    /// People are warned of a sleep at that time.
    Warn(OffsetDateTime),
    Sleep,
}

/// Says a length of time in words.
fn words(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    let (number, unit) = if seconds >= 90 {
        ((seconds + 30) / 60, "minute")
    } else {
        (seconds, "second")
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}
