//! The extensions: their list, and those that are about the whole.

use std::io::Write;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, StatVfs, StatVfsMountFlags};

use super::failure::Failure;
use super::handles::MAX_HANDLES;
use super::session::Session;
use super::wire::{Fields, MAX_DATA, MAX_PACKET, Status, Truncated, kind};

/// Extensions with their versions, in OpenSSH's order.
pub(super) const ADVERTISED: [(&str, &str); 11] = [
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
    ("copy-data", "1"),
    ("home-directory", "1"),
    ("users-groups-by-id@openssh.com", "1"),
];

impl<W: Write> Session<W> {
    /// `SSH_FXP_EXTENDED`, §8.
    pub(super) fn extended(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        match fields.string()? {
            b"posix-rename@openssh.com" => self.posix_rename(id, fields),
            b"statvfs@openssh.com" => self.statvfs(id, fields),
            b"fstatvfs@openssh.com" => self.fstatvfs(id, fields),
            b"hardlink@openssh.com" => self.hardlink(id, fields),
            b"fsync@openssh.com" => self.fsync(id, fields),
            b"lsetstat@openssh.com" => self.lsetstat(id, fields),
            b"limits@openssh.com" => {
                self.limits(id);
                Ok(())
            }
            b"expand-path@openssh.com" => self.expand_path(id, fields),
            b"copy-data" => self.copy_data(id, fields),
            b"home-directory" => self.home_directory(id, fields),
            b"users-groups-by-id@openssh.com" => self.users_groups_by_id(id, fields),
            name => Err(Failure::new(
                Status::OpUnsupported,
                format!(
                    "the server doesn't know the extension {}",
                    name.get(..name.len().min(64))
                        .unwrap_or_default()
                        .escape_ascii()
                ),
            )),
        }
    }

    fn limits(&mut self, id: u32) {
        self.output.start(kind::EXTENDED_REPLY, id);
        for limit in [MAX_PACKET, MAX_DATA, MAX_DATA, MAX_HANDLES] {
            self.output.u64(u64::try_from(limit).unwrap_or(u64::MAX));
        }
        self.output.finish();
    }

    fn statvfs(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.base(), fields.string()?, flags, Mode::empty())?;
        let filesystem = rustix::fs::fstatvfs(file.as_fd())?;
        self.answer_statvfs(id, &filesystem);
        Ok(())
    }

    fn fstatvfs(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let filesystem = rustix::fs::fstatvfs(self.handles.any(fields.string()?)?)?;
        self.answer_statvfs(id, &filesystem);
        Ok(())
    }

    fn answer_statvfs(&mut self, id: u32, filesystem: &StatVfs) {
        let bit = |flag, bit| {
            if filesystem.f_flag.contains(flag) {
                bit
            } else {
                0
            }
        };
        self.output.start(kind::EXTENDED_REPLY, id);
        for field in [
            filesystem.f_bsize,
            filesystem.f_frsize,
            filesystem.f_blocks,
            filesystem.f_bfree,
            filesystem.f_bavail,
            filesystem.f_files,
            filesystem.f_ffree,
            filesystem.f_favail,
            filesystem.f_fsid,
            bit(StatVfsMountFlags::RDONLY, 1) | bit(StatVfsMountFlags::NOSUID, 2),
            filesystem.f_namemax,
        ] {
            self.output.u64(field);
        }
        self.output.finish();
    }

    fn users_groups_by_id(&mut self, id: u32, mut fields: Fields<'_>) -> Result<(), Failure> {
        let (users, groups) = (fields.string()?, fields.string()?);
        self.accounts.refresh();
        self.output.start(kind::EXTENDED_REPLY, id);
        self.names(users, |session, id| session.accounts.user(id))?;
        self.names(groups, |session, id| session.accounts.group(id))?;
        self.output.finish();
        Ok(())
    }

    /// Adds a string that holds the name of each id as a string; an empty one
    /// where there is none.
    fn names(
        &mut self,
        ids: &[u8],
        look_up: impl Fn(&Self, u32) -> Option<&str>,
    ) -> Result<(), Failure> {
        let (ids, []) = ids.as_chunks() else {
            return Err(Truncated.into());
        };
        let length_position = self.output.later_u32();
        let begin = self.output.pending();
        for &id in ids {
            let name = look_up(self, u32::from_be_bytes(id))
                .unwrap_or_default()
                .to_owned();
            if self.output.pending() + name.len() + 8 > MAX_PACKET {
                return Err(Failure::new(
                    Status::BadMessage,
                    "the names of so many ids don't fit into a packet; ask for fewer",
                ));
            }
            self.output.string(name.as_bytes());
        }
        let length = self.output.pending() - begin;
        self.output
            .set_u32(length_position, u32::try_from(length).unwrap_or(u32::MAX));
        Ok(())
    }
}
