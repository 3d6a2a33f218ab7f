//! What is in the filesystem, as the API shows it.

use std::ffi::CString;

use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{FileType, OFlags, Stat, fstat, readlinkat};
use serde::Serialize;
use time::OffsetDateTime;

use super::error::{At, FileError};
use super::place::{Place, Root, real_path};
use crate::sftp::Accounts;

/// What of a path isn't percent-encoded, besides letters and digits.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Something in the filesystem.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_path: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    mode: String,
    #[serde(with = "time::serde::rfc3339")]
    modified: OffsetDateTime,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    pub(crate) etag: String,
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink,
    Fifo,
    Socket,
    Device,
}

impl Kind {
    /// Returns what is called so.
    pub(crate) fn of_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"file" => Self::File,
            b"folder" => Self::Folder,
            b"symlink" => Self::Symlink,
            b"fifo" => Self::Fifo,
            b"socket" => Self::Socket,
            b"device" => Self::Device,
            _ => return None,
        })
    }
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            _ => Self::Device,
        }
    }
}

/// Names of users and groups, for whoever shows entries.
#[derive(Debug)]
pub(crate) struct Names(Mutex<Accounts>);

impl Names {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Accounts::new(std::path::Path::new("/etc"))))
    }

    /// Reads what has changed; called once a request.
    pub(crate) fn refresh(&self) {
        let mut accounts = self.0.lock();
        accounts.refresh();
    }

    /// Makes an entry of what was found at a path.
    pub(crate) fn entry(&self, path: &[u8], stat: &Stat, target: Option<&[u8]>) -> Entry {
        let (user, group) = {
            let accounts = self.0.lock();
            (
                accounts.user(stat.st_uid).map(str::to_owned),
                accounts.group(stat.st_gid).map(str::to_owned),
            )
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let (path, raw_path) = texts(path);
        Entry {
            name: lossy(name),
            path,
            raw_path,
            kind: FileType::from_raw_mode(stat.st_mode).into(),
            size: size(stat),
            mode: format!("{:04o}", stat.st_mode & 0o7777),
            modified: modified(stat),
            uid: stat.st_uid,
            gid: stat.st_gid,
            user,
            group,
            target: target.map(lossy),
            etag: etag(stat),
        }
    }

    /// Shows what has a name; a symbolic link itself.
    pub(crate) fn of(&self, place: &Place) -> Result<Entry, FileError> {
        let path = place.path();
        let stat = place.stat().at(&path)?;
        let target = if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            readlinkat(place.folder(), place.name(), Vec::new()).ok()
        } else {
            None
        };
        let target = target.as_ref().map(CString::as_bytes);
        Ok(self.entry(&path, &stat, target))
    }
}

/// Shows what a path leads to, `through` a symbolic link at its end or not.
pub(crate) fn stat(
    root: &Root,
    names: &Names,
    path: &[u8],
    through: bool,
) -> Result<Entry, FileError> {
    names.refresh();
    if !through && let Ok(place) = root.place(path) {
        return names.of(&place);
    }
    let found = root.open(path, OFlags::PATH)?;
    let stat = fstat(&found).at(path)?;
    let path = match root.place(path) {
        Ok(place) => place.path(),
        // A folder's own `.`, or `..`.
        Err(_) => match real_path(std::os::fd::AsFd::as_fd(&found)) {
            path if path.is_empty() => b"/".to_vec(),
            path => path,
        },
    };
    Ok(names.entry(&path, &stat, None))
}

/// Returns a path as a text, and percent-encoded where that loses something.
pub(crate) fn texts(path: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(path) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (lossy(path), Some(percent_encode(path, ENCODED).to_string())),
    }
}

/// Returns the size of what was found, in bytes.
pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// Returns when the content of what was found was last changed.
pub(crate) fn modified(stat: &Stat) -> OffsetDateTime {
    let nanoseconds = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Returns an entity tag (RFC 9110 §8.8.3): with a change of the content it changes,
/// also where size and time stay, as the time of the change of the inode doesn't.
pub(crate) fn etag(stat: &Stat) -> String {
    format!(
        "\"{:x}-{:x}-{:x}.{:x}-{:x}.{:x}\"",
        stat.st_ino,
        stat.st_size,
        stat.st_mtime,
        stat.st_mtime_nsec,
        stat.st_ctime,
        stat.st_ctime_nsec
    )
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
