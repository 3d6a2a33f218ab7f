//! That there are records where there are homes.
//!
//! An empty database would be set up as a new installation, with another administrator, and the
//! homes of the one before would be nobody's. A first run that was cut short has no homes yet: a
//! workspace is recorded before anything is made of it.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::StartError;
use super::folder::DataFolder;
use crate::names::WorkspaceId;
use crate::store::Store;

/// Where the homes show: in which folder, and below it in what of each workspace's.
const HOMES: [(&str, &str); 3] = [("workspaces", "home"), ("homes", ""), ("docker", "home")];

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
            entry.path().join(home).exists().then_some(id)
        })
    });
    ids.collect::<std::collections::HashSet<_>>().len()
}
