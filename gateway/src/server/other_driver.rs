//! That all workspaces are of the driver that the configuration names.
//!
//! Nothing moves between drivers: the other one would make an empty home for a workspace, and
//! know nothing of the agent that still runs.

use tokio::task::spawn_blocking;

use super::StartError;
use super::folder::DataFolder;
use crate::config::DriverName;
use crate::names::UserId;
use crate::store::Store;
use crate::workspaces::Record;

/// Most workspaces that an error names.
const MAX_NAMED: usize = 5;

/// Refuses to start where another driver than `driver` keeps something of a workspace.
pub(super) async fn refuse(
    driver: DriverName,
    folder: &DataFolder,
    store: &Store,
) -> Result<(), StartError> {
    let (driver, other, folders) = match driver {
        DriverName::Process => ("process", "docker", ["docker"].as_slice()),
        DriverName::Docker => ("docker", "process", ["workspaces", "homes"].as_slice()),
    };
    let folders: Vec<_> = folders.iter().map(|name| folder.join(name)).collect();
    let mut records = store.workspaces().await?;
    records.extend(store.deleted_workspaces().await?);
    let is_kept = move |record: &Record| {
        let id = record.workspace.id.as_str();
        folders.iter().any(|folder| folder.join(id).exists())
    };
    let kept = spawn_blocking(move || {
        records.retain(is_kept);
        records
    });
    let kept = kept.await?;
    if kept.is_empty() {
        return Ok(());
    }
    let workspaces = names(&kept);
    Err(StartError::OtherDriver {
        driver,
        other,
        workspaces,
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
