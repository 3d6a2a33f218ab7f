//! The pieces in which an upload comes.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use bytes::Bytes;
use rustix::fs::{OFlags, fstat, ftruncate};
use sha2::{Digest as _, Sha256};

use super::notes::Note;
use super::{Upload, Uploads, shown};
use crate::files::entry::size;
use crate::files::error::{At, FileError};
use crate::files::place::Root;
use crate::files::write::{Digest, hash, write_all};

/// A piece on its way into an upload. What was written of it stays.
#[derive(Debug)]
pub(crate) struct Piece {
    id: String,
    note: Note,
    file: File,
    begin: u64,
    end: u64,
    hasher: Option<Sha256>,
}

impl Uploads {
    /// Begins to add a piece at `offset`.
    pub(crate) fn piece(&self, root: &Root, id: &str, offset: u64) -> Result<Piece, FileError> {
        let note = self.note(id)?;
        let mut file = self.open(root, id, &note, OFlags::WRONLY)?;
        let there = size(&fstat(&file).at(&note.path())?);
        if there != offset {
            return Err(FileError::WrongOffset { offset: there });
        }
        file.seek(SeekFrom::Start(offset)).at(&note.path())?;
        Ok(Piece {
            id: id.to_owned(),
            note,
            file,
            begin: offset,
            end: offset,
            hasher: None,
        })
    }
}

impl Piece {
    /// Has a digest made of it.
    pub(crate) fn hashed(self) -> Self {
        let hasher = Some(Sha256::new());
        Self { hasher, ..self }
    }

    /// Writes what comes next.
    pub(crate) fn write(&mut self, pieces: &[Bytes]) -> Result<(), FileError> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let end = self
            .end
            .saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if end > self.note.size {
            let size = self.note.size;
            return Err(FileError::BeyondSize { size });
        }
        hash(self.hasher.as_mut(), pieces);
        write_all(&mut self.file, pieces).at(&self.note.path())?;
        self.end = end;
        Ok(())
    }

    /// Ends it, all having come; one with another digest is taken back.
    pub(crate) fn finish(mut self, wanted: Option<Digest>) -> Result<Upload, FileError> {
        if let (Some(hasher), Some(wanted)) = (self.hasher.take(), wanted)
            && hasher.finalize().as_slice() != wanted
        {
            ftruncate(&self.file, self.begin).at(&self.note.path())?;
            return Err(FileError::Digest);
        }
        let stat = fstat(&self.file).at(&self.note.path())?;
        Ok(shown(&self.id, &self.note, &stat))
    }
}
