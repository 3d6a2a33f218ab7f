//! Walks through trees by open folders, never by paths: what is moved about meanwhile
//! leads nowhere else.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::error::{At, FileError, shown};

/// Most folders one in another: each is held open.
const MAX_DEPTH: usize = 500;

/// How a folder is opened that is read.
pub(super) const READ: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Something that was found in a folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// The open folder.
    pub(super) folder: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
    /// Its path below where the walk began.
    pub(super) path: &'a [u8],
    pub(super) kind: FileType,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Go {
    /// In the folder that was found, where it is one.
    In,
    /// With what comes after it.
    Past,
    /// Nowhere.
    Home,
}

/// What is done on a walk.
pub(super) trait Visitor {
    /// Something was found.
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError>;

    /// A folder was entered.
    fn entered(&mut self, _folder: BorrowedFd<'_>, _path: &[u8]) -> Result<(), FileError> {
        Ok(())
    }

    /// A folder was left, all that is in it having been found.
    fn left(&mut self, _found: Found<'_>) -> Result<(), FileError> {
        Ok(())
    }

    /// Something can't be read.
    fn failed(&mut self, error: FileError) -> Result<(), FileError> {
        Err(error)
    }
}

struct Level {
    dir: Dir,
    /// How long the path of the folder is.
    length: usize,
}

/// Walks through what is below a folder. Links are found, and not followed. `stop` ends
/// it early.
pub(super) fn walk(
    folder: OwnedFd,
    visitor: &mut impl Visitor,
    stop: &CancellationToken,
) -> Result<(), FileError> {
    let mut path = Vec::new();
    visitor.entered(folder.as_fd(), &path)?;
    let dir = Dir::new(folder).at(&path)?;
    let mut levels = vec![Level { dir, length: 0 }];
    while let Some((level, depth)) = innermost(&mut levels) {
        if stop.is_cancelled() {
            return Err(FileError::CutOff);
        }
        path.truncate(level.length);
        let next = match level.dir.read() {
            Some(Ok(entry)) => entry,
            Some(Err(error)) => {
                visitor.failed(system(&path, error))?;
                leave(&mut levels, &mut path, visitor)?;
                continue;
            }
            None => {
                leave(&mut levels, &mut path, visitor)?;
                continue;
            }
        };
        let name = next.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let folder = level.dir.fd().at(&path)?;
        let kind = match next.file_type() {
            FileType::Unknown => match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_) => continue,
            },
            kind => kind,
        };
        let found = Found {
            folder,
            name,
            path: &path,
            kind,
        };
        match visitor.found(found)? {
            Go::In if kind == FileType::Directory => {}
            Go::In | Go::Past => continue,
            Go::Home => return Ok(()),
        }
        if depth > MAX_DEPTH {
            return Err(FileError::TooDeep(shown(&path), MAX_DEPTH));
        }
        match openat(folder, name, READ, Mode::empty()) {
            Ok(inner) => {
                visitor.entered(inner.as_fd(), &path)?;
                let dir = Dir::new(inner).at(&path)?;
                let length = path.len();
                levels.push(Level { dir, length });
            }
            // It was deleted, or became something else.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => visitor.failed(system(&path, error))?,
        }
    }
    Ok(())
}

fn innermost(levels: &mut [Level]) -> Option<(&mut Level, usize)> {
    let depth = levels.len();
    levels.last_mut().map(|level| (level, depth))
}

fn leave(
    levels: &mut Vec<Level>,
    path: &mut Vec<u8>,
    visitor: &mut impl Visitor,
) -> Result<(), FileError> {
    let left = levels.pop();
    let (Some(_), Some(above)) = (left, levels.last_mut()) else {
        return Ok(());
    };
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    visitor.left(Found {
        folder: above.dir.fd().at(path)?,
        name,
        path,
        kind: FileType::Directory,
    })
}

fn system(path: &[u8], source: Errno) -> FileError {
    FileError::System {
        path: shown(path),
        source,
    }
}
