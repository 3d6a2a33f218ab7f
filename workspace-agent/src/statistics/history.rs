//! The samples of the last hour, and their means over the last day.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Sample;

/// Samples of an hour.
const HOUR: usize = 360;

/// How many of them are one of the day's.
pub(super) const FOLD: u64 = 30;

/// Samples of a day.
const DAY: usize = 288;

/// A bounded past. It grows as it passes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    hour: VecDeque<Sample>,
    day: VecDeque<Sample>,
    /// How many samples of the hour aren't in the day yet.
    open: u64,
}

impl History {
    /// Adds a sample; tells whether the day has one more by it.
    pub(super) fn add(&mut self, sample: Sample) -> bool {
        push(&mut self.hour, sample, HOUR);
        self.open += 1;
        let is_whole = self.open >= FOLD;
        if is_whole {
            self.open = 0;
            let count = usize::try_from(FOLD).unwrap_or(usize::MAX);
            if let Some(mean) = mean(&self.hour.iter().rev().take(count)) {
                push(&mut self.day, mean, DAY);
            }
        }
        is_whole
    }

    /// Keeps the samples between two times, and no more than there can be.
    pub(super) fn keep(&mut self, from: OffsetDateTime, to: OffsetDateTime) {
        for (samples, most) in [(&mut self.hour, HOUR), (&mut self.day, DAY)] {
            samples.retain(|sample| (from..=to).contains(&sample.time));
            samples.drain(..samples.len().saturating_sub(most));
        }
    }

    pub(super) fn hour(&self) -> Vec<Sample> {
        self.hour.iter().copied().collect()
    }

    pub(super) fn day(&self) -> Vec<Sample> {
        self.day.iter().copied().collect()
    }
}

fn push(samples: &mut VecDeque<Sample>, sample: Sample, most: usize) {
    if samples.len() == most {
        samples.pop_front();
    }
    samples.push_back(sample);
}

/// Returns the mean of samples, the latest first, at the time of that.
fn mean<'a>(samples: &(impl Iterator<Item = &'a Sample> + Clone)) -> Option<Sample> {
    let latest = samples.clone().next()?;
    let count = u64::try_from(samples.clone().count()).ok()?;
    let whole = |value: fn(&Sample) -> u64| {
        let sum: u128 = samples
            .clone()
            .map(|sample| u128::from(value(sample)))
            .sum();
        u64::try_from(sum / u128::from(count)).unwrap_or(u64::MAX)
    };
    let divisor = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let cpu: f64 = samples.clone().map(|sample| sample.cpu_percent).sum();
    Some(Sample {
        time: latest.time,
        cpu_percent: cpu / divisor,
        memory_bytes: whole(|sample| sample.memory_bytes),
        disk_bytes: whole(|sample| sample.disk_bytes),
        received_bytes_per_second: whole(|sample| sample.received_bytes_per_second),
        sent_bytes_per_second: whole(|sample| sample.sent_bytes_per_second),
        processes: whole(|sample| sample.processes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::{Duration, OffsetDateTime};

    fn sample(number: u32) -> Sample {
        Sample {
            time: OffsetDateTime::UNIX_EPOCH + Duration::seconds(i64::from(number) * 10),
            cpu_percent: f64::from(number),
            memory_bytes: u64::from(number),
            disk_bytes: 7,
            received_bytes_per_second: 0,
            sent_bytes_per_second: u64::MAX,
            processes: 2,
        }
    }

    #[test]
    fn five_minutes_become_one_sample_of_the_day() {
        let mut history = History::default();
        for number in 1..=59 {
            history.add(sample(number));
        }
        let day = history.day();
        assert_eq!(day.len(), 1);
        assert_eq!(day[0].time, sample(30).time);
        assert!((day[0].cpu_percent - 15.5).abs() < 1e-9);
        assert_eq!(day[0].memory_bytes, 15);
        assert_eq!(day[0].sent_bytes_per_second, u64::MAX);
        assert_eq!(history.hour().len(), 59);
    }

    #[test]
    fn the_past_is_bounded() {
        let mut history = History::default();
        for number in 0..20_000 {
            history.add(sample(number));
        }
        assert_eq!(history.hour().len(), HOUR);
        assert_eq!(history.day().len(), DAY);
        assert_eq!(history.hour()[HOUR - 1].time, sample(19_999).time);
    }
}
