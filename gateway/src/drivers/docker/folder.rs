//! What of a workspace is on the gateway's own disk: the folder with its agent's
//! socket, and a note that it has a home; and the installation's id.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::drivers::DriverError;
use crate::files::{remove_tree, replace};
use crate::names::{InstallationId, WorkspaceId};

/// File with the installation's id.
const INSTALLATION: &str = "installation";

/// The folder of one workspace.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(all: &Path, id: &WorkspaceId) -> Self {
        Self(all.join(id.as_str()))
    }

    /// Returns the folder that the container shares. Its user, whoever that is, may
    /// write to it; the folders above keep everybody else out.
    pub(super) fn shared(&self) -> PathBuf {
        self.0.join("run")
    }

    fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    /// Tells whether the workspace's home was ever ready to be used. Blocks.
    pub(super) fn had_home(&self) -> Result<bool, DriverError> {
        Ok(self.home_of()?.is_some())
    }

    /// Returns which restoring the home comes from that was last ready to be used, empty
    /// where from none; `None` where none ever was. Blocks.
    pub(super) fn home_of(&self) -> Result<Option<String>, DriverError> {
        let path = self.home();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DriverError::File {
                action: "read",
                path,
                source,
            }),
        }
    }

    /// Takes note that the workspace's home is ready to be used. Blocks.
    pub(super) fn note_home(&self) -> Result<(), DriverError> {
        if self.had_home()? {
            return Ok(());
        }
        self.note_home_of("")
    }

    /// Takes note that a home is ready to be used that comes from that restoring. Blocks.
    pub(super) fn note_home_of(&self, restoring: &str) -> Result<(), DriverError> {
        let path = self.home();
        replace(&path, restoring.as_bytes()).map_err(|source| DriverError::File {
            action: "write",
            path,
            source,
        })
    }

    /// Makes the folders. Blocks.
    pub(super) fn create(&self) -> Result<(), DriverError> {
        make(&self.0)?;
        self.share()
    }

    /// Makes the folder that the container shares. Blocks.
    fn share(&self) -> Result<(), DriverError> {
        let shared = self.shared();
        make(&shared)?;
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).map_err(|source| {
            DriverError::File {
                action: "open to the workspace",
                path: shared,
                source,
            }
        })
    }

    /// Makes the folder that the container shares anew, without anything that the
    /// workspace has left there: it may be in the agent's way. No container runs. Blocks.
    pub(super) fn renew(&self) -> Result<(), DriverError> {
        self.release()?;
        self.share()
    }

    /// Removes the folder that the container shares. Blocks.
    pub(super) fn release(&self) -> Result<(), DriverError> {
        let shared = self.shared();
        let failed = |action, source| DriverError::File {
            action,
            path: shared.clone(),
            source,
        };
        match remove_tree(&shared) {
            // See `remove`; out of the way is enough.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                warn!(folder = %shared.display(), %error, "a folder is put aside");
                let aside = self.0.join(format!("left-{}", WorkspaceId::random()));
                fs::rename(&shared, aside).map_err(|source| failed("put aside", source))
            }
            removed => removed.map_err(|source| failed("remove", source)),
        }
    }

    /// Removes the folders. Blocks.
    pub(super) fn remove(&self) -> Result<(), DriverError> {
        match remove_tree(&self.0) {
            // What the workspace's user has made there, a gateway that isn't root can't
            // remove. It is nothing of worth, and nobody else gets there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                warn!(folder = %self.0.display(), %error, "a folder is left");
                Ok(())
            }
            removed => removed.map_err(|source| DriverError::File {
                action: "remove",
                path: self.0.clone(),
                source,
            }),
        }
    }
}

fn make(folder: &Path) -> Result<(), DriverError> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| DriverError::File {
            action: "make the folder",
            path: folder.to_owned(),
            source,
        })
}

/// Returns the id that this installation's containers are labelled with; makes one
/// where there is none. Blocks.
pub(super) fn installation(folder: &Path) -> Result<InstallationId, DriverError> {
    make(folder)?;
    let path = folder.join(INSTALLATION);
    let failed = |action, source| DriverError::File {
        action,
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|error| failed("use", io::Error::new(io::ErrorKind::InvalidData, error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = InstallationId::random();
            let written = replace(&path, format!("{id}\n").as_bytes());
            written.map_err(|source| failed("write", source))?;
            Ok(id)
        }
        Err(source) => Err(failed("read", source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_keeps_its_id() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("docker");
        let id = installation(&folder).unwrap();
        assert_eq!(installation(&folder).unwrap(), id);
        fs::write(folder.join(INSTALLATION), "nonsense").unwrap();
        assert!(installation(&folder).is_err());
    }

    #[test]
    fn a_renewed_folder_is_empty_and_open() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), &WorkspaceId::random());
        folder.create().unwrap();
        fs::create_dir_all(folder.shared().join("agent.sock/in/the/way")).unwrap();
        folder.renew().unwrap();
        let shared = folder.shared();
        assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
        let mode = fs::metadata(&shared).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o777);
    }

    #[test]
    fn only_the_shared_folder_is_open() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), &WorkspaceId::random());
        folder.create().unwrap();
        folder.create().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.0), 0o700);
        assert_eq!(mode(&folder.shared()), 0o777);
        folder.remove().unwrap();
        folder.remove().unwrap();
        assert!(!folder.0.exists());
    }
}
