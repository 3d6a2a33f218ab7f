//! Looks through a folder before it is packed: once an archive is on its way, nothing can be
//! refused any more.

use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, FileType, SeekFrom, accessat, readlinkat, seek};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Format, Source};
use crate::files::error::{At, FileError, shown};
use crate::files::walk::{Found, Go, Visitor, walk};

/// How long it takes at most: nobody is kept waiting for a tree that is huge, or on a slow
/// disk. What is wrong with the rest shows when it is packed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of what may not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is named, and nothing is packed.
    #[default]
    Refused,
    LeftOut,
}

impl Unreadable {
    /// Says what becomes of an archive where something can't be looked at or opened.
    pub(super) fn or(self, failed: FileError) -> Result<(), FileError> {
        match failed {
            // It was deleted meanwhile.
            FileError::System {
                source: Errno::NOENT,
                ..
            } => Ok(()),
            FileError::System {
                source: Errno::ACCESS | Errno::PERM,
                ..
            } if self == Self::LeftOut => {
                debug!(%failed, "left out of an archive");
                Ok(())
            }
            failed => Err(failed),
        }
    }
}

/// Returns how much of a folder is left out of an archive.
///
/// # Errors
/// What can't be in the archive, where it isn't to be left out.
pub(super) fn look(
    source: &Source,
    format: Format,
    stop: &CancellationToken,
) -> Result<u64, FileError> {
    let mut looking = Looking {
        format,
        unreadable: source.unreadable,
        left_out: 0,
        until: Instant::now() + PATIENCE,
    };
    let folder = source.folder.try_clone().at(b"")?;
    walk(folder, &mut looking, stop)?;
    // Both have read it to its end.
    seek(&source.folder, SeekFrom::Start(0)).at(b"")?;
    Ok(looking.left_out)
}

struct Looking {
    format: Format,
    unreadable: Unreadable,
    left_out: u64,
    until: Instant,
}

impl Looking {
    fn left_out(&mut self, path: &[u8]) -> Result<Go, FileError> {
        if self.unreadable == Unreadable::Refused {
            return Err(FileError::Unreadable(shown(path)));
        }
        self.left_out += 1;
        Ok(Go::Past)
    }
}

impl Visitor for Looking {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        if Instant::now() > self.until {
            return Ok(Go::Home);
        }
        let needed = match found.kind {
            FileType::Directory => Access::READ_OK | Access::EXEC_OK,
            FileType::RegularFile => Access::READ_OK,
            FileType::Symlink => {
                if self.format == Format::Zip
                    && let Ok(target) = readlinkat(found.folder, found.name, Vec::new())
                {
                    text_for_zip(found.path, target.as_bytes())?;
                }
                Access::EXISTS
            }
            // Sockets and devices are in no archive.
            _ => return Ok(Go::Past),
        };
        if self.format == Format::Zip {
            text_for_zip(found.path, found.name)?;
        }
        if needed == Access::EXISTS {
            return Ok(Go::Past);
        }
        match accessat(found.folder, found.name, needed, AtFlags::EACCESS) {
            Err(Errno::ACCESS | Errno::PERM) => self.left_out(found.path),
            // What else may be wrong shows when it is read.
            Ok(()) | Err(_) => Ok(Go::In),
        }
    }

    fn failed(&mut self, error: FileError) -> Result<(), FileError> {
        self.unreadable.or(error)
    }
}

/// Returns a part of what is at a path as a text, as zip archives have them.
///
/// # Errors
/// Where it is none: it would be another one in the archive.
pub(super) fn text_for_zip<'a>(path: &[u8], part: &'a [u8]) -> Result<&'a str, FileError> {
    std::str::from_utf8(part).map_err(|_| FileError::NotText(shown(path)))
}
