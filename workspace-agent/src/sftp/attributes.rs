//! Attributes of files: read from requests, written into answers, applied (§5).

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::failure::Failure;
use super::output::Output;
use super::wire::{Fields, Status, Truncated};

const SIZE: u32 = 1;
const UIDGID: u32 = 2;
const PERMISSIONS: u32 = 4;
const ACMODTIME: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;

/// What a request says of a file's attributes; `None` is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Size, in bytes.
    pub(super) size: Option<u64>,
    /// User and group.
    pub(super) owner: Option<(u32, u32)>,
    /// Permissions, perhaps with the file's type, which is ignored.
    pub(super) permissions: Option<u32>,
    /// Times of last access and modification, in seconds since 1970.
    pub(super) times: Option<(u32, u32)>,
}

/// Whose attributes are set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    /// An open file's.
    Open(BorrowedFd<'a>),
    /// A path's, through symbolic links.
    Path(BorrowedFd<'a>, &'a [u8]),
    /// A path's, a symbolic link's own included.
    Link(BorrowedFd<'a>, &'a [u8]),
}

impl Attributes {
    /// Reads `ATTRS`; its extended pairs are passed over.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, Truncated> {
        let flags = fields.u32()?;
        let mut attributes = Self::default();
        if flags & SIZE != 0 {
            attributes.size = Some(fields.u64()?);
        }
        if flags & UIDGID != 0 {
            attributes.owner = Some((fields.u32()?, fields.u32()?));
        }
        if flags & PERMISSIONS != 0 {
            attributes.permissions = Some(fields.u32()?);
        }
        if flags & ACMODTIME != 0 {
            attributes.times = Some((fields.u32()?, fields.u32()?));
        }
        if flags & EXTENDED != 0 {
            for _ in 0..fields.u32()? {
                fields.string()?;
                fields.string()?;
            }
        }
        Ok(attributes)
    }

    /// Returns the permissions, or `default` where there are none.
    pub(super) fn mode(&self, default: u32) -> Mode {
        Mode::from_raw_mode(self.permissions.unwrap_or(default) & 0o7777)
    }

    /// Sets every attribute that is given, and returns the last failure.
    ///
    /// The owner comes before the permissions, because a change of owner clears
    /// the set-user-id bit; the times come last, because all else changes them.
    pub(super) fn apply(&self, target: Target<'_>) -> Result<(), Failure> {
        let mut result = Ok(());
        let mut note = |step: Result<(), Failure>| {
            if step.is_err() {
                result = step;
            }
        };
        if let Some(size) = self.size {
            note(target.set_size(size));
        }
        if let Some((user, group)) = self.owner {
            note(target.set_owner(user, group).map_err(Failure::from));
        }
        if self.permissions.is_some() {
            note(target.set_mode(self.mode(0)).map_err(Failure::from));
        }
        if let Some((access, modification)) = self.times {
            note(
                target
                    .set_times(access, modification)
                    .map_err(Failure::from),
            );
        }
        result
    }
}

impl Target<'_> {
    fn set_size(self, size: u64) -> Result<(), Failure> {
        match self {
            Self::Open(file) => Ok(rustix::fs::ftruncate(file, size)?),
            Self::Path(base, path) => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let file = rustix::fs::openat(base, path, flags, Mode::empty())?;
                Ok(rustix::fs::ftruncate(file, size)?)
            }
            Self::Link(..) => Err(Failure::new(
                Status::BadMessage,
                "a symbolic link's size can't be set",
            )),
        }
    }

    fn set_owner(self, user: u32, group: u32) -> Result<(), Errno> {
        // All ones means "leave as it is" (chown(2)).
        let user = (user != u32::MAX).then(|| Uid::from_raw(user));
        let group = (group != u32::MAX).then(|| Gid::from_raw(group));
        match self {
            Self::Open(file) => rustix::fs::fchown(file, user, group),
            Self::Path(base, path) => {
                rustix::fs::chownat(base, path, user, group, AtFlags::empty())
            }
            Self::Link(base, path) => {
                rustix::fs::chownat(base, path, user, group, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    fn set_mode(self, mode: Mode) -> Result<(), Errno> {
        match self {
            Self::Open(file) => rustix::fs::fchmod(file, mode),
            Self::Path(base, path) => rustix::fs::chmodat(base, path, mode, AtFlags::empty()),
            Self::Link(base, path) => {
                // fchmodat(2) can't leave links alone on every kernel; a
                // descriptor of the very file can.
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(base, path, flags, Mode::empty())?;
                let stat = rustix::fs::fstat(&file)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                    return Err(Errno::OPNOTSUPP);
                }
                rustix::fs::chmod(descriptor_path(file.as_fd()).as_slice(), mode)
            }
        }
    }

    fn set_times(self, access: u32, modification: u32) -> Result<(), Errno> {
        let at = |seconds: u32| Timespec {
            tv_sec: i64::from(seconds),
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: at(access),
            last_modification: at(modification),
        };
        match self {
            Self::Open(file) => rustix::fs::futimens(file, &times),
            Self::Path(base, path) => rustix::fs::utimensat(base, path, &times, AtFlags::empty()),
            Self::Link(base, path) => {
                rustix::fs::utimensat(base, path, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }
}

/// Writes `ATTRS` for what the system says of a file.
pub(super) fn put<W: Write>(output: &mut Output<W>, stat: &Stat) {
    output.u32(SIZE | UIDGID | PERMISSIONS | ACMODTIME);
    output.u64(u64::try_from(stat.st_size).unwrap_or_default());
    output.u32(stat.st_uid);
    output.u32(stat.st_gid);
    output.u32(stat.st_mode);
    output.u32(seconds(stat.st_atime));
    output.u32(seconds(stat.st_mtime));
}

/// Writes `ATTRS` for a file of which nothing is known.
pub(super) fn put_none<W: Write>(output: &mut Output<W>) {
    output.u32(0);
}

/// The nearest time that protocol 3 can say.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

/// A path at which an open file is found.
fn descriptor_path(file: BorrowedFd<'_>) -> Vec<u8> {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_and_their_extensions_passed_over() {
        let bytes = b"\x80\0\0\x0f\0\0\0\0\0\0\0\x05\0\0\0\x01\0\0\0\x02\0\0\x01\xa4\
            \0\0\0\x03\0\0\0\x04\0\0\0\x01\0\0\0\x01a\0\0\0\0";
        let mut fields = Fields::new(bytes);
        let expected = Attributes {
            size: Some(5),
            owner: Some((1, 2)),
            permissions: Some(0o644),
            times: Some((3, 4)),
        };
        assert_eq!(Attributes::read(&mut fields), Ok(expected));
        assert_eq!(fields.byte(), Err(Truncated));
        let endless = b"\x80\0\0\0\xff\xff\xff\xff";
        assert_eq!(Attributes::read(&mut Fields::new(endless)), Err(Truncated));
    }

    #[test]
    fn times_outside_of_the_protocols_range_are_the_nearest_inside() {
        assert_eq!(seconds(-5), 0);
        assert_eq!(seconds(i64::MAX), u32::MAX);
    }
}
