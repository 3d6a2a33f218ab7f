//! Folders that are listed: `OPENDIR` and `READDIR`.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
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

impl<W: Write> Session<W> {
    /// `SSH_FXP_OPENDIR`, §6.7.
    pub(super) fn opendir(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let path = fields.string()?;
        self.handles.check_room()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = retry_on_intr(|| rustix::fs::openat(self.base(), path, flags, Mode::empty()))?;
        self.answer_handle(id, Handle::Folder(Dir::new(folder)?));
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
            let Some(entry) = folder.read() else { break };
            let entry = entry?;
            let name = entry.file_name();
            let stat = match rustix::fs::statat(folder.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
                // Removed since the folder was read.
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            let name = name.to_bytes();
            longname::write(&mut self.line, name, &stat, &self.accounts, now);
            self.output.string(name);
            self.output.string(&self.line);
            attributes::put(&mut self.output, &stat);
            count += 1;
        }
        if count == 0 {
            return Err(Failure::end());
        }
        self.output.set_u32(count_position, count);
        self.output.finish();
        Ok(())
    }
}
