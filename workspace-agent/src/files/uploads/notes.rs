//! The notes of unfinished uploads, in the home: what each of them becomes.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Uploads, is_file};
use crate::files::error::{At, FileError};
use crate::files::fresh::{Fresh, PREFIX, Replace};
use crate::files::place::{Place, Root};
use crate::files::walk::READ;
use crate::files::write::{Digest, write_all};
use crate::state_folder::UPLOADS;

/// Largest note, in bytes.
const MAX_NOTE: u64 = 64 * 1024;

/// What becomes of a folder that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Made,
    Left,
}

/// What is known of one besides what has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    /// The folder's path and the file's name, as bytes.
    pub(super) folder: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) size: u64,
    pub(super) sha256: Option<Digest>,
    pub(super) mode: Option<u32>,
}

impl Note {
    pub(super) fn path(&self) -> Vec<u8> {
        [&self.folder, &b"/"[..], &self.name].concat()
    }

    pub(super) fn passing(&self, id: &str) -> Vec<u8> {
        [&self.folder, &b"/"[..], PREFIX.as_bytes(), id.as_bytes()].concat()
    }
}

impl Uploads {
    /// Returns the place of a note.
    pub(super) fn noted(&self, id: &str) -> Result<Place, FileError> {
        // An id comes from a client.
        if !is_id(id) {
            return Err(FileError::NoUpload);
        }
        let folder = self.folder(Missing::Left)?;
        let folder = folder.ok_or(FileError::NoUpload)?;
        Ok(Place::new(folder, id.as_bytes()))
    }

    /// Opens the folder of the notes, through no symbolic link below the home: whoever is
    /// confined to a folder that holds a part of the path would lead it elsewhere.
    fn folder(&self, missing: Missing) -> Result<Option<OwnedFd>, FileError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut here = Root::of(&self.home, None)?.open(b"", flags)?;
        for name in UPLOADS.split('/') {
            let place = Place::new(here, name.as_bytes());
            let mut opened = place.open(flags, Mode::empty());
            if matches!(opened, Err(Errno::NOENT)) {
                if missing == Missing::Left {
                    return Ok(None);
                }
                match mkdirat(place.folder(), name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error).at(&place.path()),
                }
                opened = place.open(flags, Mode::empty());
            }
            here = opened.at(&place.path())?;
        }
        Ok(Some(here))
    }

    pub(super) fn note(&self, id: &str) -> Result<Note, FileError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = match self.noted(id)?.open(flags, Mode::empty()) {
            // A link or a socket is no note.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Err(FileError::NoUpload),
            file => file.at(UPLOADS.as_bytes())?,
        };
        if !is_file(&file).at(UPLOADS.as_bytes())? {
            return Err(FileError::NoUpload);
        }
        let file = File::from(file);
        let mut text = Vec::new();
        file.take(MAX_NOTE)
            .read_to_end(&mut text)
            .at(UPLOADS.as_bytes())?;
        let note: Note = serde_json::from_slice(&text).map_err(|_| FileError::NoUpload)?;
        // Others may write here, too.
        let plain = !note.name.is_empty() && !note.name.contains(&b'/');
        if plain && note.folder.iter().all(|byte| *byte != 0) {
            Ok(note)
        } else {
            Err(FileError::NoUpload)
        }
    }

    pub(super) fn write_note(&self, id: &str, note: &Note) -> Result<(), FileError> {
        self.folder(Missing::Made)?;
        let place = self.noted(id)?;
        let mut fresh = Fresh::beside(place.folder()).at(UPLOADS.as_bytes())?;
        let text = serde_json::to_vec(note).map_err(std::io::Error::from);
        let text = Bytes::from(text.at(UPLOADS.as_bytes())?);
        write_all(&mut fresh.file, &[text]).at(UPLOADS.as_bytes())?;
        fresh.put(place.name(), Replace::Yes).at(UPLOADS.as_bytes())
    }

    pub(super) fn forget(&self, id: &str) -> Result<(), FileError> {
        let place = self.noted(id)?;
        match unlinkat(place.folder(), place.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).at(UPLOADS.as_bytes()),
        }
    }

    pub(super) fn ids(&self) -> Result<Vec<String>, FileError> {
        let Some(folder) = self.folder(Missing::Left)? else {
            return Ok(Vec::new());
        };
        let folder = openat(&folder, ".", READ, Mode::empty()).at(UPLOADS.as_bytes())?;
        let mut ids = Vec::new();
        for found in Dir::new(folder).at(UPLOADS.as_bytes())? {
            let found = found.at(UPLOADS.as_bytes())?;
            let name = found.file_name().to_str().unwrap_or_default();
            if is_id(name) {
                ids.push(name.to_owned());
            }
        }
        Ok(ids)
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn id() -> String {
    format!("{:016x}", rand::random::<u64>())
}
