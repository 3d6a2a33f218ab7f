//! That there are records where there are homes.
//!
//! An empty database would be set up as a new installation, with another administrator, and the
//! homes of the one before would be nobody's. A first run that was cut short has no homes yet: a
//! workspace is recorded before anything is made of it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::StartError;
use super::folder::DataFolder;
use crate::names::WorkspaceId;
use crate::store::Store;

/// Where the homes show: in which folder, and in what of each workspace's entry, where not in the
/// entry itself.
const HOMES: [(&str, Option<&str>); 3] = [
    ("workspaces", Some("home")),
    ("homes", None),
    ("docker", Some("home")),
];

/// The homes of a data folder, and the database that should know of them.
pub(super) struct Homes {
    folder: PathBuf,
    database: PathBuf,
    count: usize,
}

impl Homes {
    /// Looks for them.
    pub(super) async fn find(folder: &DataFolder) -> Result<Self, StartError> {
        let (path, database) = (folder.path().to_owned(), folder.join("devgate.db"));
        let found = spawn_blocking(move || Self {
            count: count(&path),
            folder: path,
            database,
        });
        Ok(found.await?)
    }

    /// Refuses where there are homes and the database's file is missing or empty. Comes before
    /// it is opened, which makes it.
    pub(super) fn need_database(&self) -> Result<(), StartError> {
        let is_there = fs::metadata(&self.database).is_ok_and(|found| found.len() > 0);
        if is_there || self.count == 0 {
            return Ok(());
        }
        Err(self.lost())
    }

    /// Refuses where there are homes and nobody is recorded, and closes the records: their file
    /// can then be replaced.
    pub(super) async fn need_records(&self, store: &Store) -> Result<(), StartError> {
        if self.count == 0 || !store.users().await?.is_empty() {
            return Ok(());
        }
        store.close().await;
        Err(self.lost())
    }

    fn lost(&self) -> StartError {
        StartError::RecordsLost {
            database: self.database.clone(),
            folder: self.folder.clone(),
            homes: self.count,
        }
    }
}

/// Counts the workspaces that have a home.
fn count(folder: &Path) -> usize {
    let ids = HOMES.iter().flat_map(|(all, home)| {
        let entries = fs::read_dir(folder.join(all)).into_iter().flatten();
        entries.filter_map(move |entry| {
            let entry = entry.ok()?;
            let id: WorkspaceId = entry.file_name().to_str()?.parse().ok()?;
            let shows = home.is_none_or(|home| entry.path().join(home).exists());
            shows.then_some(id)
        })
    });
    ids.collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_counted_once_wherever_they_show() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| fs::create_dir_all(root.path().join(name)).unwrap();
        let file = |name: &str| fs::write(root.path().join(name), "").unwrap();
        assert_eq!(count(root.path()), 0);
        let ids: Vec<_> = (0..4).map(|_| WorkspaceId::random()).collect();
        // One without a home yet, one with a note, one whose disk isn't mounted, a container.
        folder(&format!("workspaces/{}/run", ids[0]));
        assert_eq!(count(root.path()), 0);
        folder(&format!("workspaces/{}/home", ids[1]));
        folder("homes");
        file(&format!("homes/{}", ids[1]));
        file(&format!("homes/{}", ids[2]));
        folder(&format!("docker/{}", ids[3]));
        file(&format!("docker/{}/home", ids[3]));
        folder("docker/bin");
        assert_eq!(count(root.path()), 3);
    }
}
