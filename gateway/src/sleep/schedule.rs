//! When a workspace wakes and goes to sleep by the clock.
//!
//! What a time zone does to its clock is croner's and jiff's to know: a time that is
//! left out in spring comes right after the gap, and one that comes twice in autumn
//! counts once.

use std::str::FromStr as _;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use time::OffsetDateTime;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 200;

/// Longest name of a time zone, in bytes.
const MAX_ZONE: usize = 100;

/// A schedule, as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleText {
    /// When it wakes, in cron form.
    pub start: Option<String>,
    /// When it may go to sleep, in cron form.
    pub stop: Option<String>,
    /// Whose clock that is: a name of the IANA's, as in `Europe/Berlin`.
    pub time_zone: String,
}

/// A schedule that can be kept.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: ScheduleText,
    start: Option<Cron>,
    stop: Option<Cron>,
    zone: TimeZone,
}

/// Which of a schedule's two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Start,
    Stop,
}

/// Why a schedule can't be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// It says nothing.
    #[error("a schedule says when to start, when to stop, or both")]
    Empty,
    /// A pattern that can't be read.
    #[error(
        "{which} {pattern:?} is not a time in cron form ({detail}): write minute, hour, day, \
         month and weekday, as in \"0 20 * * 1-5\""
    )]
    Pattern {
        /// `start` or `stop`.
        which: &'static str,
        /// What was written.
        pattern: String,
        /// What is wrong with it.
        detail: String,
    },
    /// One that never comes.
    #[error("{which} {pattern:?} never comes")]
    Never {
        /// `start` or `stop`.
        which: &'static str,
        /// What was written.
        pattern: String,
    },
    /// A time zone that there isn't.
    #[error("there is no time zone {0:?}: write one of the IANA's names, as in \"Europe/Berlin\"")]
    Zone(String),
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// Where it says nothing, what never comes, or what isn't in cron form.
    pub fn new(text: ScheduleText) -> Result<Self, InvalidSchedule> {
        let zone = zone(&text.time_zone)?;
        if text.start.is_none() && text.stop.is_none() {
            return Err(InvalidSchedule::Empty);
        }
        let schedule = Self {
            start: pattern("start", text.start.as_deref())?,
            stop: pattern("stop", text.stop.as_deref())?,
            zone,
            text,
        };
        let now = OffsetDateTime::now_utc();
        for (which, name, text) in [
            (Which::Start, "start", &schedule.text.start),
            (Which::Stop, "stop", &schedule.text.stop),
        ] {
            if let Some(pattern) = text
                && schedule.next(which, now).is_none()
            {
                let pattern = quoted(pattern);
                return Err(InvalidSchedule::Never {
                    which: name,
                    pattern,
                });
            }
        }
        Ok(schedule)
    }

    /// Checks the name of a time zone.
    ///
    /// # Errors
    /// Where there is no such zone.
    pub fn check_zone(name: &str) -> Result<(), InvalidSchedule> {
        zone(name).map(drop)
    }

    /// Returns it as it was written.
    pub fn text(&self) -> &ScheduleText {
        &self.text
    }

    /// Returns when one of the two comes next after a time.
    pub(super) fn next(&self, which: Which, after: OffsetDateTime) -> Option<OffsetDateTime> {
        let after = self.zoned(after)?;
        let found = self.cron(which)?.find_next_occurrence(&after, false).ok()?;
        // Never the same again, whatever a time zone does: who asks goes on from there.
        let found = back(&found)?;
        (found > back(&after)?).then_some(found)
    }

    /// Returns when one of the two last came up to a time, as far back as `reach`.
    pub(super) fn last(
        &self,
        which: Which,
        until: OffsetDateTime,
        reach: Duration,
    ) -> Option<OffsetDateTime> {
        let zoned = self.zoned(until)?;
        let cron = self.cron(which)?;
        let found = cron.find_previous_occurrence(&zoned, true).ok()?;
        let found = back(&found)?;
        (found <= until && found > until - reach).then_some(found)
    }

    fn cron(&self, which: Which) -> Option<&Cron> {
        match which {
            Which::Start => self.start.as_ref(),
            Which::Stop => self.stop.as_ref(),
        }
    }

    fn zoned(&self, at: OffsetDateTime) -> Option<Zoned> {
        let timestamp = Timestamp::from_nanosecond(at.unix_timestamp_nanos()).ok()?;
        Some(timestamp.to_zoned(self.zone.clone()))
    }
}

fn back(at: &Zoned) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(at.timestamp().as_nanosecond()).ok()
}

fn zone(name: &str) -> Result<TimeZone, InvalidSchedule> {
    let invalid = || InvalidSchedule::Zone(quoted(name));
    if name.len() > MAX_ZONE {
        return Err(invalid());
    }
    TimeZone::get(name).map_err(|_| invalid())
}

fn pattern(which: &'static str, text: Option<&str>) -> Result<Option<Cron>, InvalidSchedule> {
    let Some(text) = text else {
        return Ok(None);
    };
    let invalid = |detail: String| InvalidSchedule::Pattern {
        which,
        pattern: quoted(text),
        detail,
    };
    if text.len() > MAX_PATTERN {
        return Err(invalid("it is too long".to_owned()));
    }
    let read = Cron::from_str(text);
    read.map(Some)
        .map_err(|error| invalid(error.to_string().trim_end_matches('.').to_owned()))
}

fn quoted(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc3339;

    fn schedule(stop: &str, zone: &str) -> Result<Schedule, InvalidSchedule> {
        Schedule::new(ScheduleText {
            start: None,
            stop: Some(stop.to_owned()),
            time_zone: zone.to_owned(),
        })
    }

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    #[test]
    fn a_time_is_that_of_its_zone_in_summer_and_in_winter() {
        let schedule = schedule("0 20 * * 1-5", "Europe/Berlin").unwrap();
        for (after, next) in [
            // A Friday in summer (UTC+2), and the Monday after.
            ("2026-07-03T12:00:00Z", "2026-07-03T18:00:00Z"),
            ("2026-07-03T18:00:00Z", "2026-07-06T18:00:00Z"),
            // In winter (UTC+1).
            ("2026-12-01T12:00:00Z", "2026-12-01T19:00:00Z"),
        ] {
            assert_eq!(schedule.next(Which::Stop, at(after)), Some(at(next)));
        }
        assert_eq!(
            schedule.next(Which::Start, at("2026-07-03T12:00:00Z")),
            None
        );
    }

    #[test]
    fn what_a_clock_leaves_out_or_says_twice_comes_once() {
        let schedule = schedule("30 2 * * *", "Europe/Berlin").unwrap();
        // On 2026-03-29 the clock goes from 2:00 to 3:00, on 2026-10-25 from 3:00 to 2:00.
        for (day, next_day) in [
            ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
            ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
        ] {
            let mut times = Vec::new();
            let mut now = at(day);
            while let Some(next) = schedule.next(Which::Stop, now)
                && next < at(next_day)
            {
                times.push(next);
                now = next;
            }
            assert_eq!(times.len(), 1, "{times:?}");
        }
    }

    #[test]
    fn what_was_missed_is_found_as_far_back_as_it_counts() {
        let schedule = schedule("0 20 * * *", "UTC").unwrap();
        let now = at("2026-07-03T20:10:00Z");
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let last = |reach| schedule.last(Which::Stop, now, reach);
        assert_eq!(last(minutes(15)), Some(at("2026-07-03T20:00:00Z")));
        assert_eq!(last(minutes(5)), None);
    }

    #[test]
    fn what_can_not_be_kept_is_refused_with_the_reason() {
        for (stop, zone, part) in [
            ("at noon", "UTC", "cron form"),
            ("0 25 * * *", "UTC", "cron form"),
            ("", "UTC", "cron form"),
            (&"0 ".repeat(1000), "UTC", "too long"),
            ("0 20 30 2 *", "UTC", "never comes"),
            ("0 20 * * *", "Middle/Earth", "time zone"),
            ("0 20 * * *", "../../etc/passwd", "time zone"),
        ] {
            let error = schedule(stop, zone).unwrap_err().to_string();
            assert!(error.contains(part), "{stop} {zone}: {error}");
            assert!(error.len() < 400, "{error}");
        }
        let empty = Schedule::new(ScheduleText {
            start: None,
            stop: None,
            time_zone: "UTC".to_owned(),
        });
        assert_eq!(empty.unwrap_err(), InvalidSchedule::Empty);
    }
}
