//! Makes tar archives.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use super::Unreadable;
use crate::files::entry::size;
use crate::files::error::{At, FileError};
use crate::files::walk::{Found, Go, Visitor};

/// A tar archive in the making.
pub(super) struct Packing<W: Write> {
    archive: Builder<W>,
    unreadable: Unreadable,
}

impl<W: Write> Packing<W> {
    pub(super) fn new(to: W, unreadable: Unreadable) -> Self {
        let archive = Builder::new(to);
        Self {
            archive,
            unreadable,
        }
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> Result<W, FileError> {
        self.archive.into_inner().at(b"")
    }

    fn add(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        let stat = statat(found.folder, found.name, AtFlags::SYMLINK_NOFOLLOW).at(found.path)?;
        let mut header = header(&stat);
        let path = Path::new(OsStr::from_bytes(found.path));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                self.archive
                    .append_data(&mut header, path, io::empty())
                    .at(found.path)?;
                return Ok(Go::In);
            }
            FileType::RegularFile => {
                let (file, stat) = open(found).at(found.path)?;
                header.set_entry_type(EntryType::Regular);
                header.set_size(size(&stat));
                let content = Exactly::new(file, size(&stat));
                self.archive
                    .append_data(&mut header, path, content)
                    .at(found.path)?;
            }
            FileType::Symlink => {
                let target = target(found).at(found.path)?;
                header.set_entry_type(EntryType::Symlink);
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                self.archive
                    .append_link(&mut header, path, target)
                    .at(found.path)?;
            }
            FileType::Fifo => {
                header.set_entry_type(EntryType::Fifo);
                self.archive
                    .append_data(&mut header, path, io::empty())
                    .at(found.path)?;
            }
            // Sockets mean nothing elsewhere, and nobody may make devices.
            _ => {}
        }
        Ok(Go::Past)
    }
}

impl<W: Write> Visitor for Packing<W> {
    fn found(&mut self, found: Found<'_>) -> Result<Go, FileError> {
        self.add(found)
            .or_else(|failed| self.unreadable.or(failed).map(|()| Go::Past))
    }

    fn failed(&mut self, error: FileError) -> Result<(), FileError> {
        self.unreadable.or(error)
    }
}

fn header(stat: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
    header.set_size(0);
    header
}

/// Opens a file that was found, and nothing that has come in its place: then it is gone.
pub(super) fn open(found: Found<'_>) -> Result<(File, Stat), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: File = match openat(found.folder, found.name, flags, Mode::empty()) {
        // A link, a socket or a device.
        Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Err(Errno::NOENT),
        file => file?.into(),
    };
    let stat = fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        _ => Err(Errno::NOENT),
    }
}

/// Reads what a link that was found names; what has come in its place is none.
pub(super) fn target(found: Found<'_>) -> Result<CString, Errno> {
    match readlinkat(found.folder, found.name, Vec::new()) {
        Err(Errno::INVAL) => Err(Errno::NOENT),
        target => target,
    }
}

/// A file of which as much is read as was said, whatever is written to it meanwhile.
pub(super) struct Exactly {
    file: File,
    left: u64,
}

impl Exactly {
    pub(super) fn new(file: File, size: u64) -> Self {
        Self { file, left: size }
    }
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let (buffer, _) = buffer.split_at_mut(most);
        let mut read = self.file.read(buffer)?;
        if read == 0 {
            buffer.fill(0);
            read = most;
        }
        self.left -= u64::try_from(read).unwrap_or(self.left);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_another_thing_came_in_the_place_of_is_gone() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "text").unwrap();
        symlink("file", home.path().join("link")).unwrap();
        let _socket = UnixListener::bind(home.path().join("socket")).unwrap();
        let folder = File::open(home.path()).unwrap();
        let found = |name: &'static str, kind| Found {
            folder: folder.as_fd(),
            name: name.as_bytes(),
            path: name.as_bytes(),
            kind,
        };
        let (file, link) = (FileType::RegularFile, FileType::Symlink);
        let opened = |name| open(found(name, file)).map(drop);
        for gone in [
            target(found("file", link)).map(drop),
            opened("link"),
            opened("socket"),
            opened("never"),
        ] {
            let failed = gone.at(b"path").unwrap_err();
            assert!(Unreadable::Refused.or(failed).is_ok());
        }
        assert_eq!(target(found("link", link)).unwrap().as_bytes(), b"file");
        assert!(opened("file").is_ok());
    }
}
