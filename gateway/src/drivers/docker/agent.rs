//! The agent's program on the gateway's disk, where all containers of this host share it: it
//! isn't copied into each of them, and is in memory once.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::models::ContainerInspectResponse;
use parking_lot::Mutex;
use rustix::fs::{StatVfsMountFlags, statvfs};

use super::{DockerOptions, DockerReach, spec};
use crate::drivers::{DriverError, blocking};

/// The file's name, and what it is called while it is written.
const NAME: &str = "devgate-agent";
const UNFINISHED: &str = "devgate-agent.new";

/// Keeps the agent's program where containers share it.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedAgent {
    /// Held while it is looked after.
    turn: Arc<Mutex<()>>,
}

impl SharedAgent {
    /// Returns where containers share the agent's program, and puts it there unless it is.
    /// `None` where each gets a copy: on another host, or where the folder is one that nothing
    /// may be run from.
    pub(super) async fn path(
        &self,
        options: &DockerOptions,
    ) -> Result<Option<PathBuf>, DriverError> {
        if matches!(options.reach, DockerReach::Dial { .. }) {
            return Ok(None);
        }
        let (agent, folder) = (options.agent.clone(), options.folder.clone());
        let turn = Arc::clone(&self.turn);
        blocking(move || {
            let _turn = turn.lock();
            place(&agent, &folder)
        })
        .await
    }
}

fn place(agent: &Path, folder: &Path) -> Result<Option<PathBuf>, DriverError> {
    let own = File::open(agent).and_then(|file| Ok((file.metadata()?, file)));
    let (own, mut file) = own.map_err(|error| unread(agent, error))?;
    let shared = folder.join(NAME);
    let failed = |source| DriverError::File {
        action: "write",
        path: shared.clone(),
        source,
    };
    let mounted = statvfs(folder).map_err(|error| failed(error.into()))?;
    if mounted.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Ok(None);
    }
    if !shared.metadata().is_ok_and(|found| is_same(&found, &own)) {
        let unfinished = folder.join(UNFINISHED);
        let mut write = || {
            let mut copy = File::create(&unfinished)?;
            io::copy(&mut file, &mut copy)?;
            copy.set_permissions(Permissions::from_mode(0o755))?;
            copy.set_modified(own.modified()?)?;
            copy.sync_all()?;
            // Containers that run keep the one that they have.
            std::fs::rename(&unfinished, &shared)
        };
        write().map_err(failed)?;
    }
    Ok(Some(shared))
}

/// Tells whether one is a copy of the other.
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    let modified = one.modified().ok().zip(other.modified().ok());
    one.len() == other.len() && modified.is_some_and(|(one, other)| one == other)
}

/// Returns the agent's program. Blocks.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DriverError> {
    std::fs::read(path).map_err(|error| unread(path, error))
}

fn unread(path: &Path, error: io::Error) -> DriverError {
    match error.kind() {
        io::ErrorKind::NotFound => DriverError::AgentMissing {
            path: path.to_owned(),
        },
        _ => DriverError::File {
            action: "read",
            path: path.to_owned(),
            source: error,
        },
    }
}

/// Tells whether a container shares the agent's program.
pub(super) fn is_shared(container: &ContainerInspectResponse) -> bool {
    let mut mounts = container.mounts.iter().flatten();
    mounts.any(|mount| mount.destination.as_deref() == Some(spec::AGENT))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn it_is_copied_once_and_again_when_it_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("agent");
        fs::write(&agent, "one").unwrap();
        let shared = folder.path().join("containers");
        fs::create_dir(&shared).unwrap();
        // What a gateway left that ended while it copied.
        fs::write(shared.join(UNFINISHED), "half of it, and longer").unwrap();
        let look = || {
            let path = place(&agent, &shared).unwrap().unwrap();
            let found = path.metadata().unwrap();
            assert_eq!(found.mode() & 0o777, 0o755);
            (fs::read_to_string(&path).unwrap(), found.ino())
        };
        let first = look();
        assert_eq!(first.0, "one");
        assert_eq!(look(), first);
        fs::write(&agent, "other").unwrap();
        let second = look();
        assert_eq!(second.0, "other");
        assert_ne!(second.1, first.1, "who runs the first one keeps it");
        assert_eq!(fs::read_dir(&shared).unwrap().count(), 1);
    }

    #[test]
    fn it_is_said_that_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = place(&folder.path().join("agent"), folder.path());
        assert!(matches!(missing, Err(DriverError::AgentMissing { .. })));
    }
}
