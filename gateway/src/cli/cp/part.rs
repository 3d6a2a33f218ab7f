//! What came of a file, before it is whole.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use super::local::{Becomes, length};
use super::outcome::Trouble;
use super::resume::{Remembered, key};
use crate::cli::failure::{Failure, Kind};

/// What is smaller isn't worth going on with, in bytes.
const WORTH: u64 = 1024 * 1024;

/// How often another command may take the part's name away while it is opened.
const TURNS: usize = 10;

/// What comes of a file, which has its name only once all of it came.
pub(super) enum Part {
    Kept(Kept),
    /// It goes into something that is no file, where nothing can be taken back.
    Passed {
        to: tokio::fs::File,
        path: PathBuf,
        length: u64,
    },
}

/// Of which file it comes.
pub(super) struct Origin<'a> {
    /// The workspace's id.
    pub(super) workspace: &'a str,
    pub(super) path: &'a [u8],
    /// What is another one once the file is another one.
    pub(super) tag: &'a str,
    pub(super) size: u64,
}

/// A file beside its place. One that is worth it stays where the command is cut off, and the
/// next one goes on with it: its name says of which file it is, and for where.
///
/// Whoever has it open has it locked.
pub(super) struct Kept {
    path: PathBuf,
    to: PathBuf,
    file: File,
    length: u64,
    /// Of what file it came.
    remembered: Remembered,
    /// Whether it isn't worth going on with.
    small: bool,
    /// Whether it has its name.
    placed: bool,
}

impl Origin<'_> {
    fn tag(&self) -> String {
        key(&[self.tag.as_bytes(), &self.size.to_le_bytes()])
    }
}

impl Part {
    /// Opens what came of a file before, or begins.
    pub(super) fn open(becomes: Becomes, to: &Path, origin: &Origin<'_>) -> Result<Self, Trouble> {
        match becomes {
            Becomes::File(to, _) => Ok(Self::Kept(Kept::open(to, origin)?)),
            Becomes::Stream(file) => Ok(Self::Passed {
                to: file,
                path: to.to_owned(),
                length: 0,
            }),
        }
    }

    /// Returns how much came, in bytes.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Kept(kept) => kept.length,
            Self::Passed { length, .. } => *length,
        }
    }

    /// Adds what came.
    pub(super) async fn write(&mut self, data: &[u8]) -> Result<(), Trouble> {
        let more = u64::try_from(data.len()).unwrap_or(u64::MAX);
        match self {
            Self::Kept(kept) => {
                let written = kept.file.write_all(data);
                written.map_err(|error| Trouble::here("write", &kept.path, &error))?;
                kept.length += more;
            }
            Self::Passed { to, path, length } => {
                let written = to.write_all(data).await;
                written.map_err(|error| Trouble::here("write", path, &error))?;
                *length += more;
            }
        }
        Ok(())
    }

    /// Takes back what came: it is another file by now.
    pub(super) fn restart(&mut self, origin: &Origin<'_>) -> Result<(), Trouble> {
        match self {
            Self::Kept(kept) => kept.restart(origin),
            Self::Passed { length: 0, .. } => Ok(()),
            Self::Passed { path, .. } => {
                let message = format!(
                    "what goes to {} broke off, and can't be taken back",
                    path.display()
                );
                Err(Failure::new(Kind::Failed, message).into())
            }
        }
    }

    /// Ends it, all having come: gives it its name and permissions.
    pub(super) async fn finish(self, mode: u32) -> Result<(), Trouble> {
        match self {
            Self::Kept(kept) => kept.place(mode),
            Self::Passed { mut to, path, .. } => {
                let flushed = to.flush().await;
                flushed.map_err(|error| Trouble::here("write", &path, &error))
            }
        }
    }

    /// Says what stays of it where it is cut off.
    pub(super) fn rest(&self) -> Option<String> {
        match self {
            Self::Kept(kept) if kept.is_worth() => Some(format!(
                "what came of it is kept in {}: the same command goes on with it",
                kept.path.display()
            )),
            _ => None,
        }
    }
}

impl Kept {
    fn open(to: PathBuf, origin: &Origin<'_>) -> Result<Self, Trouble> {
        let whole = std::path::absolute(&to).unwrap_or_else(|_| to.clone());
        let own = key(&[
            origin.workspace.as_bytes(),
            origin.path,
            whole.as_os_str().as_bytes(),
        ]);
        let path = to.with_file_name(format!(".devgate-{own}.part"));
        let file = locked(&path)?;
        let small = origin.size < WORTH;
        let remembered = if small {
            Remembered::nothing()
        } else {
            Remembered::download(&own)
        };
        let known = remembered.id().is_some_and(|known| known == origin.tag());
        let length = length(&file, &path)?;
        let mut kept = Self {
            path,
            to,
            file,
            length,
            remembered,
            small,
            placed: false,
        };
        if known && length <= origin.size {
            kept.cut_to(length)?;
        } else {
            kept.restart(origin)?;
        }
        Ok(kept)
    }

    fn restart(&mut self, origin: &Origin<'_>) -> Result<(), Trouble> {
        self.cut_to(0)?;
        self.remembered.keep(&origin.tag());
        Ok(())
    }

    fn cut_to(&mut self, length: u64) -> Result<(), Trouble> {
        let cut = self.file.set_len(length);
        let cut = cut.and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map_err(|error| Trouble::here("write", &self.path, &error))?;
        self.length = length;
        Ok(())
    }

    fn is_worth(&self) -> bool {
        !self.small && self.length > 0
    }

    fn place(mut self, mode: u32) -> Result<(), Trouble> {
        if length(&self.file, &self.path)? != self.length {
            let message = format!("{} was changed by somebody else", self.path.display());
            return Err(Failure::new(Kind::Failed, message).into());
        }
        let placed = self.file.set_permissions(Permissions::from_mode(mode));
        let placed = placed.and_then(|()| fs::rename(&self.path, &self.to));
        placed.map_err(|error| Trouble::here("write", &self.to, &error))?;
        self.placed = true;
        self.remembered.forget();
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.placed && !self.is_worth() {
            // What can't be removed is used by the next command.
            let _ = fs::remove_file(&self.path);
            self.remembered.forget();
        }
    }
}

/// Opens a file that nobody else has open, through no link: one's own, or a new one.
fn locked(path: &Path) -> Result<File, Trouble> {
    let failed = |error: io::Error| Trouble::here("write", path, &error);
    for _ in 0..TURNS {
        let file = match opened(path) {
            // Another command was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => file.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another devgate cp brings the same file into {}: wait for it",
                    path.display()
                );
                return Err(Failure::new(Kind::Failed, message).into());
            }
            // The filesystem has no locks.
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let own = file.metadata().map_err(failed)?;
        // Whoever had it may have given it its name in between.
        match path.symlink_metadata() {
            Ok(now) if (now.dev(), now.ino()) == (own.dev(), own.ino()) => return Ok(file),
            _ => {}
        }
    }
    Err(failed(io::ErrorKind::ResourceBusy.into()))
}

fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(nix::libc::ENOLCK)
}

fn opened(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    match options.open(path) {
        Ok(file) => {
            let found = file.metadata()?;
            let own = found.uid() == rustix::process::geteuid().as_raw();
            if found.is_file() && own && found.nlink() == 1 {
                return Ok(file);
            }
            // Somebody laid it there, to have a hand in what comes.
            fs::remove_file(path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    options.create_new(true).open(path)
}
