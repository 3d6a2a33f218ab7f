//! A log in a file that stays small, and whoever reads on in it.
//!
//! Once it is large it is copied aside and cut, because programs hold it open that append
//! to it. Only the agent does that, and it counts how often: so a reader knows which of the
//! two files it stands in, however long the new one has become by then.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::{Mutex, MutexGuard};

/// Size at which the log is begun anew, in bytes; the file before it is kept.
pub(crate) const MAX_SIZE: u64 = 1024 * 1024;

/// Most that is read of it at once, in bytes.
const MAX_READ: u64 = 256 * 1024;

/// Longest line that is given to a follower as one, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// A log's file, there or not. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    /// How often it was begun anew. The agent writes, reads and cuts it with this locked.
    begun: Arc<Mutex<u64>>,
}

/// Where somebody stands who reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// How often it had been begun anew.
    begun: u64,
    /// The file's inode, as somebody may remove it by hand; 0 before the first.
    inode: u64,
    offset: u64,
}

impl LogFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            begun: Arc::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for what is to come.
    pub(crate) fn open(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
    }

    /// Adds text, after beginning it anew if it is large.
    pub(crate) fn append(&self, text: &[u8]) -> io::Result<()> {
        let mut begun = self.lock();
        self.begin_anew(&mut begun)?;
        self.open()?.write_all(text)
    }

    /// Begins it anew if it is large. The programs that write to it append, so that they
    /// go on at its new beginning.
    pub(crate) fn rotate(&self) -> io::Result<()> {
        self.begin_anew(&mut self.lock())
    }

    fn begin_anew(&self, begun: &mut u64) -> io::Result<()> {
        let large = |found: fs::Metadata| found.len() > MAX_SIZE;
        if fs::metadata(&self.path).is_ok_and(large) {
            fs::copy(&self.path, self.old())?;
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(0)?;
            *begun += 1;
        }
        Ok(())
    }

    /// Returns the last lines, the unfinished one included.
    pub(crate) fn last(&self, count: usize) -> io::Result<String> {
        let (bytes, _) = self.recent()?;
        let skipped = lines(&bytes).count().saturating_sub(count);
        let last = after(&bytes, skipped);
        Ok(String::from_utf8_lossy(last).into_owned())
    }

    /// Returns a reader of the last whole lines and of all that follows them.
    pub(crate) fn follow(&self, count: usize) -> io::Result<Follower> {
        let (bytes, place) = self.recent()?;
        let whole = lines(&bytes).filter(|line| line.ends_with(b"\n")).count();
        let rest = after(&bytes, whole.saturating_sub(count));
        Ok(Follower {
            log: self.clone(),
            place,
            rest: BytesMut::from(rest),
        })
    }

    /// Returns what was written last, from a line's beginning on, and where it ends.
    fn recent(&self) -> io::Result<(Vec<u8>, Place)> {
        let begun = self.lock();
        let mut end = Place {
            begun: *begun,
            ..Place::default()
        };
        let mut bytes = Vec::new();
        let mut start = 0;
        if let Some(mut file) = open(&self.path)? {
            let found = file.metadata()?;
            start = found.len().saturating_sub(MAX_READ);
            end.inode = found.ino();
            end.offset = start;
            (bytes, end) = read_from(&mut file, end)?;
        }
        let room = MAX_READ.saturating_sub(end.offset);
        if room > 0
            && let Some(mut old) = open(&self.old())?
        {
            start = old.metadata()?.len().saturating_sub(room);
            let from = Place {
                offset: start,
                ..end
            };
            let (mut before, _) = read_from(&mut old, from)?;
            before.append(&mut bytes);
            bytes = before;
        }
        if start > 0 && lines(&bytes).count() > 1 {
            // It begins inside a line, and perhaps inside a character.
            bytes = after(&bytes, 1).to_vec();
        }
        Ok((bytes, end))
    }

    /// Returns what follows a place, as far as it is there and not too much, and where
    /// that ends.
    fn read(&self, place: Place) -> io::Result<(Vec<u8>, Place)> {
        let begun = self.lock();
        if let Some(before) = begun.checked_sub(1)
            && place.begun <= before
            && let Some(mut old) = open(&self.old())?
        {
            // The rest of the file before; what was before that one is gone.
            let from = Place {
                begun: before,
                offset: if place.begun == before {
                    place.offset
                } else {
                    0
                },
                ..place
            };
            let (rest, end) = read_from(&mut old, from)?;
            if !rest.is_empty() {
                return Ok((rest, end));
            }
        }
        let nothing = Place {
            begun: *begun,
            ..Place::default()
        };
        let Some(mut file) = open(&self.path)? else {
            return Ok((Vec::new(), nothing));
        };
        let found = file.metadata()?;
        let stands_here =
            place.begun == *begun && place.inode == found.ino() && place.offset <= found.len();
        let from = Place {
            inode: found.ino(),
            offset: if stands_here { place.offset } else { 0 },
            ..nothing
        };
        read_from(&mut file, from)
    }

    fn old(&self) -> PathBuf {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        old.into()
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.begun.lock()
    }
}

/// Somebody who reads a log from line to line while it is written.
#[derive(Debug)]
pub(crate) struct Follower {
    log: LogFile,
    place: Place,
    /// What was read and isn't given out, as bytes: a read may end inside a character.
    rest: BytesMut,
}

impl Follower {
    /// Returns the next line without its end, or a piece of one that is too long. `None`
    /// where no whole line has come yet.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = take_line(&mut self.rest) {
                return Ok(Some(line));
            }
            let (more, end) = self.log.read(self.place)?;
            self.place = end;
            if more.is_empty() {
                return Ok(None);
            }
            self.rest.extend_from_slice(&more);
        }
    }
}

/// Takes the first line out of what was read, without its end; of one that is too long its
/// beginning, whole characters of it. `None` where there is no whole line yet.
fn take_line(rest: &mut BytesMut) -> Option<String> {
    let end = rest.iter().take(MAX_LINE + 1).position(|&b| b == b'\n');
    let length = match end {
        Some(end) => end + 1,
        None if rest.len() > MAX_LINE => piece(rest),
        None => return None,
    };
    let line = rest.split_to(length);
    let line = String::from_utf8_lossy(&line);
    Some(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Returns the length of the first piece of a line that is too long: a character that
/// stands across the limit is left to the next.
fn piece(line: &[u8]) -> usize {
    let begins = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xC0 != 0x80);
    // One has at most four bytes; what isn't UTF-8 can be cut anywhere.
    let found = (MAX_LINE - 3..=MAX_LINE).rev().find(begins);
    found.unwrap_or(MAX_LINE)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// Returns what follows so many lines.
fn after(bytes: &[u8], count: usize) -> &[u8] {
    let skipped: usize = lines(bytes).take(count).map(<[u8]>::len).sum();
    bytes.get(skipped..).unwrap_or_default()
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
mod tests;
