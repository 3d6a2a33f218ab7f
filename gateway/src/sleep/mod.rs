//! Workspaces that go to sleep when nothing goes on in them.
//!
//! Idle means that nobody types and nothing works, not that no connection is open. What
//! people do is counted where it passes through the gateway ([`crate::activity`]); what
//! programs do the agents tell when they are asked. One task looks at both ([`watch`]),
//! [`judge`] decides, and people are warned first. Leases hold a workspace awake for a
//! time; a schedule wakes it, and lets it sleep sooner.

mod ask;
mod judge;
mod policy;
mod schedule;
mod stop;
mod watch;
mod watched;
mod why;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use time::OffsetDateTime;

use crate::identity::User;
use crate::names::{LeaseId, UserName, WorkspaceId};
use crate::store::{LastActive, Store, StoreError};
use crate::tunnel::Tunnels;
use crate::workspaces::{CommandError, Intent, Record, State, Workspaces};

pub use judge::{Reason, ReasonKind};
pub use policy::SleepPolicy;
pub use schedule::{InvalidSchedule, Schedule, ScheduleText};
pub use why::{Clock, Why};

use policy::Policies;
use watched::{Due, Watched};

/// Longest lease.
pub const LONGEST_LEASE: Duration = Duration::from_hours(7 * 24);

/// Longest reason for one, in characters.
pub const MAX_REASON: usize = 200;

/// How long a gateway that has just started puts nothing to sleep, where `after` isn't
/// shorter: people's clients need a moment to come back.
const YOUNG: Duration = Duration::from_mins(3);

/// Puts workspaces to sleep, and tells why they aren't. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sleep(Arc<Inner>);

/// What the sleep of all workspaces needs.
#[derive(Debug)]
pub struct Parts {
    /// The records.
    pub store: Store,
    /// The workspaces.
    pub workspaces: Workspaces,
    /// The agents that are connected.
    pub tunnels: Tunnels,
    /// How workspaces go to sleep by themselves.
    pub policy: SleepPolicy,
    /// When they do by the clock, those that have no schedule of their own.
    pub schedule: Option<Schedule>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    workspaces: Workspaces,
    tunnels: Tunnels,
    policies: Policies,
    /// The installation's schedule.
    schedule: Option<Arc<Schedule>>,
    begun: OffsetDateTime,
    /// Whether something began to run that isn't written down.
    unwritten: AtomicBool,
    /// Those that run.
    watched: Mutex<HashMap<WorkspaceId, Watched>>,
    /// What was known of those that ran when this gateway began.
    left: Mutex<HashMap<WorkspaceId, LastActive>>,
    /// Until when it was looked after those that didn't run when this gateway began.
    slept: Mutex<HashMap<WorkspaceId, OffsetDateTime>>,
    /// Those that sleep until a schedule wakes them.
    sleepers: Mutex<HashSet<WorkspaceId>>,
    /// Schedules of their own.
    schedules: Mutex<HashMap<WorkspaceId, Arc<Schedule>>>,
    /// When schedules come next.
    due: Mutex<HashMap<WorkspaceId, Due>>,
}

/// What keeps a workspace awake for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// What for.
    pub reason: String,
    /// Who took it; `None` is the command line of the server.
    pub by: Option<UserName>,
    /// Since when.
    pub since: OffsetDateTime,
    /// Until when.
    pub until: OffsetDateTime,
}

/// Why something about a workspace's sleep isn't done.
#[derive(Debug, thiserror::Error)]
pub enum SleepError {
    /// A lease of no length, or too long.
    #[error("a lease lasts from 1 second to 7 days")]
    Length,
    /// As many as there may be.
    #[error("there are too many leases on this workspace already: end some")]
    TooMany,
    /// There is no such lease.
    #[error("there is no such lease on this workspace: it may have ended")]
    NoLease,
    /// A schedule that can't be kept.
    #[error(transparent)]
    Schedule(#[from] InvalidSchedule),
    /// The workspace is being deleted.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The records fail.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sleep {
    /// Takes up what the records know. [`Self::run`] then puts workspaces to sleep.
    pub async fn load(parts: Parts) -> Result<Self, StoreError> {
        let mut schedules = HashMap::new();
        for (id, text) in parts.store.schedules().await? {
            // It was checked when it was written; another version may know more.
            match Schedule::new(text) {
                Ok(schedule) => drop(schedules.insert(id, Arc::new(schedule))),
                Err(error) => {
                    tracing::warn!(workspace = %id, %error, "a schedule can't be kept");
                }
            }
        }
        let records = parts.workspaces.list().await?;
        let ran = |id: &WorkspaceId| {
            let mut found = records.iter();
            found.any(|record| record.workspace.id == *id && record.intent == Intent::Run)
        };
        let left = parts.store.last_active().await?;
        let (left, slept): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|left| ran(&left.workspace));
        let slept = slept.into_iter();
        let mut slept: HashMap<_, _> = slept.map(|slept| (slept.workspace, slept.looked)).collect();
        let asleep = records.iter().filter(|it| it.intent == Intent::Sleep);
        for record in asleep {
            // It fell asleep just before the gateway ended.
            let id = record.workspace.id.clone();
            slept.entry(id).or_insert(record.changed);
        }
        let left = left.into_iter();
        Ok(Self(Arc::new(Inner {
            left: Mutex::new(left.map(|left| (left.workspace.clone(), left)).collect()),
            slept: Mutex::new(slept),
            sleepers: Mutex::default(),
            store: parts.store,
            workspaces: parts.workspaces,
            tunnels: parts.tunnels,
            policies: Policies {
                installation: parts.policy,
            },
            schedule: parts.schedule.map(Arc::new),
            begun: OffsetDateTime::now_utc(),
            unwritten: AtomicBool::new(false),
            watched: Mutex::default(),
            schedules: Mutex::new(schedules),
            due: Mutex::default(),
        })))
    }

    /// Keeps a workspace awake for a time, whether it runs or not; `by` is who asks.
    pub async fn keep_awake(
        &self,
        workspace: &WorkspaceId,
        length: Duration,
        reason: &str,
        by: Option<&User>,
    ) -> Result<Lease, SleepError> {
        if length < Duration::from_secs(1) || length > LONGEST_LEASE {
            return Err(SleepError::Length);
        }
        let reason: String = reason
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_REASON)
            .collect();
        let until = OffsetDateTime::now_utc() + length;
        let by = by.map(|user| &user.name);
        let store = &self.0.store;
        let lease = store.add_lease(workspace, &reason, by, until).await?;
        lease.ok_or(SleepError::TooMany)
    }

    /// Returns the leases on a workspace, the oldest first.
    pub async fn leases(&self, workspace: &WorkspaceId) -> Result<Vec<Lease>, SleepError> {
        let mut leases = self.0.store.leases().await?;
        leases.retain(|lease| lease.workspace == *workspace);
        Ok(leases)
    }

    /// Ends a lease on a workspace.
    pub async fn end_lease(&self, workspace: &WorkspaceId, id: &LeaseId) -> Result<(), SleepError> {
        let removed = self.0.store.remove_lease(workspace, id).await?;
        removed.then_some(()).ok_or(SleepError::NoLease)
    }

    /// Gives a workspace a schedule of its own; `None` has it follow the installation's.
    pub async fn set_schedule(
        &self,
        workspace: &WorkspaceId,
        text: Option<ScheduleText>,
    ) -> Result<(), SleepError> {
        let schedule = text.map(Schedule::new).transpose()?;
        let text = schedule.as_ref().map(Schedule::text);
        self.0.store.set_schedule(workspace, text).await?;
        let mut schedules = lock(&self.0.schedules);
        match schedule {
            Some(schedule) => drop(schedules.insert(workspace.clone(), Arc::new(schedule))),
            None => drop(schedules.remove(workspace)),
        }
        drop(schedules);
        lock(&self.0.due).remove(workspace);
        Ok(())
    }
}

impl Inner {
    /// Returns the schedule that a workspace follows, and whether it is its own.
    fn schedule_of(&self, id: &WorkspaceId) -> Option<(Arc<Schedule>, Whose)> {
        if let Some(own) = lock(&self.schedules).get(id) {
            return Some((Arc::clone(own), Whose::Own));
        }
        let schedule = self.schedule.clone()?;
        Some((schedule, Whose::Installation))
    }
}

/// Whose schedule a workspace follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Its own.
    Own,
    /// The installation's.
    Installation,
}

fn is_running(record: &Record) -> bool {
    record.state == State::Running
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
