//! What the workspace uses, now and over the last day.
//!
//! A sample is taken every ten seconds; it costs a few reads of `/proc` for each of the
//! workspace's processes, and nothing else is kept than numbers; every five minutes and at
//! the end they are written down in the home. CPU time and memory
//! are the workspace's processes' own; disk is the file system that the home directory
//! is on, and network what the workspace's network carries, which on a shared host are
//! shared.

mod history;
mod kept;
mod sample;

use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::config::AgentConfig;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use history::History;
use kept::Kept;
use sample::{Meter, Totals};

/// Distance of samples.
const INTERVAL: Duration = Duration::from_secs(10);

/// When the first look is taken: the start itself isn't slowed down.
const FIRST: Duration = Duration::from_secs(1);

/// Which part of the history is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Window {
    /// The last hour.
    #[default]
    Hour,
    /// The last day.
    Day,
}

/// What the workspace used, over some seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// When it was taken.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) time: time::OffsetDateTime,
    /// CPU time by time; 100 is one CPU that does nothing else.
    pub(crate) cpu_percent: f64,
    /// Memory that the processes share with nobody.
    pub(crate) memory_bytes: u64,
    /// What is used of the home directory's file system.
    pub(crate) disk_bytes: u64,
    pub(crate) received_bytes_per_second: u64,
    pub(crate) sent_bytes_per_second: u64,
    pub(crate) processes: u64,
}

/// The history and what it is measured against.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    interval_seconds: u64,
    #[serde(flatten)]
    totals: Totals,
    samples: Vec<Sample>,
}

/// Keeps the history of a workspace.
#[derive(Debug)]
pub(crate) struct Statistics {
    meter: Mutex<Meter>,
    history: Mutex<History>,
    kept: Kept,
}

impl Statistics {
    pub(crate) fn new(config: &AgentConfig) -> Self {
        let home = config.home.clone();
        let kept = Kept::new(&config.workspace, &home);
        Self {
            meter: Mutex::new(Meter::new(config.mark(), home)),
            history: Mutex::default(),
            kept,
        }
    }

    /// Takes samples until `stop`. Goes on with what an agent before this one has kept.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        // The home directory may be on a slow file system.
        let statistics = Arc::clone(&self);
        let read = spawn_blocking(move || *lock(&statistics.history) = statistics.kept.read());
        if read.await.is_err() {
            debug!("the statistics of before couldn't be read");
        }
        let first = tokio::time::Instant::now() + FIRST;
        let mut ticks = interval_at(first, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let statistics = Arc::clone(&self);
            let sampled = spawn_blocking(move || statistics.sample()).await;
            if sampled.is_err() {
                debug!("a sample couldn't be taken");
            }
        }
        self.keep();
    }

    /// Writes the history down, for the agent that comes next.
    pub(crate) fn keep(&self) {
        self.kept.write(&lock(&self.history));
    }

    /// Returns a part of the history, the oldest sample first.
    pub(crate) fn report(&self, window: Window) -> Report {
        let totals = lock(&self.meter).totals();
        let history = lock(&self.history);
        let (interval_seconds, samples) = match window {
            Window::Hour => (INTERVAL.as_secs(), history.hour()),
            Window::Day => (INTERVAL.as_secs() * history::FOLD, history.day()),
        };
        Report {
            interval_seconds,
            totals,
            samples,
        }
    }

    fn sample(&self) {
        let sample = lock(&self.meter).sample();
        if let Some(sample) = sample
            && lock(&self.history).add(sample)
        {
            self.keep();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
