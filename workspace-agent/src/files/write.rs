//! Writing files: as a whole, or at their end.

use std::fs::File;
use std::io::{self, IoSlice, Seek as _, SeekFrom, Write};
use std::os::fd::AsFd;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::entry::{Entry, Names, etag};
use super::error::{At, FileError, shown};
use super::fresh::{Fresh, Replace, sync_folder};
use super::place::{Place, Root};

/// Permissions of a new file.
const MODE: u32 = 0o644;

/// Most pieces that one system call writes.
const MAX_PIECES: usize = 64;

/// Held while a file is looked at and replaced, so that nobody replaces in between what
/// somebody else has just found as it must be.
static REPLACING: Mutex<()> = Mutex::new(());

/// A SHA-256.
pub(crate) type Digest = [u8; 32];

/// What a file must be before it is written (RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Anything, or nothing.
    #[default]
    None,
    /// There must be none.
    Absent,
    /// There must be one.
    Present,
    /// It must have one of these tags.
    Tagged(Vec<String>),
    /// It mustn't have been changed since this second, counted from 1970.
    UnmodifiedSince(i64),
}

/// What is to be written, and how.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) path: Vec<u8>,
    pub(crate) mode: Option<Mode>,
    pub(crate) parents: bool,
    pub(crate) durable: bool,
    pub(crate) condition: Condition,
    pub(crate) digest: Option<Digest>,
}

/// A file on its way to replace another one, or nothing. Dropping it leaves nothing.
#[derive(Debug)]
pub(crate) struct Writing {
    order: Order,
    place: Place,
    fresh: Fresh,
    hasher: Option<Sha256>,
}

impl Writing {
    /// Looks at what is there, and makes the file that will be there.
    pub(crate) fn begin(root: &Root, order: Order) -> Result<Self, FileError> {
        if order.parents {
            root.make_parents(&order.path)?;
        }
        let place = root.destination(&order.path)?;
        let before = replaceable(&place, &order.path)?;
        check(&order.condition, before.as_ref(), &order.path)?;
        let fresh = Fresh::beside(place.folder()).at(&order.path)?;
        Ok(Self {
            hasher: order.digest.map(|_| Sha256::new()),
            order,
            place,
            fresh,
        })
    }

    /// Writes what comes next.
    pub(crate) fn write(&mut self, pieces: &[Bytes]) -> Result<(), FileError> {
        hash(self.hasher.as_mut(), pieces);
        write_all(&mut self.fresh.file, pieces).at(&self.order.path)
    }

    /// Puts it in its place, all having come.
    pub(crate) fn finish(self, names: &Names) -> Result<(Entry, Replaced), FileError> {
        let Self {
            order,
            place,
            fresh,
            hasher,
        } = self;
        let path = order.path.as_slice();
        if let (Some(hasher), Some(digest)) = (hasher, order.digest)
            && hasher.finalize().as_slice() != digest
        {
            return Err(FileError::Digest);
        }
        let before = replaceable(&place, path)?;
        prepare(&fresh.file, order.mode, before.as_ref()).at(path)?;
        if order.durable {
            fresh.file.sync_all().at(path)?;
        }
        let replacing = replacing();
        let before = replaceable(&place, path)?;
        check(&order.condition, before.as_ref(), path)?;
        let replace = Replace::when(order.condition != Condition::Absent);
        match fresh.put(place.name(), replace) {
            Err(Errno::EXIST) if replace == Replace::No => {
                return Err(FileError::Precondition(shown(path)));
            }
            put => put.at(path)?,
        }
        drop(replacing);
        if order.durable {
            sync_folder(place.folder()).at(path)?;
        }
        names.refresh();
        let entry = names.of(&place)?;
        let replaced = match before {
            None => Replaced::Nothing,
            Some(_) => Replaced::File,
        };
        Ok((entry, replaced))
    }
}

/// What a file came in the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    Nothing,
    File,
}

/// A file that is written to at its end.
#[derive(Debug)]
pub(crate) struct Appending {
    order: Order,
    place: Place,
    to: To,
}

/// Where what is appended goes while it comes.
#[derive(Debug)]
enum To {
    End(File),
    /// What must have a digest is put aside until all of it is there: what was written at a
    /// file's end can't be taken back, as somebody else may have written behind it.
    Aside(Fresh, Sha256),
}

impl Appending {
    /// Opens it, or makes it.
    pub(crate) fn begin(root: &Root, order: Order) -> Result<Self, FileError> {
        if order.parents {
            root.make_parents(&order.path)?;
        }
        let place = root.destination(&order.path)?;
        let to = if order.digest.is_some() {
            let before = replaceable(&place, &order.path)?;
            check(&order.condition, before.as_ref(), &order.path)?;
            let aside = Fresh::beside(place.folder()).at(&order.path)?;
            To::Aside(aside, Sha256::new())
        } else {
            To::End(open_end(&place, &order)?)
        };
        Ok(Self { order, place, to })
    }

    /// Writes what comes next.
    pub(crate) fn write(&mut self, pieces: &[Bytes]) -> Result<(), FileError> {
        let file = match &mut self.to {
            To::End(file) => file,
            To::Aside(aside, hasher) => {
                hash(Some(hasher), pieces);
                &mut aside.file
            }
        };
        write_all(file, pieces).at(&self.order.path)
    }

    /// Ends it, all having come.
    pub(crate) fn finish(self, names: &Names) -> Result<Entry, FileError> {
        let Self { order, place, to } = self;
        let path = order.path.as_slice();
        let file = match to {
            To::End(file) => file,
            To::Aside(mut aside, hasher) => {
                if order
                    .digest
                    .is_some_and(|digest| hasher.finalize().as_slice() != digest)
                {
                    return Err(FileError::Digest);
                }
                aside.file.seek(SeekFrom::Start(0)).at(path)?;
                let mut file = open_end(&place, &order)?;
                io::copy(&mut aside.file, &mut file).at(path)?;
                file
            }
        };
        if order.durable {
            file.sync_all().at(path)?;
        }
        names.refresh();
        names.of(&place)
    }
}

/// Opens a file to write at its end, if it is what it must be; makes one where there is none.
fn open_end(place: &Place, order: &Order) -> Result<File, FileError> {
    let path = order.path.as_slice();
    let _replacing = replacing();
    let before = replaceable(place, path)?;
    check(&order.condition, before.as_ref(), path)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK;
    let file = place.open(flags, Mode::from_raw_mode(MODE)).at(path)?;
    let kind = FileType::from_raw_mode(fstat(&file).at(path)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(FileError::NotAFile(shown(path)));
    }
    Ok(file.into())
}

/// Waits for the turn to replace a file.
pub(super) fn replacing() -> MutexGuard<'static, ()> {
    REPLACING.lock()
}

/// Returns what would be replaced; refused where that is no file.
pub(super) fn replaceable(place: &Place, path: &[u8]) -> Result<Option<Stat>, FileError> {
    let before = match place.stat() {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat.at(path)?,
    };
    match FileType::from_raw_mode(before.st_mode) {
        FileType::RegularFile => Ok(Some(before)),
        FileType::Directory => Err(Errno::ISDIR).at(path),
        _ => Err(FileError::NotAFile(shown(path))),
    }
}

/// Sees whether what is there is what it must be.
pub(super) fn check(
    condition: &Condition,
    before: Option<&Stat>,
    path: &[u8],
) -> Result<(), FileError> {
    let holds = match (condition, before) {
        (Condition::None, _)
        | (Condition::Absent | Condition::UnmodifiedSince(_), None)
        | (Condition::Present, Some(_)) => true,
        (Condition::Absent, Some(_)) | (Condition::Present | Condition::Tagged(_), None) => false,
        (Condition::Tagged(tags), Some(before)) => tags.contains(&etag(before)),
        (Condition::UnmodifiedSince(second), Some(before)) => before.st_mtime <= *second,
    };
    if holds {
        Ok(())
    } else {
        Err(FileError::Precondition(shown(path)))
    }
}

/// Gives a new file the permissions that were asked for, else those of what it replaces,
/// whose owner it gets where that is allowed. What would run as somebody else, or their
/// group, does so only where that is who it belongs to.
pub(super) fn prepare(file: &File, mode: Option<Mode>, before: Option<&Stat>) -> Result<(), Errno> {
    let mut kept = None;
    if let Some(before) = before {
        let own = fstat(file)?;
        let mut same = (own.st_uid, own.st_gid) == (before.st_uid, before.st_gid);
        if !same {
            let (owner, group) = (Uid::from_raw(before.st_uid), Gid::from_raw(before.st_gid));
            // Somebody else's file becomes one's own by being written anew.
            same = fchown(file, Some(owner), Some(group)).is_ok();
        }
        let most = if same { 0o7777 } else { 0o777 };
        kept = Some(Mode::from_raw_mode(before.st_mode & most));
    }
    let mode = mode.or(kept).unwrap_or(Mode::from_raw_mode(MODE));
    fchmod(file.as_fd(), mode)
}

/// Writes pieces with as few system calls as can be.
pub(super) fn write_all(file: &mut File, pieces: &[Bytes]) -> io::Result<()> {
    for some in pieces.chunks(MAX_PIECES) {
        let mut slices: Vec<_> = some.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut left = slices.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Adds pieces to a digest, where one is asked for.
pub(super) fn hash(hasher: Option<&mut Sha256>, pieces: &[Bytes]) {
    if let Some(hasher) = hasher {
        for piece in pieces {
            hasher.update(piece);
        }
    }
}
