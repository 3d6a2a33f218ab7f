//! Where paths lead: the one way from a path to something in the filesystem.
//!
//! A [`Root`] is what a caller may reach, a [`Place`] a name in an open folder. What is
//! done, is done to names in open folders, so that nobody who moves folders about
//! meanwhile leads it elsewhere.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, mkdirat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::error::{At, FileError, shown};
use super::resolve::{self, How};

/// Longest path, in bytes.
const MAX_PATH: usize = 4096;

/// Most symbolic links from one to the next.
const MAX_LINKS: usize = 40;

/// How a folder is opened that names are looked up in.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What a caller may reach, and where its relative paths begin.
#[derive(Debug)]
pub(crate) struct Root {
    folder: OwnedFd,
    /// The folder's path as the caller may write it, and as it is: without a `/` at the
    /// end.
    names: Vec<Vec<u8>>,
    /// Where relative paths begin, below the folder.
    start: Vec<u8>,
    bound: Bound,
}

/// Whether paths may lead out of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// The folder is `/`.
    Free,
    Beneath(How),
}

impl Root {
    /// Returns the whole filesystem, with relative paths from `home`; or, `confined`, one
    /// folder of it.
    pub(crate) fn of(home: &Path, confined: Option<&[u8]>) -> Result<Self, FileError> {
        let folder = openat(CWD, "/", FOLDER, Mode::empty()).at(b"/")?;
        let start = trim(home.as_os_str().as_bytes()).to_vec();
        let all = Self {
            folder,
            names: vec![Vec::new()],
            start,
            bound: Bound::Free,
        };
        match confined {
            None => Ok(all),
            Some(path) => all.beneath(path),
        }
    }

    /// Returns a folder within this one, that no path leaves.
    pub(crate) fn beneath(&self, path: &[u8]) -> Result<Self, FileError> {
        let folder = self.open(path, FOLDER)?;
        let mut names = vec![real_path(folder.as_fd())];
        for name in &self.names {
            let name = tidy(&[name, &b"/"[..], &self.relative(path)?].concat());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let how = match self.bound {
            Bound::Free => How::Kernel,
            Bound::Beneath(how) => how,
        };
        Ok(Self {
            folder,
            names,
            start: Vec::new(),
            bound: Bound::Beneath(how),
        })
    }

    /// Returns the folder that has this one's name now; the whole filesystem stays that.
    pub(crate) fn again(&self) -> Result<Self, FileError> {
        let folder = self.names.first().filter(|name| !name.is_empty());
        Self::of(Path::new("/"), folder.map(Vec::as_slice))
    }

    /// Has this module see to it that no path leaves the folder.
    #[cfg(test)]
    pub(super) fn by_steps(self) -> Self {
        let bound = Bound::Beneath(How::Steps);
        Self { bound, ..self }
    }

    /// Opens what a path leads to, through symbolic links.
    pub(crate) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, FileError> {
        self.open_relative(&self.relative(path)?, flags)
            .map_err(|error| self.told(error, path))
    }

    /// Finds the folder that a path's last name is in.
    pub(crate) fn place(&self, path: &[u8]) -> Result<Place, FileError> {
        let relative = self.relative(path)?;
        if path.is_empty() {
            return Err(FileError::BadPath(String::new(), "it is empty"));
        }
        self.place_below(&relative, path)
    }

    /// Finds the place that a path leads to at the end of all symbolic links, which may
    /// be empty yet.
    pub(crate) fn destination(&self, path: &[u8]) -> Result<Place, FileError> {
        let mut place = self.place(path)?;
        for _ in 0..MAX_LINKS {
            let target = match readlinkat(&place.folder, place.name(), Vec::new()) {
                Ok(target) => target.into_bytes(),
                // No link, or nothing.
                Err(_) => return Ok(place),
            };
            let relative = match (target.strip_prefix(b"/"), self.bound) {
                (Some(target), Bound::Free) => target.to_vec(),
                (Some(_), Bound::Beneath(_)) => return Err(FileError::Outside(shown(path))),
                (None, _) => [&place.below, &b"/"[..], &target].concat(),
            };
            place = self.place_below(trim(&relative), path)?;
        }
        Err(Errno::LOOP).at(path)
    }

    /// Makes the folders that are missing before a path's last name.
    pub(crate) fn make_parents(&self, path: &[u8]) -> Result<(), FileError> {
        let relative = self.relative(path)?;
        match split(&relative) {
            Some((folder, _)) => self.make_folders(folder, path),
            None => Ok(()),
        }
    }

    /// Makes a folder, and those above it, where they are missing.
    pub(crate) fn make_all(&self, path: &[u8]) -> Result<(), FileError> {
        let relative = self.relative(path)?;
        let end = relative.iter().rposition(|byte| *byte != b'/');
        let (folder, _) = relative.split_at(end.map_or(0, |end| end + 1));
        self.make_folders(folder, path)
    }

    fn make_folders(&self, folder: &[u8], path: &[u8]) -> Result<(), FileError> {
        match self.open_relative(folder, FOLDER) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(self.told(error, path)),
        }
        let ends = folder
            .iter()
            .enumerate()
            .filter_map(|(at, byte)| (*byte == b'/').then_some(at))
            .chain([folder.len()]);
        for end in ends {
            let (part, _) = folder.split_at(end);
            match self.open_relative(part, FOLDER) {
                Err(Errno::NOENT) => {}
                Ok(_) => continue,
                Err(error) => return Err(self.told(error, path)),
            }
            let place = self.place_below(part, path)?;
            match mkdirat(&place.folder, place.name(), Mode::from_raw_mode(0o755)) {
                // Somebody was faster.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error).at(path),
            }
        }
        Ok(())
    }

    fn place_below(&self, relative: &[u8], path: &[u8]) -> Result<Place, FileError> {
        let (folder, name) = split(relative).ok_or_else(|| {
            FileError::BadPath(shown(path), "its end is a folder itself, not a name in one")
        })?;
        let opened = self
            .open_relative(folder, FOLDER)
            .map_err(|error| self.told(error, path))?;
        Ok(Place {
            folder: opened,
            name: name.to_vec(),
            below: folder.to_vec(),
        })
    }

    fn open_relative(&self, relative: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if relative.is_empty() { b"." } else { relative };
        match self.bound {
            Bound::Free => openat(&self.folder, path, flags | OFlags::CLOEXEC, Mode::empty()),
            Bound::Beneath(how) => resolve::open(how, self.folder.as_fd(), path, flags),
        }
    }

    fn told(&self, error: Errno, path: &[u8]) -> FileError {
        match (error, self.bound) {
            (Errno::XDEV, Bound::Beneath(_)) => FileError::Outside(shown(path)),
            (source, _) => FileError::System {
                path: shown(path),
                source,
            },
        }
    }

    /// Returns a path as one below the folder.
    fn relative(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        if path.contains(&0) {
            return Err(FileError::BadPath(shown(path), "it has a NUL byte"));
        }
        if path.len() > MAX_PATH {
            let begin = path.get(..100).unwrap_or_default();
            return Err(FileError::BadPath(
                shown(begin),
                "it is longer than 4096 bytes",
            ));
        }
        if !path.starts_with(b"/") {
            let between = if self.start.is_empty() {
                &b""[..]
            } else {
                b"/"
            };
            return Ok([&self.start, between, path].concat());
        }
        let below = self.names.iter().find_map(|name| {
            let rest = path.strip_prefix(name.as_slice())?;
            (rest.is_empty() || rest.starts_with(b"/")).then(|| trim(rest).to_vec())
        });
        below.ok_or_else(|| FileError::Outside(shown(path)))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// A name in an open folder; something may have it or not.
#[derive(Debug)]
pub(crate) struct Place {
    folder: OwnedFd,
    name: Vec<u8>,
    /// The folder's path below the root's.
    below: Vec<u8>,
}

impl Place {
    /// Returns a name in a folder.
    pub(super) fn new(folder: OwnedFd, name: &[u8]) -> Self {
        Self {
            folder,
            name: name.to_vec(),
            below: Vec::new(),
        }
    }

    /// Returns the folder.
    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Returns the name: never `.` or `..`, and without a `/`.
    pub(crate) fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.name)
    }

    /// Returns its absolute path as it is now.
    pub(crate) fn path(&self) -> Vec<u8> {
        let folder = real_path(self.folder());
        [&folder, &b"/"[..], &self.name].concat()
    }

    /// Returns what has the name; a symbolic link itself.
    pub(crate) fn stat(&self) -> Result<Stat, Errno> {
        statat(&self.folder, self.name(), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Returns what kind of thing has the name, where anything has.
    pub(crate) fn kind(&self) -> Result<Option<FileType>, Errno> {
        match self.stat() {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens what has the name, no symbolic link.
    pub(crate) fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.folder, self.name(), flags, mode)
    }
}

/// Returns the path of an open folder as the kernel knows it; without a `/` at its end.
pub(super) fn real_path(folder: BorrowedFd<'_>) -> Vec<u8> {
    use std::os::fd::AsRawFd as _;
    let link = format!("/proc/self/fd/{}", folder.as_raw_fd());
    let path = std::fs::read_link(link).map(std::path::PathBuf::into_os_string);
    let mut path = path.map(OsStringExt::into_vec).unwrap_or_default();
    while path.last() == Some(&b'/') {
        path.pop();
    }
    path
}

/// Returns the path of something open, at the end of all symbolic links.
pub(crate) fn path_of(opened: &OwnedFd) -> std::path::PathBuf {
    use std::ffi::OsString;
    let path = real_path(opened.as_fd());
    if path.is_empty() {
        "/".into()
    } else {
        OsString::from_vec(path).into()
    }
}

/// Returns a path without `/` at its begin.
fn trim(path: &[u8]) -> &[u8] {
    let begin = path.iter().position(|byte| *byte != b'/');
    begin.map_or(&b""[..], |begin| path.split_at(begin).1)
}

/// Splits a path before its last name; `None` where it ends with none.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|byte| *byte != b'/')?;
    let (path, _) = path.split_at(end + 1);
    let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (path.split_at(at).0, path.split_at(at + 1).1),
        None => (&b""[..], path),
    };
    (name != b"." && name != b"..").then_some((folder, name))
}

/// Returns a path without empty names and `.`.
fn tidy(path: &[u8]) -> Vec<u8> {
    let mut tidy = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/') {
        if !name.is_empty() && name != b"." {
            tidy.push(b'/');
            tidy.extend_from_slice(name);
        }
    }
    tidy
}
