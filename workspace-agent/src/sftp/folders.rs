//! Folders that are listed: `OPENDIR` and `READDIR`.

use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, DirEntry, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::attributes;
use super::failure::Failure;
use super::handles::Handle;
use super::longname;
use super::session::Session;
use super::wire::{Fields, kind};

/// Most entries in one answer, as OpenSSH has it: clients with smaller limits
/// than ours are made for that.
const BATCH: u32 = 100;

/// A folder that is being listed.
#[derive(Debug)]
pub(super) struct Listing {
    dir: Dir,
    /// Why it can't be read on; told once what was read has gone out.
    failure: Option<Errno>,
}

impl Listing {
    fn new(folder: OwnedFd) -> Result<Self, Errno> {
        let dir = Dir::new(folder)?;
        Ok(Self { dir, failure: None })
    }

    /// Returns the open folder.
    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.dir.fd()
    }

    /// Returns the next entry; none at the end, and where it can't be read on.
    fn next(&mut self) -> Option<DirEntry> {
        let entry = self.dir.read()?;
        entry.map_err(|error| self.failure = Some(error)).ok()
    }
}

impl<W: Write> Session<W> {
    /// `SSH_FXP_OPENDIR`, §6.7.
    pub(super) fn opendir(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = fields.string()?;
        self.handles.check_room()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = retry_on_intr(|| rustix::fs::openat(self.base(), path, flags, Mode::empty()))?;
        self.answer_handle(id, Handle::Folder(Listing::new(folder)?));
        Ok(())
    }

    /// `SSH_FXP_READDIR`, §6.7.
    pub(super) fn readdir(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let folder = self.handles.folder(fields.string()?)?;
        self.accounts.refresh();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.output.start(kind::NAME, id);
        let count_position = self.output.later_u32();
        let mut count = 0;
        while count < BATCH {
            let Some(entry) = folder.next() else { break };
            let name = entry.file_name();
            let stat = rustix::fs::statat(folder.fd()?, name, AtFlags::SYMLINK_NOFOLLOW);
            if matches!(stat, Err(Errno::NOENT)) {
                // Removed since the folder was read.
                continue;
            }
            let name = name.to_bytes();
            self.output.string(name);
            if let Ok(stat) = stat {
                longname::write(&mut self.line, name, &stat, &self.accounts, now);
                self.output.string(&self.line);
                attributes::put(&mut self.output, &stat);
            } else {
                // One that can't be looked at, a filesystem whose server is gone say, or
                // all in a folder that can't be entered, doesn't hide the others.
                longname::write_unknown(&mut self.line, name);
                self.output.string(&self.line);
                attributes::put_none(&mut self.output);
            }
            count += 1;
        }
        if count == 0 {
            return Err(folder
                .failure
                .take()
                .map_or_else(Failure::end, Failure::from));
        }
        self.output.set_u32(count_position, count);
        self.output.finish();
        Ok(())
    }
}
