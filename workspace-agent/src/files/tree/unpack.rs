//! Unpacks archives: each entry is made beneath the folder, by names in open folders.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod};
use rustix::fs::{futimens, linkat, mkdirat, mknodat, symlinkat, unlinkat, utimensat};
use rustix::io::Errno;
use tar::{Archive, EntryType};
use tokio_util::sync::CancellationToken;

use super::metered::Meter;
use super::sparse::Sparse;
use super::{PIECE, Unpacked, broken};
use crate::files::change::set;
use crate::files::error::{At, FileError, shown};
use crate::files::fresh::{Fresh, Replace};
use crate::files::place::{Place, Root};

/// Permissions that an archive may give: none of others' names.
const ALLOWED: u32 = 0o777;

/// Most of a tar archive that describes one entry, in bytes: its header, its names and
/// attributes, and where the parts of a sparse file are.
const MAX_HEAD: u64 = 2 * 1024 * 1024;

/// What the folders may take that are remembered to the end, in bytes, and one besides its
/// path.
const MAX_FOLDERS: usize = 32 * 1024 * 1024;
const FOLDER: usize = 64;

/// What becomes of zeros in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    Written,
    /// They take no space.
    Holes,
}

/// What an archive says of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) mode: Option<u32>,
    /// Seconds since 1970.
    pub(super) modified: Option<i64>,
}

impl Said {
    fn mode(self, usual: u32) -> Mode {
        Mode::from_raw_mode(self.mode.map_or(usual, |mode| mode & ALLOWED))
    }

    fn times(self) -> Timestamps {
        let omit = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        Timestamps {
            last_access: omit,
            last_modification: self
                .modified
                .map_or(omit, |tv_sec| Timespec { tv_sec, tv_nsec: 0 }),
        }
    }
}

/// An archive on its way into a folder.
pub(super) struct Unpacking<'a> {
    within: Root,
    folder: OwnedFd,
    stop: &'a CancellationToken,
    /// The folder of the last entry, which is that of the next one most often.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Folders, which get their permissions and times once all is in them, and what they
    /// take.
    folders: BTreeMap<Vec<u8>, Said>,
    remembered: usize,
    done: Unpacked,
    buffer: Vec<u8>,
}

impl<'a> Unpacking<'a> {
    pub(super) fn new(within: Root, folder: OwnedFd, stop: &'a CancellationToken) -> Self {
        Self {
            within,
            folder,
            stop,
            last: None,
            folders: BTreeMap::new(),
            remembered: 0,
            done: Unpacked::default(),
            buffer: vec![0; PIECE],
        }
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Unpacks a tar archive.
    pub(super) fn tar(&mut self, from: &mut dyn Read) -> Result<(), FileError> {
        let meter = Meter::default();
        let mut archive = Archive::new(meter.of(from));
        let mut entries = archive.entries().map_err(|error| broken(&error))?;
        loop {
            meter.allow(MAX_HEAD);
            let Some(entry) = entries.next() else {
                break;
            };
            let mut entry = entry.map_err(|error| broken(&error))?;
            meter.stop();
            let path = entry.path_bytes().into_owned();
            let header = entry.header();
            let said = Said {
                mode: header.mode().ok(),
                modified: header
                    .mtime()
                    .ok()
                    .and_then(|time| i64::try_from(time).ok()),
            };
            let kind = header.entry_type();
            let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
            match (kind, target) {
                (EntryType::Directory, _) => self.folder_entry(&path, said)?,
                // As archives had it before there was a kind for it.
                (EntryType::Regular, _) if path.ends_with(b"/") => {
                    self.folder_entry(&path, said)?;
                }
                (EntryType::Regular | EntryType::Continuous, _) => {
                    if let Some(sparse) = Sparse::of(&mut entry)? {
                        let path = sparse.path.as_ref().unwrap_or(&path);
                        let mut content = sparse.content(&mut entry)?;
                        self.sparse_file(path, said, sparse.size, &mut content)?;
                    } else {
                        let size = entry.size();
                        self.file(&path, said, size, &mut entry)?;
                    }
                }
                (EntryType::GNUSparse, _) => {
                    let size = entry.size();
                    self.sparse_file(&path, said, size, &mut entry)?;
                }
                (EntryType::Symlink, Some(target)) => self.symlink(&path, &target, said)?,
                (EntryType::Link, Some(target)) => self.hard_link(&path, &target)?,
                (EntryType::Fifo, _) => self.fifo(&path, said)?,
                (EntryType::XGlobalHeader, _) => {}
                _ => self.skip(),
            }
            // What else it holds is no part of the next one's head.
            io::copy(&mut entry, &mut io::sink()).map_err(|error| broken(&error))?;
        }
        meter.stop();
        Ok(())
    }

    /// Counts an entry that is left out.
    pub(super) fn skip(&mut self) {
        self.done.skipped += 1;
    }

    pub(super) fn folder_entry(&mut self, path: &[u8], said: Said) -> Result<(), FileError> {
        self.goes_on()?;
        let path = tidy(path)?;
        if path.is_empty() {
            return Ok(());
        }
        let place = self.place(&path)?;
        match mkdirat(place.folder(), place.name(), Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                // One that is there stays, a link to one within the folder, too.
                self.within.open(&path, OFlags::PATH | OFlags::DIRECTORY)?;
            }
            Err(error) => return Err(error).at(&path),
        }
        let length = path.len() + FOLDER;
        if self.folders.insert(path, said).is_none() {
            self.remembered += length;
        }
        if self.remembered > MAX_FOLDERS {
            let why = "it has too many folders: unpack it in parts";
            return Err(FileError::Archive(why.to_owned()));
        }
        self.done.entries += 1;
        Ok(())
    }

    pub(super) fn file(
        &mut self,
        path: &[u8],
        said: Said,
        size: u64,
        from: &mut dyn Read,
    ) -> Result<(), FileError> {
        self.make(path, said, (size, Zeros::Written), from)
    }

    fn sparse_file(
        &mut self,
        path: &[u8],
        said: Said,
        size: u64,
        from: &mut dyn Read,
    ) -> Result<(), FileError> {
        self.make(path, said, (size, Zeros::Holes), from)
    }

    fn make(
        &mut self,
        path: &[u8],
        said: Said,
        (size, zeros): (u64, Zeros),
        from: &mut dyn Read,
    ) -> Result<(), FileError> {
        self.goes_on()?;
        let path = tidy(path)?;
        let place = self.place(&path)?;
        // It is there whole, or what was there before is.
        let mut made = Fresh::beside(place.folder()).at(&path)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let before = self.done.bytes;
        let filled = self.fill((&mut made.file, zeros), from, &mut buffer, &path);
        self.buffer = buffer;
        filled?;
        if self.done.bytes - before != size {
            let why = "it ends before one of its files does";
            return Err(FileError::Archive(why.to_owned()));
        }
        fchmod(&made.file, said.mode(0o644)).at(&path)?;
        futimens(&made.file, &said.times()).at(&path)?;
        made.put(place.name(), Replace::Yes).at(&path)?;
        self.done.entries += 1;
        Ok(())
    }

    fn fill(
        &mut self,
        (made, zeros): (&mut File, Zeros),
        from: &mut dyn Read,
        buffer: &mut [u8],
        path: &[u8],
    ) -> Result<(), FileError> {
        loop {
            self.goes_on()?;
            let read = match from.read(buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(&error)),
            };
            let (bytes, _) = buffer.split_at(read);
            if zeros == Zeros::Holes && bytes.iter().all(|byte| *byte == 0) {
                let length = i64::try_from(read).unwrap_or_default();
                made.seek(SeekFrom::Current(length)).at(path)?;
            } else {
                made.write_all(bytes).at(path)?;
            }
            self.done.bytes += u64::try_from(read).unwrap_or_default();
        }
        // A hole at its end.
        let length = made.stream_position().at(path)?;
        made.set_len(length).at(path)
    }

    pub(super) fn symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        said: Said,
    ) -> Result<(), FileError> {
        self.goes_on()?;
        let path = tidy(path)?;
        let place = self.place(&path)?;
        fresh(&place, || symlinkat(target, place.folder(), place.name())).at(&path)?;
        let (times, flags) = (said.times(), AtFlags::SYMLINK_NOFOLLOW);
        utimensat(place.folder(), place.name(), &times, flags).at(&path)?;
        self.done.entries += 1;
        Ok(())
    }

    fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), FileError> {
        self.goes_on()?;
        let (path, target) = (tidy(path)?, tidy(target)?);
        let source = self.within.place(&target)?;
        let place = self.place(&path)?;
        if place.path() != source.path() {
            let link = || {
                let (from, to) = (source.folder(), place.folder());
                linkat(from, source.name(), to, place.name(), AtFlags::empty())
            };
            fresh(&place, link).at(&path)?;
        }
        self.done.entries += 1;
        Ok(())
    }

    fn fifo(&mut self, path: &[u8], said: Said) -> Result<(), FileError> {
        self.goes_on()?;
        let path = tidy(path)?;
        let place = self.place(&path)?;
        let mode = said.mode(0o644);
        fresh(&place, || {
            mknodat(place.folder(), place.name(), FileType::Fifo, mode, 0)
        })
        .at(&path)?;
        self.done.entries += 1;
        Ok(())
    }

    /// Gives the folders what the archive said of them, the innermost first.
    pub(super) fn finish(self) -> Result<Unpacked, FileError> {
        // By name, a folder is before what is in it.
        for (path, said) in self.folders.iter().rev() {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let folder = match self.within.open(path, flags) {
                // A later entry has replaced it.
                Err(FileError::System {
                    source: Errno::NOENT | Errno::NOTDIR,
                    ..
                }) => continue,
                folder => folder?,
            };
            let times = utimensat(&folder, ".", &said.times(), AtFlags::empty());
            times.at(path)?;
            set(folder.as_fd(), said.mode(0o755)).at(path)?;
        }
        Ok(self.done)
    }

    /// Finds where an entry belongs, with the folders before it.
    fn place(&mut self, path: &[u8]) -> Result<Place, FileError> {
        let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (path.split_at(at).0, path.split_at(at + 1).1),
            None => (&b""[..], path),
        };
        if name == b".." || name.is_empty() {
            return Err(FileError::Outside(shown(path)));
        }
        let known = self.last.as_ref().filter(|(last, _)| last == folder);
        let opened = if let Some((_, opened)) = known {
            opened.try_clone().at(path)?
        } else {
            self.within.make_parents(path)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let opened = self.within.open(folder, flags)?;
            self.last = Some((folder.to_vec(), opened.try_clone().at(path)?));
            opened
        };
        Ok(Place::new(opened, OsStr::from_bytes(name).as_bytes()))
    }

    fn goes_on(&self) -> Result<(), FileError> {
        if self.stop.is_cancelled() {
            return Err(FileError::CutOff);
        }
        Ok(())
    }
}

/// Makes something in the place of what is there, if that is no folder.
fn fresh<T>(place: &Place, make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    match make() {
        Err(Errno::EXIST) => {
            unlinkat(place.folder(), place.name(), AtFlags::empty())?;
            make()
        }
        result => result,
    }
}

/// Returns an entry's path without what means nothing; one that begins at `/` is
/// refused.
fn tidy(path: &[u8]) -> Result<Vec<u8>, FileError> {
    if path.starts_with(b"/") {
        return Err(FileError::Outside(shown(path)));
    }
    let names = path.split(|byte| *byte == b'/');
    let names: Vec<_> = names
        .filter(|name| !name.is_empty() && *name != b".")
        .collect();
    Ok(names.join(&b'/'))
}
