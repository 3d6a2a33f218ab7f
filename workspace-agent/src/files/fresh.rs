//! A file that is nowhere to be seen until it is whole.
//!
//! It has no name where the filesystem can have such a file, so that nothing is left of
//! it whatever ends the agent; else one beside the file that it becomes.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, fsync, linkat, openat, renameat};
use rustix::fs::{renameat_with, unlinkat};
use rustix::io::{Errno, Result};

/// What the names of files begin with that aren't whole.
pub(super) const PREFIX: &str = ".devgate-";

/// Whether something may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    Yes,
    No,
}

impl Replace {
    /// Returns `Yes` where it was asked for.
    pub(crate) fn when(asked: bool) -> Self {
        if asked { Self::Yes } else { Self::No }
    }
}

/// A new file that has no name, or a passing one.
#[derive(Debug)]
pub(super) struct Fresh {
    folder: OwnedFd,
    pub(super) file: File,
    name: Option<String>,
}

impl Fresh {
    /// Makes one on the filesystem of a folder.
    pub(super) fn beside(folder: BorrowedFd<'_>) -> Result<Self> {
        let own = folder.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
        let mode = Mode::from_raw_mode(0o600);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let (file, name) = match openat(folder, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => (file, None),
            // The filesystem has no such files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT | Errno::NOSYS) => {
                let name = passing_name();
                let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                (openat(folder, &name, flags, mode)?, Some(name))
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            folder: own,
            file: file.into(),
            name,
        })
    }

    /// Gives it its name.
    pub(super) fn put(mut self, name: &OsStr, replace: Replace) -> Result<()> {
        if self.name.is_none() {
            match self.link(name) {
                Err(Errno::EXIST) if replace == Replace::Yes => {}
                linked => return linked,
            }
            // A link replaces nothing, a renaming does.
            let passing = passing_name();
            self.link(OsStr::new(&passing))?;
            self.name = Some(passing);
        }
        let Some(passing) = self.name.as_deref() else {
            return Ok(());
        };
        rename(
            self.folder.as_fd(),
            OsStr::new(passing),
            self.folder.as_fd(),
            name,
            replace,
        )?;
        self.name = None;
        Ok(())
    }

    fn link(&self, name: &OsStr) -> Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        linkat(CWD, own, &self.folder, name, AtFlags::SYMLINK_FOLLOW)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What can't be removed is left, and named so that one sees what it is.
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

/// Gives something another name; `EXIST` where something else has that already.
pub(super) fn rename(
    from: BorrowedFd<'_>,
    old: &OsStr,
    to: BorrowedFd<'_>,
    new: &OsStr,
    replace: Replace,
) -> Result<()> {
    if replace == Replace::Yes {
        return renameat(from, old, to, new);
    }
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // A filesystem without that flag.
        Err(Errno::INVAL | Errno::NOSYS) => {}
        renamed => return renamed,
    }
    match rustix::fs::statat(to, new, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => renameat(from, old, to, new),
        Err(error) => Err(error),
        Ok(_) => Err(Errno::EXIST),
    }
}

/// Returns a name that nothing has.
pub(super) fn passing_name() -> String {
    format!("{PREFIX}{:016x}", rand::random::<u64>())
}

/// Waits until a folder's names are on the disk.
pub(super) fn sync_folder(folder: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fsync(openat(folder, ".", flags, Mode::empty())?)
}
