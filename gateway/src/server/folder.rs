//! The data folder: whether it can be used, and that one server uses it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::kill;
use nix::unistd::{AccessFlags, Pid, access, geteuid};

use super::StartError;
use super::error::is_full;
use crate::store::StoreError;

/// File that the running server holds locked; it contains its process id.
const LOCK: &str = "devgate.lock";

/// Largest content of the lock file that is read, in bytes.
const MAX_PID: u64 = 32;

/// What a database needs when it is opened, in bytes; with less, the disk is full.
const LEAST_ROOM: u64 = 256 * 1024;

/// How long a lock is waited for whose owner has ended. Children that the owner was
/// just starting hold it until they run their program.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause between two looks at such a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// The data folder of this server, for as long as this value lives.
#[derive(Debug)]
pub(super) struct DataFolder {
    path: PathBuf,
    _lock: Flock<File>,
}

impl DataFolder {
    /// Tells whether the folder can be used, without changing anything. Blocks.
    pub(super) fn inspect(path: &Path) -> Result<(), StartError> {
        let refused = |cause| refused(path, cause);
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => {
                Err(refused(io::Error::from(io::ErrorKind::NotADirectory)))
            }
            Ok(found) => {
                writable(path).map_err(refused)?;
                if found.uid() != geteuid().as_raw() {
                    return Err(StartError::ForeignFolder {
                        path: path.to_owned(),
                    });
                }
                // Its mode will be narrowed: nothing that should happen to a home
                // or to /tmp by a slip.
                let private = matches!(found.mode() & 0o077, 0);
                let ours = path.join(LOCK).exists();
                if !private && !ours && !is_empty(path).map_err(refused)? {
                    return Err(StartError::NotOurs {
                        path: path.to_owned(),
                    });
                }
                match File::open(path.join(LOCK)) {
                    Ok(file) => lock(path, file, FlockArg::LockSharedNonblock, PATIENCE).map(drop),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    Err(error) => Err(refused(error)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.ancestors().skip(1).find(|parent| parent.exists());
                writable(parent.unwrap_or(Path::new("/"))).map_err(refused)
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Makes the folder where it is missing, with mode 0700, and takes it for
    /// this process. Blocks.
    pub(super) fn take(path: &Path) -> Result<Self, StartError> {
        let refused = |cause| refused(path, cause);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(refused)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(refused)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(refused)?;
        let mut lock = lock(path, file, FlockArg::LockExclusiveNonblock, PATIENCE)?;
        lock.set_len(0).map_err(refused)?;
        writeln!(lock, "{}", std::process::id()).map_err(refused)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Returns why the records can't be opened: a database on a full disk doesn't always say so.
    pub(super) fn refused(&self, error: StoreError) -> StartError {
        let full = || {
            rustix::fs::statvfs(&self.path)
                .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_ROOM)
        };
        let is_full = match error {
            StoreError::Open { .. } | StoreError::Migrate { .. } | StoreError::Query(_) => full(),
            _ => false,
        };
        if is_full {
            let path = self.path.clone();
            return StartError::Full { path };
        }
        error.into()
    }

    /// Returns the folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a path in the folder.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn refused(path: &Path, cause: io::Error) -> StartError {
    let path = path.to_owned();
    match cause.kind() {
        io::ErrorKind::NotADirectory => StartError::NotAFolder { path },
        kind if is_full(kind) => StartError::Full { path },
        _ => StartError::Folder { path, cause },
    }
}

/// Returns the process id of the server that has a data folder, if one has it. Blocks.
pub fn server_of(path: &Path) -> Option<String> {
    let file = File::open(path.join(LOCK)).ok()?;
    match lock(path, file, FlockArg::LockSharedNonblock, Duration::ZERO) {
        Err(StartError::Running { pid, .. }) => Some(pid),
        _ => None,
    }
}

/// Tells whether nothing is in a folder but what a new file system has.
fn is_empty(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn writable(path: &Path) -> io::Result<()> {
    access(path, AccessFlags::W_OK | AccessFlags::X_OK)?;
    if path.is_dir() {
        return Ok(());
    }
    Err(io::ErrorKind::NotADirectory.into())
}

/// Locks the folder's lock file. A living owner is reported at once; one that has
/// ended, or hasn't written its process id yet, is waited for.
fn lock(
    path: &Path,
    mut file: File,
    kind: FlockArg,
    patience: Duration,
) -> Result<Flock<File>, StartError> {
    let refused = |cause| StartError::Folder {
        path: path.to_owned(),
        cause,
    };
    let deadline = Instant::now() + patience;
    loop {
        let held = match Flock::lock(file, kind) {
            Ok(lock) => return Ok(lock),
            Err((held, Errno::EWOULDBLOCK)) => held,
            Err((_, error)) => return Err(refused(error.into())),
        };
        let pid = pid_in(&held).map_err(refused)?;
        let path = path.to_owned();
        if lives(&pid) {
            return Err(StartError::Running { path, pid });
        }
        if Instant::now() >= deadline {
            return Err(StartError::Held { path, pid });
        }
        sleep(PAUSE);
        file = held;
    }
}

fn pid_in(mut lock: &File) -> io::Result<String> {
    let mut text = String::new();
    lock.rewind()?;
    lock.take(MAX_PID).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Tells whether there is such a process; what is no process id has none.
fn lives(pid: &str) -> bool {
    let pid = pid.parse().ok().filter(|pid| *pid > 0);
    // One of another user lives too, though it can't be signalled.
    pid.is_some_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_is_made_for_its_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        DataFolder::inspect(&path).unwrap();
        assert!(!path.exists());
        let _folder = DataFolder::take(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
    }

    #[test]
    fn a_second_server_on_the_same_folder_is_told_the_first_ones_pid() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let first = DataFolder::take(&path).unwrap();
        let pid = std::process::id().to_string();
        for error in [
            DataFolder::inspect(&path).unwrap_err(),
            DataFolder::take(&path).unwrap_err(),
        ] {
            assert!(error.to_string().contains(&pid), "{error}");
        }
        assert_eq!(server_of(&path), Some(pid));
        drop(first);
        assert_eq!(server_of(&path), None);
        DataFolder::inspect(&path).unwrap();
        DataFolder::take(&path).unwrap();
    }

    #[test]
    fn a_full_disk_is_called_so() {
        let full = refused(Path::new("/d"), io::ErrorKind::StorageFull.into()).to_string();
        assert!(full.contains("the data folder /d is full"), "{full}");
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::take(&root.path().join("data")).unwrap();
        let path = folder.join("devgate.db");
        let source = sqlx::Error::PoolClosed;
        let other = folder.refused(StoreError::Open { path, source });
        assert!(matches!(other, StartError::Store(_)), "{other}");
    }

    /// Leaves a lock as a server does that was killed while it started a child:
    /// the child holds it until it ends.
    fn left_locked(path: &Path, seconds: &str) -> (std::process::Child, String) {
        use std::process::Command;
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let pid = dead.id().to_string();
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(path.join(LOCK), &pid).unwrap();
        let lock = File::open(path.join(LOCK)).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        // Closed here with the command, and not unlocked.
        let child = Command::new("sleep")
            .arg(seconds)
            .stdin(lock)
            .spawn()
            .unwrap();
        (child, pid)
    }

    #[test]
    fn a_lock_that_a_killed_server_left_to_a_child_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let (mut child, _) = left_locked(&path, "0.3");
        DataFolder::inspect(&path).unwrap();
        DataFolder::take(&path).unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_lock_that_stays_held_after_its_owners_end_says_how_to_find_who_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let (mut child, pid) = left_locked(&path, "60");
        let file = File::open(path.join(LOCK)).unwrap();
        let patience = Duration::from_millis(50);
        let error = lock(&path, file, FlockArg::LockSharedNonblock, patience).unwrap_err();
        assert!(matches!(error, StartError::Held { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&pid) && text.contains("fuser"), "{text}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.txt"), "").unwrap();
        let shared = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.path(), shared).unwrap();
        let error = DataFolder::inspect(root.path()).unwrap_err();
        assert!(matches!(error, StartError::NotOurs { .. }), "{error}");
        assert_eq!(mode(root.path()), 0o755);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = DataFolder::inspect(&path).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&path.display().to_string()), "{text}");
            assert!(
                text.contains("is a file") && text.contains("--data-dir"),
                "{text}"
            );
        }
    }
}
