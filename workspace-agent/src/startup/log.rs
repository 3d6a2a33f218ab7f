//! What the start-up writes: a log in the home, each line with the time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use devgate_protocol::startup::LOG;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use crate::log::LogFile;

/// The start-up's log. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    file: LogFile,
    /// Whether a failure was told.
    told: Arc<AtomicBool>,
}

impl Log {
    pub(super) fn new(home: &Path) -> Self {
        Self {
            file: LogFile::new(home.join(LOG)),
            told: Arc::default(),
        }
    }

    pub(crate) fn file(&self) -> &LogFile {
        &self.file
    }

    /// Adds lines of a step's.
    pub(super) fn add(&self, step: &str, lines: &[String]) {
        let now = OffsetDateTime::now_utc();
        let now = now.replace_nanosecond(0).unwrap_or(now);
        let time = now.format(&Rfc3339).unwrap_or_default();
        let mut text = String::new();
        for line in lines {
            text.extend([time.as_str(), " [", step, "] ", line, "\n"]);
        }
        let written = self.file.append(text.as_bytes());
        let told = self.told.swap(written.is_err(), Ordering::Relaxed);
        if let Err(error) = written
            && !told
        {
            // Once, and not for each line of a full disk.
            let log = self.file.path().display();
            warn!(%error, %log, "the start-up's log can't be written");
        }
    }

    /// Adds a line of the agent's own.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.add("devgate", &[text.into()]);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::log::MAX_SIZE;

    #[test]
    fn lines_have_their_time_and_step() {
        let home = tempfile::tempdir().unwrap();
        let log = Log::new(home.path());
        log.add("make", &["one".into(), "two".into()]);
        log.note("over");
        let last = log.file().last(2).unwrap();
        let ends: Vec<_> = last
            .lines()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect();
        assert_eq!(ends, ["[make] two", "[devgate] over"]);
    }

    #[test]
    fn whoever_follows_a_log_that_is_begun_anew_misses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let log = Log::new(home.path());
        let mut follower = log.file().follow(0).unwrap();
        let filler = "x".repeat(1000);
        let mut read = Vec::new();
        for number in 0..3000 {
            log.add("a", &[format!("{number} {filler}")]);
            if number % 300 == 0 {
                while let Some(line) = follower.next_line().unwrap() {
                    read.push(line);
                }
            }
        }
        while let Some(line) = follower.next_line().unwrap() {
            read.push(line);
        }
        let numbers = read.iter().map(|line| line.split(' ').nth(2).unwrap());
        assert!(numbers.eq((0..3000).map(|number| number.to_string())));
        let log = home.path().join(LOG);
        let sizes = fs::read_dir(log.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len());
        let sizes: Vec<_> = sizes.collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|size| *size < MAX_SIZE + 2000));
    }
}
