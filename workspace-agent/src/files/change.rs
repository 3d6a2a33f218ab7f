//! Changes of what there is: folders made, things moved, linked, deleted, permissions set.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, chmod, mkdirat, openat};
use rustix::fs::{fstat, renameat_with, symlinkat, unlinkat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::copy::{self, Odd, holds};
use super::entry::{Entry, Names};
use super::error::{At, FileError, shown};
use super::fresh::{Replace, rename};
use super::place::{Place, Root};
use super::walk::{Found, Go, READ, Visitor, walk};
use super::write::{Condition, check, replacing};

/// Whether what a folder holds is meant, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    Itself,
    All,
}

/// Whether something had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    New,
    ThereAlready,
}

/// Makes a folder; with `parents` those above it, too, and one that is there is fine.
pub(crate) fn make_folder(
    root: &Root,
    names: &Names,
    path: &[u8],
    mode: Option<Mode>,
    parents: bool,
) -> Result<(Entry, Made), FileError> {
    if parents {
        root.make_parents(path)?;
    }
    let place = root.place(path)?;
    let outcome = match mkdirat(place.folder(), place.name(), Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) if parents && leads_to_folder(root, path) => Made::ThereAlready,
        result => {
            result.at(path)?;
            Made::New
        }
    };
    if outcome == Made::New
        && let Some(mode) = mode
    {
        let folder = place
            .open(OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            .at(path)?;
        set(folder.as_fd(), mode).at(path)?;
    }
    names.refresh();
    Ok((names.of(&place)?, outcome))
}

fn leads_to_folder(root: &Root, path: &[u8]) -> bool {
    root.open(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
}

/// Makes a symbolic link.
pub(crate) fn link(
    root: &Root,
    names: &Names,
    path: &[u8],
    target: &[u8],
) -> Result<Entry, FileError> {
    if target.is_empty() || target.contains(&0) {
        let why = "a link's target is not empty and has no NUL byte";
        return Err(FileError::BadPath(shown(target), why));
    }
    let place = root.place(path)?;
    symlinkat(target, place.folder(), place.name()).at(path)?;
    names.refresh();
    names.of(&place)
}

/// Gives something another path. It replaces what [`copy::copy`] would.
pub(crate) fn move_to(
    root: &Root,
    names: &Names,
    (from, to): (&[u8], &[u8]),
    replace: Replace,
    stop: &CancellationToken,
) -> Result<Entry, FileError> {
    let (source, target) = (root.place(from)?, root.place(to)?);
    let moved = rename(
        source.folder(),
        source.name(),
        target.folder(),
        target.name(),
        replace,
    );
    match moved {
        // With two names of one file the system does nothing.
        Ok(()) if is_other_name(&source, &target).at(to)? => {
            unlinkat(source.folder(), source.name(), AtFlags::empty()).at(from)?;
        }
        Ok(()) => {}
        // Another filesystem.
        Err(Errno::XDEV) => {
            // What can't be copied would be lost.
            copy::copy_all(root, names, (from, to), replace, Odd::Refused, stop)?;
            remove(&source, from, Depth::All, stop)?;
        }
        Err(Errno::INVAL) => return Err(FileError::IntoItself(shown(from))),
        // A folder over one that isn't empty.
        Err(Errno::NOTEMPTY | Errno::EXIST) if replace == Replace::Yes => {
            exchange(&source, &target, to, stop)?;
        }
        Err(Errno::NOENT) => return Err(Errno::NOENT).at(from),
        Err(error) => return Err(error).at(to),
    }
    names.refresh();
    names.of(&target)
}

/// Whether two names that differ are of one file.
fn is_other_name(one: &Place, other: &Place) -> Result<bool, Errno> {
    let same = |one: &Stat, other: &Stat| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
    let (old, new) = match (one.stat(), other.stat()) {
        (Ok(old), Ok(new)) => (old, new),
        // What was moved has gone from where it was.
        (Err(Errno::NOENT), _) | (_, Err(Errno::NOENT)) => return Ok(false),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    let folders = (fstat(one.folder())?, fstat(other.folder())?);
    Ok(same(&old, &new) && !(same(&folders.0, &folders.1) && one.name() == other.name()))
}

/// Puts something in the place of something else, and deletes that.
pub(super) fn exchange(
    source: &Place,
    target: &Place,
    to: &[u8],
    stop: &CancellationToken,
) -> Result<(), FileError> {
    let swapped = renameat_with(
        source.folder(),
        source.name(),
        target.folder(),
        target.name(),
        RenameFlags::EXCHANGE,
    );
    match swapped {
        Err(Errno::INVAL) => {
            let inside =
                |outer: &Place, inner: &Place| outer.stat().and_then(|outer| holds(&outer, inner));
            return if inside(source, target).at(to)? || inside(target, source).at(to)? {
                Err(FileError::IntoItself(shown(to)))
            } else {
                // The filesystem can't exchange.
                Err(Errno::OPNOTSUPP).at(to)
            };
        }
        swapped => swapped.at(to)?,
    }
    remove(source, to, Depth::All, stop)
}

/// Deletes something, if it is what it must be; what a symbolic link names is left alone.
pub(crate) fn delete(
    root: &Root,
    path: &[u8],
    depth: Depth,
    condition: &Condition,
    stop: &CancellationToken,
) -> Result<(), FileError> {
    let place = root.place(path)?;
    if *condition != Condition::None {
        // Nobody replaces a file between the look at it and its end.
        let _replacing = replacing();
        check(condition, Some(&place.stat().at(path)?), path)?;
        if unlink(&place, path)? == Unlinked::Gone {
            return Ok(());
        }
    }
    remove(&place, path, depth, stop)
}

/// What became of something that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unlinked {
    Gone,
    /// It is a folder.
    IsFolder,
}

/// Deletes what is no folder.
fn unlink(place: &Place, path: &[u8]) -> Result<Unlinked, FileError> {
    match unlinkat(place.folder(), place.name(), AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) if place.kind().at(path)? == Some(FileType::Directory) => {
            Ok(Unlinked::IsFolder)
        }
        removed => removed.at(path).map(|()| Unlinked::Gone),
    }
}

/// Deletes what is at a place.
pub(super) fn remove(
    place: &Place,
    path: &[u8],
    depth: Depth,
    stop: &CancellationToken,
) -> Result<(), FileError> {
    if unlink(place, path)? == Unlinked::Gone {
        return Ok(());
    }
    if depth == Depth::All {
        let folder = place.open(READ, Mode::empty()).at(path)?;
        walk(folder, &mut Deleting, stop)?;
    }
    unlinkat(place.folder(), place.name(), AtFlags::REMOVEDIR).at(path)
}

struct Deleting;

impl Visitor for Deleting {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        if found.kind == FileType::Directory {
            return Ok(Go::In);
        }
        match unlinkat(found.folder, found.name, AtFlags::empty()) {
            // Somebody was faster.
            Ok(()) | Err(Errno::NOENT) => Ok(Go::Past),
            Err(error) => Err(error).at(found.path),
        }
    }

    fn left(&mut self, found: Found<'_>) -> Result<(), FileError> {
        match unlinkat(found.folder, found.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).at(found.path),
        }
    }
}

/// Sets permissions: of what a path leads to, and with `All` of what is in it.
pub(crate) fn set_mode(
    root: &Root,
    names: &Names,
    path: &[u8],
    mode: Mode,
    depth: Depth,
    stop: &CancellationToken,
) -> Result<Entry, FileError> {
    if path.is_empty() {
        return Err(FileError::BadPath(String::new(), "it is empty"));
    }
    let found = root.open(path, OFlags::PATH)?;
    let kind = FileType::from_raw_mode(fstat(&found).at(path)?.st_mode);
    if depth == Depth::All && kind == FileType::Directory {
        // Opened first: one that can't be read any more couldn't be walked through.
        let folder = openat(&found, ".", READ, Mode::empty()).at(path)?;
        walk(folder, &mut Setting(mode), stop)?;
    }
    set(found.as_fd(), mode).at(path)?;
    super::entry::stat(root, names, path, true)
}

struct Setting(Mode);

impl Setting {
    fn set(&self, found: Found<'_>) -> Result<(), FileError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match openat(found.folder, found.name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened.at(found.path)?,
        };
        let stat = fstat(&opened).at(found.path)?;
        // A link has no permissions of its own.
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Ok(());
        }
        set(opened.as_fd(), self.0).at(found.path)
    }
}

impl Visitor for Setting {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        if found.kind == FileType::Directory {
            return Ok(Go::In);
        }
        self.set(found).map(|()| Go::Past)
    }

    fn left(&mut self, found: Found<'_>) -> Result<(), FileError> {
        self.set(found)
    }
}

/// Sets the permissions of something that is open as a path alone.
pub(super) fn set(opened: BorrowedFd<'_>, mode: Mode) -> Result<(), Errno> {
    chmod(format!("/proc/self/fd/{}", opened.as_raw_fd()), mode)
}
