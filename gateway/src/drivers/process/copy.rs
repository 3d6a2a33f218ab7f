//! Copying a folder with everything in it.
//!
//! Whoever filled it may mean harm: no link is followed, and other file systems aren't
//! entered. What has no content of its own (sockets, devices) is left out.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Dev, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, XattrFlags,
};
use rustix::io::Errno;

/// Deepest folder that is copied: each costs descriptors while it is.
const MAX_DEPTH: usize = 400;

/// Bytes that are copied at one time, so that progress shows.
const PIECE: u64 = 32 << 20;

/// Longest list of extended attributes, and longest of their values (Linux's own limits).
const MAX_ATTRIBUTES: usize = 64 * 1024;

/// How far a copy is, and whether it is still wanted.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes of files that are copied.
    pub(super) bytes: AtomicU64,
    /// Nobody waits for it any more.
    pub(super) gone: AtomicBool,
}

/// What of it failed, and where.
#[derive(Debug)]
pub(super) struct CopyFailed {
    /// In the folder that is copied.
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Copies a folder to `to`, which isn't there yet. What goes away meanwhile isn't missed.
/// Once it returns the copy is on the disk. Blocks.
pub(super) fn copy(from: &Path, to: &Path, progress: &Progress) -> Result<(), CopyFailed> {
    let failed = |source: Errno| CopyFailed {
        path: from.to_owned(),
        source: source.into(),
    };
    let source = open(CWD, from).map_err(failed)?;
    rustix::fs::mkdir(to, Mode::RWXU).map_err(failed)?;
    let target = open(CWD, to).map_err(failed)?;
    let stat = rustix::fs::fstat(&source).map_err(failed)?;
    let mut copying = Copying {
        device: stat.st_dev,
        root: rustix::io::fcntl_dupfd_cloexec(&target, 0).map_err(failed)?,
        links: HashMap::new(),
        at: PathBuf::new(),
        progress,
    };
    let copied = copying
        .folder(&source, &target, 0)
        .and_then(|()| finish(&source, &target, &stat));
    copied
        .and_then(|()| Ok(rustix::fs::syncfs(&target)?))
        .map_err(|source| CopyFailed {
            path: from.join(&copying.at),
            source,
        })
}

struct Copying<'a> {
    device: Dev,
    /// The copy's top folder.
    root: OwnedFd,
    /// Where files are that have other names, too.
    links: HashMap<(Dev, u64), PathBuf>,
    /// What is copied, below the top.
    at: PathBuf,
    progress: &'a Progress,
}

impl Copying<'_> {
    fn folder(&mut self, from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("it is nested too deeply"));
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.progress.gone.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            match self.entry(from, to, name, depth) {
                // Somebody removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => copied?,
            }
            self.at.pop();
        }
        Ok(())
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let target = open(to, name)?;
                // What is mounted there isn't the workspace's own.
                if stat.st_dev == self.device {
                    let source = open(from, name)?;
                    self.folder(&source, &target, depth + 1)?;
                    finish(&source, &target, &stat)?;
                }
                Ok(())
            }
            FileType::RegularFile => self.file(from, to, name),
            FileType::Symlink => {
                let points_to = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(points_to, to, name)?;
                own(&stat, |uid, gid| {
                    rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                })?;
                let times = times(&stat);
                Ok(rustix::fs::utimensat(
                    to,
                    name,
                    &times,
                    AtFlags::SYMLINK_NOFOLLOW,
                )?)
            }
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(stat.st_mode);
                Ok(rustix::fs::mknodat(to, name, FileType::Fifo, mode, 0)?)
            }
            _ => Ok(()),
        }
    }

    fn file(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut source = File::from(rustix::fs::openat(from, name, flags, Mode::empty())?);
        let stat = rustix::fs::fstat(&source)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let number = (stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1 {
            if let Some(other) = self.links.get(&number) {
                let linked = rustix::fs::linkat(&self.root, other, to, name, AtFlags::empty());
                return Ok(linked?);
            }
            self.links.insert(number, self.at.clone());
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut target = File::from(rustix::fs::openat(to, name, flags, mode)?);
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        // The file system shares the content of both, where it can.
        if rustix::fs::ioctl_ficlone(&target, &source).is_ok() {
            self.progress.bytes.fetch_add(size, Ordering::Relaxed);
        } else {
            self.content(&mut source, &mut target, size)?;
        }
        finish(&source, &target, &stat)
    }

    /// Copies what a file had when it was opened, and leaves out its holes.
    fn content(&self, source: &mut File, target: &mut File, size: u64) -> io::Result<()> {
        let mut at = 0;
        while at < size {
            let (start, end) = match data_at(source, at)? {
                Some((start, end)) => (start.min(size), end.min(size)),
                None => break,
            };
            source.seek(SeekFrom::Start(start))?;
            target.seek(SeekFrom::Start(start))?;
            at = start;
            while at < end {
                if self.progress.gone.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let piece = (end - at).min(PIECE);
                let copied = io::copy(&mut source.take(piece), target)?;
                if copied == 0 {
                    // It was cut meanwhile.
                    return target.set_len(at);
                }
                self.progress.bytes.fetch_add(copied, Ordering::Relaxed);
                at += copied;
            }
        }
        target.set_len(size)
    }
}

/// Returns where a file's next data begin and end; `None` where there are none left.
fn data_at(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, u64::MAX))),
        start => start?,
    };
    let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start))?;
    Ok(Some((start, end)))
}

/// Gives a copy the owner, the mode, the attributes and the times of what it is of.
fn finish(from: impl AsFd, to: impl AsFd, stat: &Stat) -> io::Result<()> {
    own(stat, |uid, gid| rustix::fs::fchown(&to, uid, gid))?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode))?;
    attributes(&from, &to)?;
    Ok(rustix::fs::futimens(&to, &times(stat))?)
}

/// Has something belong to whom the original belongs; only root can give things away.
fn own(
    stat: &Stat,
    give: impl FnOnce(Option<rustix::fs::Uid>, Option<rustix::fs::Gid>) -> rustix::io::Result<()>,
) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let uid = rustix::fs::Uid::from_raw(stat.st_uid);
    let gid = rustix::fs::Gid::from_raw(stat.st_gid);
    Ok(give(Some(uid), Some(gid))?)
}

/// Copies the extended attributes that are people's own; the others are the system's.
fn attributes(from: &impl AsFd, to: &impl AsFd) -> io::Result<()> {
    let mut names = vec![0; MAX_ATTRIBUTES];
    let length = match rustix::fs::flistxattr(from, names.as_mut_slice()) {
        Err(Errno::NOTSUP) => return Ok(()),
        length => length?,
    };
    names.truncate(length);
    let mut value = Vec::new();
    for name in names.split(|byte| *byte == 0) {
        if !name.starts_with(b"user.") {
            continue;
        }
        value.resize(MAX_ATTRIBUTES, 0);
        match rustix::fs::fgetxattr(from, name, value.as_mut_slice()) {
            Err(Errno::NODATA) => continue,
            length => value.truncate(length?),
        }
        rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty())?;
    }
    Ok(())
}

fn times(stat: &Stat) -> Timestamps {
    let nanoseconds = |value| i64::try_from(value).unwrap_or_default();
    Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime,
            tv_nsec: nanoseconds(stat.st_atime_nsec),
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: nanoseconds(stat.st_mtime_nsec),
        },
    }
}

fn open(at: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
    use std::{fs, os::unix::net::UnixListener};

    use super::*;

    #[test]
    fn a_copy_has_all_that_a_home_can_hold() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir_all(from.join("closed/deep")).unwrap();
        fs::write(from.join("closed/deep/file"), "text").unwrap();
        fs::hard_link(from.join("closed/deep/file"), from.join("other-name")).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        let _socket = UnixListener::bind(from.join("socket")).unwrap();
        let fifo = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, from.join("fifo"), FileType::Fifo, fifo, 0).unwrap();
        let sparse = File::create(from.join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", (1 << 30) - 3).unwrap();
        rustix::fs::fsetxattr(&sparse, "user.note", b"kept", XattrFlags::empty()).unwrap();
        fs::set_permissions(from.join("closed"), fs::Permissions::from_mode(0o500)).unwrap();

        let progress = Progress::default();
        copy(&from, &to, &progress).unwrap();
        let text = fs::read_to_string(to.join("closed/deep/file")).unwrap();
        assert_eq!(text, "text");
        let stat = |name: &str| fs::symlink_metadata(to.join(name)).unwrap();
        assert_eq!(stat("closed").mode() & 0o777, 0o500);
        assert_eq!(stat("other-name").ino(), stat("closed/deep/file").ino());
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("/etc/passwd")
        );
        assert!(!to.join("socket").exists());
        assert!(stat("fifo").file_type().is_fifo());
        assert_eq!(stat("sparse").len(), 1 << 30);
        assert!(
            stat("sparse").blocks() * 512 < 1 << 20,
            "its holes are filled"
        );
        let copied = File::open(to.join("sparse")).unwrap();
        let mut note = vec![0; 10];
        let length = rustix::fs::fgetxattr(&copied, "user.note", note.as_mut_slice()).unwrap();
        assert_eq!(&note[..length], b"kept");
        let mut end = [0; 3];
        std::os::unix::fs::FileExt::read_exact_at(&copied, &mut end, (1 << 30) - 3).unwrap();
        assert_eq!(&end, b"end");
        let original = fs::metadata(from.join("sparse")).unwrap();
        assert_eq!(stat("sparse").mtime_nsec(), original.mtime_nsec());
        crate::files::remove_tree(&from).unwrap();
        crate::files::remove_tree(&to).unwrap();
    }

    #[test]
    fn a_copy_that_nobody_waits_for_ends() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("from")).unwrap();
        fs::write(root.path().join("from/file"), "text").unwrap();
        let progress = Progress::default();
        progress.gone.store(true, Ordering::Relaxed);
        let failed = copy(
            &root.path().join("from"),
            &root.path().join("to"),
            &progress,
        );
        assert!(failed.is_err());
    }
}
