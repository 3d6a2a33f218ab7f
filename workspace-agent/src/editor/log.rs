//! What code-server and its supervisor write, in one file that stays small.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Size at which the log is begun anew, in bytes; the file before it is kept.
const MAX_SIZE: u64 = 1024 * 1024;

/// Most that is read of it at once, in bytes.
const MAX_READ: u64 = 256 * 1024;

/// A log file, open or not.
#[derive(Clone, Debug)]
pub(crate) struct Log(PathBuf);

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Opens it for what is to come.
    pub(super) fn open(&self) -> io::Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.0)
    }

    /// Adds a line of the supervisor's own.
    pub(super) fn note(&self, text: &str) {
        let time = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        // What can't be noted is in the agent's log as well.
        let _ = self
            .open()
            .and_then(|mut file| writeln!(file, "[{time}] devgate: {text}"));
    }

    /// Begins it anew if it is large. The programs that write to it append, so that
    /// they go on at its new beginning.
    pub(super) fn rotate(&self) {
        let large = |found: fs::Metadata| found.len() > MAX_SIZE;
        if fs::metadata(&self.0).is_ok_and(large) {
            let mut old = self.0.clone().into_os_string();
            old.push(".1");
            let rotated = fs::copy(&self.0, old).and_then(|_| {
                let file = OpenOptions::new().write(true).open(&self.0)?;
                file.set_len(0)
            });
            if let Err(error) = rotated {
                tracing::warn!(%error, "the editor's log can't be rotated");
            }
        }
    }

    /// Returns what was written from `offset` on, as far as it is there and not too
    /// much, and where that ends. After a rotation it starts at the beginning.
    pub(crate) fn read(&self, offset: u64) -> io::Result<(Vec<u8>, u64)> {
        let mut file = match File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        let start = if offset > length { 0 } else { offset };
        let start = start.max(length.saturating_sub(MAX_READ));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes)?;
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok((bytes, start.saturating_add(read)))
    }

    /// Returns the last lines, and where they end.
    pub(crate) fn tail(&self, lines: usize) -> io::Result<(String, u64)> {
        let (bytes, end) = self.read(0)?;
        let text = String::from_utf8_lossy(&bytes);
        let count = text.lines().count();
        let last: String = text
            .split_inclusive('\n')
            .skip(count.saturating_sub(lines))
            .collect();
        Ok((last, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_and_what_follows_them_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path().join("editor.log"));
        assert_eq!(log.tail(5).unwrap(), (String::new(), 0));
        let mut file = log.open().unwrap();
        file.write_all(b"one\ntwo\nthree\n").unwrap();
        let (last, end) = log.tail(2).unwrap();
        assert_eq!(last, "two\nthree\n");
        file.write_all(b"four\n").unwrap();
        let (more, end) = log.read(end).unwrap();
        assert_eq!(more, b"four\n");
        assert_eq!(log.read(end).unwrap(), (Vec::new(), end));
    }

    #[test]
    fn a_large_log_is_begun_anew_under_its_writers() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path().join("editor.log"));
        let mut file = log.open().unwrap();
        let large = vec![b'x'; usize::try_from(MAX_SIZE).unwrap() + 1];
        file.write_all(&large).unwrap();
        let (_, end) = log.read(0).unwrap();
        log.rotate();
        file.write_all(b"new\n").unwrap();
        assert_eq!(log.read(end).unwrap(), (b"new\n".to_vec(), 4));
        let old = fs::metadata(folder.path().join("editor.log.1")).unwrap();
        assert_eq!(old.len(), MAX_SIZE + 1);
    }
}
