//! The operations about snapshots.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Post};

use super::super::document::Operation;
use super::super::wire::{
    CloneWorkspace, Clones, Event, HistoryQuery, PullSnapshot, PushSnapshot, RestoreSnapshot,
    Snapshot, SnapshotQuery, TakeSnapshot, WaitQuery, Workspace,
};
use crate::names::{SnapshotId, WorkspaceId};

/// Returns them.
pub(super) fn all() -> Vec<Operation> {
    let mut operations = of_snapshots();
    operations.extend(of_workspaces());
    operations
}

fn named(operation: Operation) -> Operation {
    operation.parameter::<SnapshotId>("id", "the snapshot's id")
}

fn under_way(operation: Operation) -> Operation {
    operation
        .query::<WaitQuery>()
        .answers::<Snapshot>(StatusCode::ACCEPTED, "recorded, and under way")
        .answers::<Snapshot>(StatusCode::OK, "what it came to, where that was waited for")
        .errors(&[404, 409, 422])
}

fn of_snapshots() -> Vec<Operation> {
    vec![
        Operation::new(Get, "/snapshots", "listSnapshots", "List snapshots")
            .about("One's own; for administrators all.")
            .query::<SnapshotQuery>()
            .answers_page::<Snapshot>("the snapshots, by owner and name"),
        named(Operation::new(
            Get,
            "/snapshots/{id}",
            "showSnapshot",
            "Show a snapshot",
        ))
        .query::<WaitQuery>()
        .answers::<Snapshot>(StatusCode::OK, "the snapshot")
        .errors(&[404]),
        named(Operation::new(
            Delete,
            "/snapshots/{id}",
            "deleteSnapshot",
            "Delete a snapshot",
        ))
        .about("Workspaces that were made from it go on, and keep what they need of it.")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "deleted")
        .errors(&[404, 409]),
        named(Operation::new(
            Post,
            "/snapshots/{id}/restore",
            "restoreSnapshot",
            "Make a workspace anew from a snapshot",
        ))
        .about(
            "With its home as it was then: what was changed since is lost, and what runs ends. \
             The home of now is kept until the other one is in its place.",
        )
        .query::<WaitQuery>()
        .body::<RestoreSnapshot>()
        .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
        .answers::<Workspace>(
            StatusCode::OK,
            "the state reached, where that was waited for",
        )
        .errors(&[404, 409]),
        under_way(named(Operation::new(
            Post,
            "/snapshots/{id}/push",
            "pushSnapshot",
            "Copy a snapshot to a registry",
        )))
        .about("For administrators, of their own.")
        .body::<PushSnapshot>()
        .admin(),
        under_way(Operation::new(
            Post,
            "/snapshots/pull",
            "pullSnapshot",
            "Copy a snapshot from a registry",
        ))
        .about("For administrators. It has to be one that was pushed.")
        .body::<PullSnapshot>()
        .admin(),
    ]
}

fn of_workspaces() -> Vec<Operation> {
    vec![
        under_way(Operation::new(
            Post,
            "/workspaces/{id}/snapshots",
            "takeSnapshot",
            "Take a snapshot of a workspace",
        ))
        .about(
            "Of its files, whether it runs or not; what runs in it isn't kept. In a home that \
             programs write to meanwhile, each file is as it was when it was copied.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .body::<TakeSnapshot>(),
        Operation::new(
            Post,
            "/workspaces/{id}/clones",
            "cloneWorkspace",
            "Make workspaces like one",
        )
        .about(
            "From a snapshot that is taken for them. They start one by one as soon as that is \
             there; until then each tells in `doing` what it waits for.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .body::<CloneWorkspace>()
        .answers::<Clones>(StatusCode::ACCEPTED, "recorded, and under way")
        .errors(&[404, 409, 422]),
        Operation::new(
            Get,
            "/workspaces/{id}/history",
            "showHistory",
            "Show what happened to a workspace",
        )
        .about("The newest first. Events `workspace-command` tell who asked for what.")
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<HistoryQuery>()
        .answers_page::<Event>("what happened")
        .errors(&[404]),
    ]
}
