//! What the start-up writes: a file in the home that stays small, each line with the
//! time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use crate::state_folder::STATE_FOLDER;

/// Name of the log.
const NAME: &str = "startup.log";

/// Size at which the log is begun anew, in bytes; the file before it is kept.
const MAX_SIZE: u64 = 1024 * 1024;

/// Most that is read of it at once, in bytes.
const MAX_READ: u64 = 256 * 1024;

/// The start-up's log. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// One writes at a time; tells whether a failure was told.
    turn: Arc<Mutex<bool>>,
}

/// Where somebody stands who reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file's inode; 0 before the first.
    file: u64,
    offset: u64,
}

impl Log {
    pub(super) fn new(home: &Path) -> Self {
        Self {
            path: home.join(STATE_FOLDER).join(NAME),
            turn: Arc::default(),
        }
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
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match self.write(text.as_bytes()) {
            Ok(()) => *turn = false,
            Err(error) if !*turn => {
                // Once, and not for each line of a full disk.
                *turn = true;
                warn!(%error, log = %self.path.display(), "the start-up's log can't be written");
            }
            Err(_) => {}
        }
    }

    /// Adds a line of the agent's own.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.add("devgate", &[text.into()]);
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        if fs::metadata(&self.path).is_ok_and(|found| found.len() > MAX_SIZE) {
            fs::rename(&self.path, self.old())?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(text)
    }

    fn old(&self) -> PathBuf {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        old.into()
    }

    /// Returns what follows a place, as far as it is there and not too much, and where
    /// that ends.
    pub(crate) fn read(&self, place: Place) -> io::Result<(Vec<u8>, Place)> {
        let Some(mut file) = open(&self.path)? else {
            return Ok((Vec::new(), place));
        };
        let found = file.metadata()?;
        if place.file != 0 && place.file != found.ino() {
            // The rest of the file before it, which was set aside meanwhile.
            if let Some(mut old) = open(&self.old())?
                && old.metadata()?.ino() == place.file
            {
                let (rest, end) = read_from(&mut old, place)?;
                if !rest.is_empty() {
                    return Ok((rest, end));
                }
            }
        }
        let start = Place {
            file: found.ino(),
            offset: if place.file == found.ino() && place.offset <= found.len() {
                place.offset
            } else {
                0
            },
        };
        read_from(&mut file, start)
    }

    /// Returns the last lines, and where they end.
    pub(crate) fn tail(&self, lines: usize) -> io::Result<(String, Place)> {
        let Some(mut file) = open(&self.path)? else {
            return Ok((String::new(), Place::default()));
        };
        let found = file.metadata()?;
        let start = Place {
            file: found.ino(),
            offset: found.len().saturating_sub(MAX_READ),
        };
        let (mut bytes, end) = read_from(&mut file, start)?;
        let of_old = MAX_READ.saturating_sub(found.len());
        if let Some(mut old) = open(&self.old())?
            && of_old > 0
        {
            let found = old.metadata()?;
            let start = Place {
                file: found.ino(),
                offset: found.len().saturating_sub(of_old),
            };
            let (mut before, _) = read_from(&mut old, start)?;
            before.append(&mut bytes);
            bytes = before;
        }
        let text = String::from_utf8_lossy(&bytes);
        let count = text.lines().count();
        let skipped = count.saturating_sub(lines);
        let last = text.split_inclusive('\n').skip(skipped).collect();
        Ok((last, end))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_from(file: &mut File, place: Place) -> io::Result<(Vec<u8>, Place)> {
    file.seek(SeekFrom::Start(place.offset))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let offset = place.offset.saturating_add(read);
    Ok((bytes, Place { offset, ..place }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_time_and_step() {
        let home = tempfile::tempdir().unwrap();
        let log = Log::new(home.path());
        assert_eq!(log.tail(5).unwrap().0, "");
        log.add("make", &["one".into(), "two".into()]);
        log.note("over");
        let (last, place) = log.tail(2).unwrap();
        let ends: Vec<_> = last
            .lines()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect();
        assert_eq!(ends, ["[make] two", "[devgate] over"]);
        log.note("more");
        let (more, _) = log.read(place).unwrap();
        assert!(String::from_utf8(more).unwrap().ends_with("more\n"));
    }

    #[test]
    fn whoever_follows_a_log_that_is_begun_anew_misses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let log = Log::new(home.path());
        let (_, mut place) = log.tail(0).unwrap();
        let filler = "x".repeat(1000);
        let mut read = Vec::new();
        for number in 0..3000 {
            log.add("a", &[format!("{number} {filler}")]);
            if number % 300 == 0 {
                loop {
                    let (more, end) = log.read(place).unwrap();
                    place = end;
                    if more.is_empty() {
                        break;
                    }
                    read.extend(more);
                }
            }
        }
        while let (more, end) = log.read(place).unwrap()
            && !more.is_empty()
        {
            place = end;
            read.extend(more);
        }
        let text = String::from_utf8(read).unwrap();
        let numbers = text.lines().map(|line| line.split(' ').nth(2).unwrap());
        assert!(numbers.eq((0..3000).map(|number| number.to_string())));
        let folder = home.path().join(STATE_FOLDER);
        let sizes = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len());
        let sizes: Vec<_> = sizes.collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|size| *size < MAX_SIZE + 2000));
    }
}
