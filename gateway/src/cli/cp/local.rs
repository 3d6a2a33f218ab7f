//! Places on this machine, and what is made there.
//!
//! What a workspace says of its files isn't trusted: a link is followed only where it is what
//! was typed, as a workspace may have laid it there before.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tokio::fs::OpenOptions;

use super::outcome::Trouble;
use super::resume::key;
use crate::cli::client::Made;
use crate::cli::failure::{Failure, Kind};

/// Where what is open is seen as a file: writing to it isn't replacing it.
const OPEN: [&str; 3] = ["/dev/fd/", "/dev/std", "/proc/"];

/// A place on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) path: PathBuf,
    named: Named,
}

/// How a place is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// As it was typed: links lead where they lead.
    Typed,
    /// By a name from a workspace.
    Joined,
}

/// What a file becomes.
pub(super) enum Becomes {
    /// A file at a path, with the permissions of the one that is there.
    File(PathBuf, Option<u32>),
    /// What goes into something that is no file, such as a device or a pipe.
    Stream(tokio::fs::File),
}

impl Becomes {
    /// Returns the permissions of the file that is there.
    pub(super) fn mode(&self) -> Option<u32> {
        match self {
            Self::File(_, mode) => *mode,
            Self::Stream(_) => None,
        }
    }
}

impl Local {
    /// Returns the place that was typed.
    pub(super) fn typed(path: PathBuf) -> Self {
        let named = Named::Typed;
        Self { path, named }
    }

    /// Returns the place with this name in a folder.
    pub(super) fn join(&self, name: &[u8]) -> Self {
        let path = self.path.join(std::ffi::OsStr::from_bytes(name));
        let named = Named::Joined;
        Self { path, named }
    }

    /// Returns what a file that is put here becomes.
    pub(super) async fn becomes(&self) -> Result<Becomes, Trouble> {
        let path = self.path.clone();
        let failed = |error: io::Error| Trouble::here("write", &self.path, &error);
        let found = self.metadata();
        match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.path.is_symlink() {
                    let message = format!("{} is a link to nothing", path.display());
                    return Err(Failure::new(Kind::Failed, message).into());
                }
                Ok(Becomes::File(path, None))
            }
            Err(error) => Err(failed(error)),
            Ok(found) if found.is_dir() => Err(self.in_the_way("a file")),
            // What a name from a workspace leads to is replaced.
            Ok(found) if found.is_symlink() => Ok(Becomes::File(path, None)),
            Ok(found) if found.is_file() && !self.is_open() => {
                let mode = found.permissions().mode() & 0o777;
                let path = match self.named {
                    Named::Typed => path.canonicalize().map_err(failed)?,
                    Named::Joined => path,
                };
                Ok(Becomes::File(path, Some(mode)))
            }
            Ok(found) if self.named == Named::Joined || found.file_type().is_socket() => {
                Err(self.in_the_way("a file"))
            }
            Ok(_) => {
                let opened = OpenOptions::new().append(true).open(path).await;
                Ok(Becomes::Stream(opened.map_err(failed)?))
            }
        }
    }

    /// Makes a folder that is closed to others, or takes the one that is there.
    pub(super) fn make_folder(&self) -> Result<Made, Trouble> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => Ok(Made::New),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match self.metadata() {
                Ok(found) if found.is_dir() => Ok(Made::ThereAlready),
                _ => Err(self.in_the_way("a folder")),
            },
            Err(error) => Err(Trouble::here("make", &self.path, &error)),
        }
    }

    /// Makes a symbolic link, in the place of a file or another one.
    pub(super) fn make_link(&self, target: &str) -> Result<(), Trouble> {
        let failed = |error| Trouble::here("make the link", &self.path, &error);
        match self.path.symlink_metadata() {
            Ok(found) if found.is_file() || found.is_symlink() => {}
            Ok(_) => return Err(self.in_the_way("a link")),
            // Nothing is there, or making one says what is wrong.
            Err(_) => return symlink(target, &self.path).map_err(failed),
        }
        // What is there stays where a link can't be made.
        let own = key(&[self.path.as_os_str().as_bytes()]);
        let new = self.path.with_file_name(format!(".devgate-{own}.link"));
        let _ = fs::remove_file(&new);
        let made = symlink(target, &new).and_then(|()| fs::rename(&new, &self.path));
        made.map_err(failed)
    }

    fn metadata(&self) -> io::Result<fs::Metadata> {
        match self.named {
            Named::Typed => self.path.metadata(),
            Named::Joined => self.path.symlink_metadata(),
        }
    }

    /// Tells whether it is another name for something that is open.
    fn is_open(&self) -> bool {
        let path = self.path.to_string_lossy();
        self.named == Named::Typed && OPEN.iter().any(|open| path.starts_with(open))
    }

    fn in_the_way(&self, of: &str) -> Trouble {
        let message = format!("{} is in the way of {of}: move it", self.path.display());
        Failure::new(Kind::Failed, message).into()
    }
}

/// Folders that were made here. They get their permissions once all is in them, which may be
/// those not to write to them; where that isn't reached, they get what is needed to go on.
#[derive(Debug, Default)]
pub(super) struct NewFolders(Vec<(PathBuf, u32)>);

impl NewFolders {
    pub(super) fn add(&mut self, path: PathBuf, mode: u32) {
        self.0.push((path, mode));
    }

    /// Gives them their permissions, and says for which one that couldn't be.
    pub(super) fn finish(mut self) -> Result<(), Trouble> {
        let mut outcome = Ok(());
        // The innermost first, as one may not be entered any more.
        while let Some((path, mode)) = self.0.pop() {
            let set = fs::set_permissions(&path, Permissions::from_mode(mode));
            outcome = outcome.and(set.map_err(|error| Trouble::here("change", &path, &error)));
        }
        outcome
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        for (path, mode) in self.0.iter().rev() {
            // Whoever comes again is told.
            let _ = fs::set_permissions(path, Permissions::from_mode(mode | 0o700));
        }
    }
}

/// Returns which permissions this machine gives nobody.
pub(super) fn umask() -> u32 {
    use rustix::fs::Mode;
    use rustix::process::umask;
    let own = umask(Mode::from_raw_mode(0o077));
    umask(own);
    own.bits()
}

/// Returns a file's length.
pub(super) fn length(file: &File, path: &Path) -> Result<u64, Trouble> {
    let found = file.metadata();
    Ok(found
        .map_err(|error| Trouble::here("read", path, &error))?
        .len())
}
