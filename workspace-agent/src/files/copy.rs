//! Copies of files and trees, which appear once they are whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::utimensat;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, mkdirat};
use rustix::fs::{fchmod, fstat, futimens, mknodat, openat, readlinkat, statat, symlinkat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::change::{Depth, exchange, remove};
use super::entry::{Entry, Names};
use super::error::{At, FileError, shown};
use super::fresh::{Fresh, Replace, passing_name, rename};
use super::place::{Place, Root};
use super::walk::{Found, Go, READ, Visitor, walk};

/// How much of a file is copied between two looks whether to go on, in bytes.
const PIECE: u64 = 64 * 1024 * 1024;

/// What becomes of what can't be copied: sockets and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    LeftOut,
    Refused,
}

/// Copies something, a folder with all that is in it. Links are copied as links; sockets
/// and devices within a folder are left out. A file never replaces a folder, nor a folder a
/// file; a folder that is replaced goes with all that is in it.
pub(crate) fn copy(
    root: &Root,
    names: &Names,
    way: (&[u8], &[u8]),
    replace: Replace,
    stop: &CancellationToken,
) -> Result<Entry, FileError> {
    copy_all(root, names, way, replace, Odd::LeftOut, stop)
}

/// Copies something, and says what becomes of what can't be.
pub(super) fn copy_all(
    root: &Root,
    names: &Names,
    (from, to): (&[u8], &[u8]),
    replace: Replace,
    odd: Odd,
    stop: &CancellationToken,
) -> Result<Entry, FileError> {
    let (source, target) = (root.place(from)?, root.place(to)?);
    let stat = source.stat().at(from)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    // Before anything is copied in vain.
    if let Some(there) = target.kind().at(to)? {
        let is_folder = |kind| kind == FileType::Directory;
        match (is_folder(kind), is_folder(there)) {
            _ if replace == Replace::No => return Err(Errno::EXIST).at(to),
            (false, true) => return Err(Errno::ISDIR).at(to),
            (true, false) => return Err(Errno::NOTDIR).at(to),
            (true, true) | (false, false) => {}
        }
    }
    match kind {
        FileType::RegularFile => {
            let file = source
                .open(OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())
                .at(from)?;
            let fresh = Fresh::beside(target.folder()).at(to)?;
            fill(&file.into(), &fresh.file, stop).at(to)?;
            finish(fresh.file.as_fd(), &stat).at(to)?;
            fresh.put(target.name(), replace).at(to)?;
        }
        FileType::Directory => {
            if holds(&stat, &target).at(to)? {
                return Err(FileError::IntoItself(shown(from)));
            }
            let whole = Passing::new(target.folder()).at(to)?;
            let name = whole.name().to_owned();
            mkdirat(target.folder(), &name, Mode::RWXU).at(to)?;
            let copied = whole.0.open(READ, Mode::empty()).at(to)?;
            let folder = source.open(READ, Mode::empty()).at(from)?;
            let mut copying = Copying {
                stop,
                odd,
                into: vec![copied],
            };
            walk(folder, &mut copying, stop)?;
            let copied = copying.into.pop().ok_or(Errno::IO).at(to)?;
            finish(copied.as_fd(), &stat).at(to)?;
            whole.put(&target, (to, replace), stop)?;
        }
        FileType::Symlink | FileType::Fifo => {
            let whole = Passing::new(target.folder()).at(to)?;
            copy_one(
                (source.folder(), source.name().as_encoded_bytes()),
                (target.folder(), whole.name().as_encoded_bytes()),
                stop,
            )
            .at(to)?;
            whole.put(&target, (to, replace), stop)?;
        }
        _ => return Err(FileError::NotAFile(shown(from))),
    }
    names.refresh();
    names.of(&target)
}

/// A tree that isn't whole, under a passing name; deleted when it is dropped.
struct Passing(Place);

impl Passing {
    fn new(folder: BorrowedFd<'_>) -> Result<Self, Errno> {
        let own = folder.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
        Ok(Self(Place::new(own, passing_name().as_bytes())))
    }

    fn name(&self) -> &OsStr {
        self.0.name()
    }

    fn put(
        self,
        target: &Place,
        (to, replace): (&[u8], Replace),
        stop: &CancellationToken,
    ) -> Result<(), FileError> {
        let (folder, name) = (target.folder(), target.name());
        match rename(self.0.folder(), self.name(), folder, name, replace) {
            Err(Errno::NOTEMPTY | Errno::EXIST) if replace == Replace::Yes => {
                exchange(&self.0, target, to, stop)
            }
            put => put.at(to),
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // Nothing is there once it has its name.
        let _ = remove(&self.0, b"", Depth::All, &CancellationToken::new());
    }
}

struct Copying<'a> {
    stop: &'a CancellationToken,
    odd: Odd,
    /// The copies of the folders that the walk is in.
    into: Vec<OwnedFd>,
}

impl Visitor for Copying<'_> {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        let into = self.into.last().ok_or(Errno::IO).at(found.path)?;
        match found.kind {
            FileType::Directory => return Ok(Go::In),
            FileType::RegularFile | FileType::Symlink | FileType::Fifo => {
                let (from, to) = ((found.folder, found.name), (into.as_fd(), found.name));
                match copy_one(from, to, self.stop) {
                    // It was deleted meanwhile.
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error).at(found.path),
                }
            }
            _ if self.odd == Odd::Refused => {
                return Err(FileError::NotAFile(shown(found.path)));
            }
            _ => {}
        }
        Ok(Go::Past)
    }

    fn entered(&mut self, _: BorrowedFd<'_>, path: &[u8]) -> Result<(), FileError> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if !name.is_empty() {
            let into = self.into.last().ok_or(Errno::IO).at(path)?;
            mkdirat(into, name, Mode::RWXU).at(path)?;
            let inner = openat(into, name, READ, Mode::empty()).at(path)?;
            self.into.push(inner);
        }
        Ok(())
    }

    fn left(&mut self, found: Found<'_>) -> Result<(), FileError> {
        let stat = statat(found.folder, found.name, AtFlags::SYMLINK_NOFOLLOW).at(found.path)?;
        let copied = self.into.pop().ok_or(Errno::IO).at(found.path)?;
        finish(copied.as_fd(), &stat).at(found.path)
    }
}

/// Copies a file, a link or a named pipe to a name that nothing has.
fn copy_one(
    (from, old): (BorrowedFd<'_>, &[u8]),
    (to, new): (BorrowedFd<'_>, &[u8]),
    stop: &CancellationToken,
) -> Result<(), Errno> {
    let stat = statat(from, old, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let source = openat(from, old, flags, Mode::empty())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let copied: File = openat(to, new, flags, Mode::RUSR | Mode::WUSR)?.into();
            let stat = fstat(&source)?;
            fill(&source.into(), &copied, stop)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            finish(copied.as_fd(), &stat)
        }
        FileType::Symlink => {
            symlinkat(&readlinkat(from, old, Vec::new())?, to, new)?;
            utimensat(to, new, &times(&stat), AtFlags::SYMLINK_NOFOLLOW)
        }
        FileType::Fifo => {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            mknodat(to, new, FileType::Fifo, mode, 0)
        }
        _ => Ok(()),
    }
}

/// Copies what is in a file; the kernel does where it can.
fn fill(source: &File, copied: &File, stop: &CancellationToken) -> io::Result<()> {
    loop {
        if stop.is_cancelled() {
            return Err(Errno::CANCELED.into());
        }
        let (mut piece, mut copied) = (source.take(PIECE), copied);
        if io::copy(&mut piece, &mut copied)? == 0 {
            return Ok(());
        }
    }
}

/// Gives a copy the permissions and times of what it was made of; those to run as somebody
/// else only where it is theirs.
fn finish(copied: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
    let own = fstat(copied)?;
    let same = (own.st_uid, own.st_gid) == (stat.st_uid, stat.st_gid);
    let most = if same { 0o7777 } else { 0o1777 };
    fchmod(copied, Mode::from_raw_mode(stat.st_mode & most))?;
    futimens(copied, &times(stat))
}

/// Returns the times of what was found.
fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime,
            tv_nsec: i64::try_from(stat.st_atime_nsec).unwrap_or_default(),
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        },
    }
}

/// Whether a place is within a folder, at any depth.
pub(super) fn holds(folder: &Stat, place: &Place) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = openat(place.folder(), ".", flags, Mode::empty())?;
    loop {
        let stat = fstat(&here)?;
        if (stat.st_dev, stat.st_ino) == (folder.st_dev, folder.st_ino) {
            return Ok(true);
        }
        let above = openat(&here, "..", flags, Mode::empty())?;
        let next = fstat(&above)?;
        if (next.st_dev, next.st_ino) == (stat.st_dev, stat.st_ino) {
            return Ok(false);
        }
        here = above;
    }
}
