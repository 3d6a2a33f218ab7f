//! When workspaces go to sleep.

use serde::{Deserialize, Serialize};

use super::Period;
use crate::sleep::{InvalidSchedule, Schedule, ScheduleText};

/// When workspaces go to sleep, and wake by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SleepConfig {
    /// After how long in which nobody types and nothing works a workspace goes to
    /// sleep; 0 is never. Default: 0 s.
    pub after: Period,
    /// How long before people are warned; half of `after` at most. Default: 2 min.
    pub warn: Period,
    /// When workspaces that are asleep wake, in cron form. Default: never.
    pub start: Option<String>,
    /// From when on they go to sleep as soon as nothing goes on for ten minutes, in cron
    /// form. Default: never.
    pub stop: Option<String>,
    /// Whose clock `start` and `stop` mean: a name of the IANA's. Default: UTC.
    pub time_zone: String,
}

impl Default for SleepConfig {
    fn default() -> Self {
        Self {
            after: Period::seconds(0),
            warn: Period::seconds(120),
            start: None,
            stop: None,
            time_zone: "UTC".to_owned(),
        }
    }
}

impl SleepConfig {
    /// Returns the schedule, where there is one.
    ///
    /// # Errors
    /// Where it can't be kept.
    pub fn schedule(&self) -> Result<Option<Schedule>, InvalidSchedule> {
        if self.start.is_none() && self.stop.is_none() {
            return Schedule::check_zone(&self.time_zone).map(|()| None);
        }
        let text = ScheduleText {
            start: self.start.clone(),
            stop: self.stop.clone(),
            time_zone: self.time_zone.clone(),
        };
        Schedule::new(text).map(Some)
    }
}
