//! Files that come in pieces.
//!
//! What has come of one is beside where it goes, under a passing name; a note in the
//! home says what it becomes. So both survive the agent, and how much has come is what
//! the file holds. Whoever sends a piece has its turn, and takes it from another one that
//! was cut off and doesn't know it yet.

mod notes;
mod piece;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, unlinkat};
use rustix::io::Errno;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::entry::{Entry, Names, modified, size, texts};
use super::error::{At, FileError};
use super::fresh::{PREFIX, Replace, rename, sync_folder};
use super::place::{Place, Root, real_path};
use super::write::{Digest, prepare, replaceable, replacing};
use notes::{Note, id};

/// Permissions that a note may give: none to run as somebody else.
const ALLOWED: u32 = 0o777;

/// Most unfinished uploads.
const MAX: usize = 1000;

/// How long one is kept after its last piece.
const KEPT: Duration = Duration::from_hours(24);

/// How much is read at once for a digest, in bytes.
const PIECE: usize = 1024 * 1024;

/// The uploads of a workspace.
#[derive(Debug)]
pub(crate) struct Uploads {
    home: PathBuf,
    turns: Mutex<HashMap<String, Queue>>,
}

/// Those who send pieces of one upload: the last one that came goes first.
#[derive(Clone, Debug, Default)]
struct Queue {
    turn: Arc<Turns<()>>,
    current: CancellationToken,
}

/// The turn to do something with an upload.
#[derive(Debug)]
pub(crate) struct Turn {
    _turn: OwnedMutexGuard<()>,
    /// Cancelled once somebody else wants it.
    pub(crate) taken: CancellationToken,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) path: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) sha256: Option<Digest>,
    pub(crate) mode: Option<Mode>,
    pub(crate) parents: bool,
}

/// An upload, as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    path: String,
    size: u64,
    pub(crate) offset: u64,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Uploads {
    pub(super) fn new(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            turns: Mutex::default(),
        }
    }

    /// Waits for the turn to do something with an upload, and takes it from whoever has
    /// it.
    pub(crate) async fn turn(&self, id: &str) -> Turn {
        let (turn, taken) = {
            let mut turns = self.turns.lock();
            turns.retain(|_, queue| Arc::strong_count(&queue.turn) > 1);
            let queue = turns.entry(id.to_owned()).or_default();
            queue.current.cancel();
            queue.current = CancellationToken::new();
            (Arc::clone(&queue.turn), queue.current.clone())
        };
        Turn {
            _turn: turn.lock_owned().await,
            taken,
        }
    }

    /// Begins one.
    pub(crate) fn create(&self, root: &Root, ask: &Ask) -> Result<Upload, FileError> {
        self.expire()?;
        if self.ids()?.len() >= MAX {
            return Err(FileError::TooManyUploads(MAX));
        }
        if ask.parents {
            root.make_parents(&ask.path)?;
        }
        let target = root.destination(&ask.path)?;
        replaceable(&target, &ask.path)?;
        let id = id();
        let note = Note {
            folder: real_path(target.folder()),
            name: target.name().as_encoded_bytes().to_vec(),
            size: ask.size,
            sha256: ask.sha256,
            mode: ask.mode.map(|mode| mode.bits()),
        };
        let place = passing(&target, &id).at(&ask.path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = place.open(flags, Mode::RUSR | Mode::WUSR).at(&ask.path)?;
        if let Err(error) = self.write_note(&id, &note) {
            let _ = unlinkat(place.folder(), place.name(), AtFlags::empty());
            return Err(error);
        }
        Ok(shown(&id, &note, &fstat(&file).at(&ask.path)?))
    }

    /// Shows one.
    pub(crate) fn show(&self, root: &Root, id: &str) -> Result<Upload, FileError> {
        let note = self.note(id)?;
        let file = self.open(root, id, &note, OFlags::PATH)?;
        Ok(shown(id, &note, &fstat(&file).at(&note.path())?))
    }

    /// Puts one that is whole in its place.
    pub(crate) fn complete(
        &self,
        root: &Root,
        names: &Names,
        id: &str,
        sha256: Option<Digest>,
        durable: bool,
    ) -> Result<Entry, FileError> {
        let note = self.note(id)?;
        let path = note.path();
        let mut file = self.open(root, id, &note, OFlags::RDONLY)?;
        let offset = size(&fstat(&file).at(&path)?);
        if offset != note.size {
            let size = note.size;
            return Err(FileError::Incomplete { offset, size });
        }
        let wanted: Vec<_> = [note.sha256, sha256].into_iter().flatten().collect();
        if !wanted.is_empty() {
            let digest = digest(&mut file).at(&path)?;
            if wanted.iter().any(|wanted| *wanted != digest) {
                return Err(FileError::Digest);
            }
        }
        let target = root.place(&path)?;
        let before = replaceable(&target, &path)?;
        let mode = note.mode.map(|mode| Mode::from_raw_mode(mode & ALLOWED));
        prepare(&file, mode, before.as_ref()).at(&path)?;
        if durable {
            file.sync_all().at(&path)?;
        }
        let place = passing(&target, id).at(&path)?;
        let (folder, name) = (target.folder(), target.name());
        {
            let _replacing = replacing();
            replaceable(&target, &path)?;
            rename(place.folder(), place.name(), folder, name, Replace::Yes).at(&path)?;
        }
        if durable {
            sync_folder(target.folder()).at(&path)?;
        }
        self.forget(id)?;
        names.refresh();
        names.of(&target)
    }

    /// Gives one up.
    pub(crate) fn cancel(&self, root: &Root, id: &str) -> Result<(), FileError> {
        let note = self.note(id)?;
        let place = root.place(&note.passing(id))?;
        match unlinkat(place.folder(), place.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => self.forget(id),
            Err(error) => Err(error).at(&note.path()),
        }
    }

    /// Removes those that nothing came of for long.
    pub(crate) fn expire(&self) -> Result<(), FileError> {
        let all = Root::of(&self.home, None)?;
        let now = OffsetDateTime::now_utc();
        for id in self.ids()? {
            let Ok(note) = self.note(&id) else {
                // It can't be read, and counts.
                let stat = self.noted(&id)?.stat();
                if stat.is_ok_and(|stat| modified(&stat) + KEPT < now) {
                    self.forget(&id)?;
                }
                continue;
            };
            let stat = all.place(&note.passing(&id)).and_then(|place| {
                let stat = place.stat();
                stat.at(&note.folder)
            });
            match stat {
                Ok(stat) if modified(&stat) + KEPT < now => self.cancel(&all, &id)?,
                // Its folder was deleted, or it was.
                Err(FileError::System {
                    source: Errno::NOENT | Errno::NOTDIR,
                    ..
                }) => {
                    self.forget(&id)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn open(&self, root: &Root, id: &str, note: &Note, flags: OFlags) -> Result<File, FileError> {
        let place = root.place(&note.passing(id));
        // Somebody may have put a pipe there, which would be waited for.
        let flags = flags | OFlags::NONBLOCK;
        match place.and_then(|place| place.open(flags, Mode::empty()).at(&note.path())) {
            Ok(file) if is_file(&file).at(&note.path())? => Ok(file.into()),
            Ok(_) => Err(FileError::NoUpload),
            Err(FileError::System {
                source: Errno::NOENT | Errno::NOTDIR,
                ..
            }) => {
                self.forget(id)?;
                Err(FileError::NoUpload)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_file(opened: &OwnedFd) -> Result<bool, Errno> {
    let kind = FileType::from_raw_mode(fstat(opened)?.st_mode);
    Ok(kind == FileType::RegularFile)
}

fn shown(id: &str, note: &Note, stat: &Stat) -> Upload {
    Upload {
        id: id.to_owned(),
        path: texts(&note.path()).0,
        size: note.size,
        offset: size(stat),
        expires_at: modified(stat) + KEPT,
    }
}

/// Returns the place beside a target where an upload's content is.
fn passing(target: &Place, id: &str) -> Result<Place, Errno> {
    let folder = target
        .folder()
        .try_clone_to_owned()
        .map_err(|_| Errno::MFILE)?;
    Ok(Place::new(folder, format!("{PREFIX}{id}").as_bytes()))
}

fn digest(file: &mut File) -> std::io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(buffer.split_at(read).0);
    }
}
