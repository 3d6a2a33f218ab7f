//! The history in a file of the home, for the agent that comes next.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tracing::debug;

use super::history::History;
use crate::state_folder::STATE_FOLDER;

/// Name of the file, and of the one that becomes it.
const NAME: &str = "statistics.json";
const UNFINISHED: &str = "statistics.json.new";

/// Most that is read of it, in bytes: several times what a day takes.
const MAX_SIZE: u64 = 1024 * 1024;

/// How long a sample is of interest.
const DAY: Duration = Duration::days(1);

/// Where a workspace's history is kept.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    workspace: String,
}

#[derive(Deserialize)]
struct Read {
    workspace: String,
    history: History,
}

#[derive(Serialize)]
struct Written<'a> {
    workspace: &'a str,
    history: &'a History,
}

impl Kept {
    pub(super) fn new(workspace: &str, home: &Path) -> Self {
        Self {
            folder: home.join(STATE_FOLDER),
            workspace: workspace.to_owned(),
        }
    }

    /// Returns the history of the day until now: an empty one where there is none that can
    /// be read, or the home was another workspace's then.
    pub(super) fn read(&self) -> History {
        let read = self.try_read();
        let found = read.inspect_err(|error| debug!(%error, "no statistics of before"));
        let found = found.ok().filter(|read| read.workspace == self.workspace);
        let mut history = found.map(|read| read.history).unwrap_or_default();
        let now = OffsetDateTime::now_utc();
        history.keep(now - DAY, now);
        history
    }

    /// Writes it down.
    pub(super) fn write(&self, history: &History) {
        let written = serde_json::to_vec(&Written {
            workspace: &self.workspace,
            history,
        });
        let written = written.map_err(io::Error::from);
        if let Err(error) = written.and_then(|bytes| self.try_write(&bytes)) {
            // A full disk is told elsewhere.
            debug!(%error, "the statistics can't be kept");
        }
    }

    fn try_read(&self) -> io::Result<Read> {
        let mut bytes = Vec::new();
        let file = File::open(self.folder.join(NAME))?;
        file.take(MAX_SIZE).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let unfinished = self.folder.join(UNFINISHED);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&unfinished)?.write_all(bytes)?;
        fs::rename(unfinished, self.folder.join(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::*;

    fn sample(time: OffsetDateTime) -> Sample {
        Sample {
            time,
            cpu_percent: 1.0,
            memory_bytes: 2,
            disk_bytes: 3,
            received_bytes_per_second: 4,
            sent_bytes_per_second: 5,
            processes: 6,
        }
    }

    #[test]
    fn a_day_is_kept_for_the_workspace_that_it_was() {
        let home = tempfile::tempdir().unwrap();
        let kept = Kept::new("one", home.path());
        assert_eq!(kept.read().hour(), []);
        let now = OffsetDateTime::now_utc();
        let mut history = History::default();
        for ago in [Duration::days(2), Duration::minutes(5)] {
            history.add(sample(now - ago));
        }
        // A clock that was wrong.
        history.add(sample(now + Duration::days(400)));
        kept.write(&history);
        assert_eq!(kept.read().hour(), [sample(now - Duration::minutes(5))]);
        // A clone's home is another one's.
        assert_eq!(Kept::new("two", home.path()).read().hour(), []);
    }

    #[test]
    fn what_is_none_of_ours_is_not_believed() {
        let home = tempfile::tempdir().unwrap();
        let kept = Kept::new("one", home.path());
        kept.write(&History::default());
        let file = home.path().join(STATE_FOLDER).join(NAME);
        let sample = serde_json::to_string(&sample(OffsetDateTime::now_utc())).unwrap();
        let many = vec![sample; 5000].join(",");
        for (text, most) in [
            ("", 0),
            ("[]", 0),
            (
                &format!(
                    r#"{{"workspace":"one","history":{{"hour":[{many}],"day":[],"open":7}}}}"#
                ),
                360,
            ),
        ] {
            fs::write(&file, text).unwrap();
            assert!(kept.read().hour().len() <= most);
        }
    }
}
