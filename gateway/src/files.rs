//! How files are written that a crash must not leave half written, how others' are read, and
//! how whole folders are removed.

use std::ffi::CStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Returns the first bytes of a file that somebody else made; `None` where it is no regular
/// one. Waits for nobody.
pub(crate) fn read_regular(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let file = OpenOptions::new()
        .read(true)
        // Without it a pipe is waited for until somebody writes to it.
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(u64::try_from(most).unwrap_or(u64::MAX))
        .read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Replaces a file as a whole, with mode 0600. Nobody else may write it at the same
/// time.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// Removes a folder with everything in it, if it is there; links aren't followed, and
/// other file systems aren't entered. Blocks.
///
/// Whoever filled the folder may mean harm, so the depth of it costs neither stack nor
/// descriptors: what a folder has in it is lifted up to the top before it is removed.
/// Folders that forbid it to their owner are opened (Go's module cache has such).
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let top = match open(CWD, path) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return fs::remove_file(path),
        top => top?,
    };
    let mut lifting = Lifting {
        device: rustix::fs::fstat(&top)?.st_dev,
        top,
        count: 0,
    };
    while lifting.pass()? {}
    fs::remove_dir(path)
}

/// A removal that is under way.
struct Lifting {
    top: OwnedFd,
    device: rustix::fs::Dev,
    /// How many names were tried for what is lifted.
    count: u64,
}

impl Lifting {
    /// Removes what is in the top folder now, and tells whether there was anything.
    fn pass(&mut self) -> io::Result<bool> {
        let mut found = false;
        for entry in Dir::read_from(&self.top)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_own(name) {
                continue;
            }
            found = true;
            if !remove_one(&self.top, name)? {
                self.lift_all(name)?;
                rustix::fs::unlinkat(&self.top, name, AtFlags::REMOVEDIR)?;
            }
        }
        Ok(found)
    }

    /// Empties one of the top's folders into the top.
    fn lift_all(&mut self, folder: &CStr) -> io::Result<()> {
        let folder = open(&self.top, folder)?;
        if rustix::fs::fstat(&folder)?.st_dev != self.device {
            return Err(Errno::XDEV.into());
        }
        // Some file systems skip entries while others are removed: until there is none.
        loop {
            let mut found = false;
            for entry in Dir::read_from(&folder)? {
                let entry = entry?;
                let name = entry.file_name();
                if is_own(name) {
                    continue;
                }
                found = true;
                if !remove_one(&folder, name)? {
                    // To be moved, it has to be writable, too.
                    drop(open(&folder, name)?);
                    self.lift(&folder, name)?;
                }
            }
            if !found {
                return Ok(());
            }
        }
    }

    /// Moves a folder to the top, under a name that is free there.
    fn lift(&mut self, from: &OwnedFd, name: &CStr) -> io::Result<()> {
        loop {
            self.count += 1;
            let lifted = format!("lifted-{}", self.count);
            match rustix::fs::renameat(from, name, &self.top, &lifted) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                done => return Ok(done?),
            }
        }
    }
}

/// Tells whether a name is one of those that each folder has.
fn is_own(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Removes what isn't a folder, or an empty one; tells whether it is gone.
fn remove_one(folder: &OwnedFd, name: &CStr) -> io::Result<bool> {
    let removed = match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR),
        removed => removed,
    };
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder, and lets its owner read and change it.
fn open(at: impl AsFd, name: impl Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |how| rustix::fs::openat(at.as_fd(), name, flags | how, Mode::empty());
    let folder = match open(OFlags::RDONLY) {
        Err(Errno::ACCESS) => {
            let found = open(OFlags::PATH)?;
            let found = format!("/proc/self/fd/{}", found.as_raw_fd());
            fs::set_permissions(found, Permissions::from_mode(0o700)).map_err(|_| Errno::ACCESS)?;
            open(OFlags::RDONLY)?
        }
        folder => folder?,
    };
    if rustix::fs::fstat(&folder)?.st_mode & 0o700 != 0o700 {
        // Where it isn't ours, what needs it says so.
        let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_any_depth_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep");
        fs::create_dir(&path).unwrap();
        // A name that a removal would use itself.
        fs::write(path.join("lifted-1"), "x").unwrap();
        let mut folder = open(CWD, path.as_path()).unwrap();
        for _ in 0..50_000 {
            rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = open(&folder, "d").unwrap();
        }
        remove_tree(&path).unwrap();
        assert!(!path.exists());
        remove_tree(&path).unwrap();
    }

    #[test]
    fn a_removal_follows_no_link_and_opens_what_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let (path, outside) = (root.path().join("it"), root.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        let closed = path.join("a/closed");
        fs::create_dir_all(closed.join("b/c")).unwrap();
        for folder in [&path, &closed] {
            std::os::unix::fs::symlink(&outside, folder.join("link")).unwrap();
        }
        fs::set_permissions(&closed, Permissions::from_mode(0o0)).unwrap();
        remove_tree(&path).unwrap();
        assert!(!path.exists());
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        remove_tree(&link).unwrap();
        assert!(fs::symlink_metadata(&link).is_err());
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
    }
}
