//! Workspaces that go to sleep: why one runs, leases, schedules.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::ToSchema;

use super::StateName;
use crate::names::{LeaseId, UserName};

/// Why a workspace runs, and how long it will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyRunning {
    /// Where it is in its life.
    pub state: StateName,
    /// When something last went on in it; null: it doesn't run.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub idle_since: Option<OffsetDateTime>,
    /// When it goes to sleep, unless something happens; null: never by itself.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub sleeps_at: Option<OffsetDateTime>,
    /// Whether people have been warned of that.
    pub warned: bool,
    /// What keeps it awake now. None: it is about to go to sleep, or doesn't run.
    pub reasons: Vec<AwakeReason>,
    /// How it goes to sleep by itself.
    pub policy: SleepPolicy,
    /// When it wakes and may sleep by the clock; null: no schedule.
    #[schema(required = true)]
    pub schedule: Option<Schedule>,
}

/// What keeps a workspace awake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AwakeReason {
    /// Of which kind.
    pub kind: AwakeKind,
    /// A sentence for people.
    pub detail: String,
    /// Since when, or when last.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// Until when, unless something happens; null: for ever.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub until: Option<OffsetDateTime>,
}

/// Kinds of what keeps a workspace awake; more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AwakeKind {
    /// Somebody typed.
    Input,
    /// Somebody used an editor, a forwarded port or an application.
    Traffic,
    /// Programs compute.
    Cpu,
    /// Programs read from disks or write to them: a download, say.
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

/// How a workspace goes to sleep by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SleepPolicy {
    /// After how many seconds in which nothing goes on; null: never.
    #[schema(required = true)]
    pub after_seconds: Option<u64>,
    /// How many seconds before people are warned; half of the others at most.
    pub warn_seconds: u64,
}

/// When a workspace wakes and may sleep by the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// When it wakes, in cron form; null: by connections alone.
    #[schema(required = true)]
    pub start: Option<String>,
    /// From when on it goes to sleep as soon as it is quiet for some minutes, in cron
    /// form; null: as its policy says.
    #[schema(required = true)]
    pub stop: Option<String>,
    /// Whose clock that is, as in `Europe/Berlin`.
    pub time_zone: String,
    /// Whether it is the installation's, and not its own.
    pub inherited: bool,
    /// When it wakes next.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub next_start: Option<OffsetDateTime>,
    /// When it may sleep next.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub next_stop: Option<OffsetDateTime>,
}

/// A schedule for a workspace: `start`, `stop` or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSchedule {
    /// When it wakes, in cron form: minute, hour, day, month, weekday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "0 8 * * 1-5")]
    pub start: Option<String>,
    /// From when on it goes to sleep as soon as it is quiet, in cron form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "0 20 * * 1-5")]
    pub stop: Option<String>,
    /// Whose clock that is: a name of the IANA's.
    #[serde(default = "utc")]
    #[schema(max_length = 100, default = "UTC", example = "Europe/Berlin")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// What keeps a workspace awake for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// What for.
    pub reason: String,
    /// Who took it; null: the command line of the server.
    #[schema(required = true)]
    pub by: Option<UserName>,
    /// Since when.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// Until when.
    #[serde(with = "rfc3339")]
    pub until: OffsetDateTime,
}

/// Keeps a workspace awake for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepAwake {
    /// How long, in seconds: up to a week.
    #[schema(minimum = 1, maximum = 604_800)]
    pub seconds: u64,
    /// What for, as others will see it: the first 200 characters of it.
    #[serde(default)]
    pub reason: String,
}
