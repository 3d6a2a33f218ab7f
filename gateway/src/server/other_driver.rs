//! That all workspaces are of the driver that the configuration names.
//!
//! Nothing moves between drivers: the other one would make an empty home for a workspace, and
//! know nothing of the agent that still runs.

use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::StartError;
use super::folder::DataFolder;
use crate::config::DriverName;
use crate::names::{UserId, WorkspaceId};
use crate::store::Store;
use crate::workspaces::Record;

/// Most workspaces that an error names.
const MAX_NAMED: usize = 5;

/// Where it shows which driver has a workspace's home.
struct Homes {
    /// The folders of workspaces that are processes.
    workspaces: PathBuf,
    /// The notes of their homes.
    notes: PathBuf,
    /// What of containers is here.
    docker: PathBuf,
}

impl Homes {
    fn has(&self, driver: DriverName, id: &WorkspaceId) -> bool {
        let in_one = |folder: &Path| folder.join(id.as_str());
        match driver {
            DriverName::Process => {
                in_one(&self.workspaces).join("home").exists() || in_one(&self.notes).exists()
            }
            DriverName::Docker => in_one(&self.docker).join("home").exists(),
        }
    }
}

/// Refuses to start with a driver where another one has a workspace's home. Where both have one,
/// as a change of the driver once left them, the one that is named goes on.
pub(super) async fn refuse(
    driver: DriverName,
    folder: &DataFolder,
    store: &Store,
) -> Result<(), StartError> {
    let (other, words) = match driver {
        DriverName::Process => (DriverName::Docker, ("process", "docker")),
        DriverName::Docker => (DriverName::Process, ("docker", "process")),
    };
    let homes = Homes {
        workspaces: folder.join("workspaces"),
        notes: folder.join("homes"),
        docker: folder.join("docker"),
    };
    let mut records = store.workspaces().await?;
    records.extend(store.deleted_workspaces().await?);
    let kept = spawn_blocking(move || {
        records.retain(|record| {
            let id = &record.workspace.id;
            homes.has(other, id) && !homes.has(driver, id)
        });
        records
    });
    let kept = kept.await?;
    if kept.is_empty() {
        return Ok(());
    }
    Err(StartError::OtherDriver {
        driver: words.0,
        other: words.1,
        workspaces: names(&kept),
    })
}

/// Returns what workspaces are called, for people: the first few, and how many more there are.
fn names(kept: &[Record]) -> String {
    let mut names: Vec<_> = kept.iter().take(MAX_NAMED).map(name).collect();
    if let Some(more @ 1..) = kept.len().checked_sub(MAX_NAMED) {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

fn name(record: &Record) -> String {
    let workspace = &record.workspace;
    if workspace.owner == UserId::nobody() {
        return "one of a template's pool".to_owned();
    }
    let name = format!("{} of {}", workspace.name, workspace.owner_name);
    match record.deleted {
        Some(_) => format!("{name} (deleted, kept to be restored)"),
        None => name,
    }
}
