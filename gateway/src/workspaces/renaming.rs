//! What is told of a workspace that has another name or owner.

use super::state::Workspace;
use crate::events::{Kind, NewEvent};

/// Returns what happened, for each whom it is about.
pub(super) fn told(before: &Workspace, after: &Workspace) -> Vec<NewEvent> {
    let (from, to) = (before.target().to_string(), after.target().to_string());
    let kind = if before.owner == after.owner {
        Kind::WorkspaceRenamed
    } else {
        Kind::WorkspaceTransferred
    };
    let told = |workspace: &Workspace| {
        NewEvent::of_workspace(kind, workspace)
            .saying("from", &from)
            .saying("to", &to)
    };
    if before.owner == after.owner {
        vec![told(after)]
    } else {
        // Both see what is about them alone.
        vec![told(before), told(after)]
    }
}
