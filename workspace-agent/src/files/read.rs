//! Reading files.

use std::fs::File;

use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, FileType, OFlags, Stat, fadvise, fstat};
use rustix::io::{Errno, pread};

use super::error::{At, FileError, shown};
use super::place::Root;

/// An open file and what it was when it was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) stat: Stat,
}

/// Opens a file to read it. What may keep one waiting, such as a named pipe, is refused.
pub(crate) fn open(root: &Root, path: &[u8]) -> Result<Opened, FileError> {
    // A pipe without a writer would have the opening wait for one.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match root.open(path, flags) {
        // A socket, or a device that nothing is behind.
        Err(FileError::System {
            source: Errno::NXIO | Errno::NODEV,
            ..
        }) => {
            return Err(FileError::NotAFile(shown(path)));
        }
        opened => opened?,
    };
    let stat = fstat(&opened).at(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR).at(path),
        _ => return Err(FileError::NotAFile(shown(path))),
    }
    Ok(Opened {
        file: opened.into(),
        stat,
    })
}

/// Has the kernel read ahead: the file is read from one end to the other.
pub(crate) fn in_order(file: &File) {
    // It may be slower without, and that is all.
    let _ = fadvise(file, 0, None, Advice::Sequential);
}

/// Reads at most `length` bytes at `offset`; fewer at the file's end alone.
pub(crate) fn block(file: &File, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        // An allocator may give more room than was asked for.
        let before = bytes.len();
        match pread(file, spare_capacity(&mut bytes), offset + read) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
            Ok(_) if bytes.len() == before => break,
            Ok(_) => {}
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
