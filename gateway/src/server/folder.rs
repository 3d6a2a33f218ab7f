//! The data folder: whether it can be used, and that one server uses it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{AccessFlags, access, geteuid};

use super::StartError;

/// File that the running server holds locked; it contains its process id.
const LOCK: &str = "devgate.lock";

/// Largest content of the lock file that is read, in bytes.
const MAX_PID: u64 = 32;

/// The data folder of this server, for as long as this value lives.
#[derive(Debug)]
pub(super) struct DataFolder {
    path: PathBuf,
    _lock: Flock<File>,
}

impl DataFolder {
    /// Tells whether the folder can be used, without changing anything.
    pub(super) fn inspect(path: &Path) -> Result<(), StartError> {
        let refused = |cause| StartError::Folder {
            path: path.to_owned(),
            cause,
        };
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
                holder(path).map_err(refused)?.map_or(Ok(()), |pid| {
                    Err(StartError::Running {
                        path: path.to_owned(),
                        pid,
                    })
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.ancestors().skip(1).find(|parent| parent.exists());
                writable(parent.unwrap_or(Path::new("/"))).map_err(refused)
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Makes the folder where it is missing, with mode 0700, and takes it for
    /// this process.
    pub(super) fn take(path: &Path) -> Result<Self, StartError> {
        let refused = |cause| StartError::Folder {
            path: path.to_owned(),
            cause,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(refused)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(refused)?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(refused)?;
        let mut lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((mut held, nix::errno::Errno::EWOULDBLOCK)) => {
                return Err(StartError::Running {
                    path: path.to_owned(),
                    pid: pid_in(&mut held).unwrap_or_default(),
                });
            }
            Err((_, error)) => return Err(refused(error.into())),
        };
        lock.set_len(0).map_err(refused)?;
        writeln!(lock, "{}", std::process::id()).map_err(refused)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Returns a path in the folder.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
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

/// Returns the process that uses the folder, if one does.
fn holder(path: &Path) -> io::Result<Option<String>> {
    let lock = match File::open(path.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match Flock::lock(lock, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(None),
        Err((mut held, nix::errno::Errno::EWOULDBLOCK)) => pid_in(&mut held).map(Some),
        Err((_, error)) => Err(error.into()),
    }
}

fn pid_in(lock: &mut File) -> io::Result<String> {
    let mut text = String::new();
    lock.take(MAX_PID).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
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
        drop(first);
        DataFolder::inspect(&path).unwrap();
        DataFolder::take(&path).unwrap();
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
            assert!(
                error.to_string().contains(&path.display().to_string()),
                "{error}"
            );
        }
    }
}
