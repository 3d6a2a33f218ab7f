//! From one place in a workspace to another.

use super::place::{below, name};
use super::{Copied, Folders, Progress, needs_recursive};
use crate::cli::client::{EntryKind, Inside};
use crate::cli::failure::{Failure, Kind};

/// Copies one file or folder; the workspace does it by itself.
pub(super) async fn copy(
    mut inside: Inside,
    (from, to, several): (&str, &str, bool),
    (folders, progress, copied): (Folders, &Progress, &mut Copied),
) -> Result<(), Failure> {
    let found = inside.stat(from).await;
    let found = found.map_err(|error| inside.explain_about(error, from))?;
    let found = found.ok_or_else(|| {
        let message = format!("there is no {from} in the workspace");
        Failure::new(Kind::NotFound, message)
    })?;
    if found.kind == EntryKind::Folder && folders == Folders::Refused {
        return Err(needs_recursive(from));
    }
    progress.doing(from);
    let there = inside.stat(to).await;
    let there = there.map_err(|error| inside.explain_about(error, to))?;
    let folder = there.is_some_and(|entry| entry.kind == EntryKind::Folder);
    let to = match (folder, name(from)) {
        (true, Some(own)) => below(to, own),
        (false, _) if !several => to.trim_end_matches('/').to_owned(),
        _ => {
            let message = format!("{to} is no folder in the workspace: make it first");
            return Err(Failure::new(Kind::NotFound, message));
        }
    };
    let done = inside.copy(from, &to).await;
    done.map_err(|error| inside.explain_about(error, &to))?;
    if found.kind == EntryKind::Folder {
        copied.folders += 1;
    } else {
        copied.files += 1;
        copied.bytes += found.size;
    }
    Ok(())
}
