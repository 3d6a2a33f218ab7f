//! Workspaces, their life, and what one may have of them.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post};

use crate::http::api::document::{Operation, TEXT};
use crate::http::api::wire::{
    ChangeWorkspace, CreateWorkspace, DeleteQuery, LimitsQuery, LogQuery, RebuildWorkspace,
    RestoreWorkspace, WaitQuery, Workspace, WorkspaceQuery,
};
use crate::http::wire::LimitsView;
use crate::names::WorkspaceId;

/// Returns the operations on workspaces themselves.
pub(super) fn all() -> Vec<Operation> {
    let act = |path, id, summary| {
        Operation::new(Post, path, id, summary)
            .parameter::<WorkspaceId>("id", "the workspace's id")
            .query::<WaitQuery>()
            .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
            .answers::<Workspace>(
                StatusCode::OK,
                "the state reached, where that was waited for",
            )
            .errors(&[409])
    };
    vec![
        list_workspaces(),
        create_workspace(),
        Operation::new(Get, "/workspaces/{id}", "showWorkspace", "Show a workspace")
            .about(
                "A token that is narrowed without the action view is told what it takes to use \
                 it, and null for all else, as in the list.",
            )
            .parameter::<WorkspaceId>("id", "the workspace's id")
            .query::<WaitQuery>()
            .answers::<Workspace>(StatusCode::OK, "the workspace"),
        change_workspace(),
        delete_workspace(),
        Operation::new(
            Post,
            "/workspaces/{id}/restore",
            "restoreWorkspace",
            "Restore a deleted workspace",
        )
        .about("With its home, stopped. What else was in a container is lost.")
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<WaitQuery>()
        .body::<RestoreWorkspace>()
        .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
        .answers::<Workspace>(
            StatusCode::OK,
            "the state reached, where that was waited for",
        )
        .errors(&[409]),
        act(
            "/workspaces/{id}/start",
            "startWorkspace",
            "Start a workspace",
        ),
        act("/workspaces/{id}/stop", "stopWorkspace", "Stop a workspace"),
        act(
            "/workspaces/{id}/restart",
            "restartWorkspace",
            "Restart a workspace",
        ),
        act(
            "/workspaces/{id}/rebuild",
            "rebuildWorkspace",
            "Make a workspace anew",
        )
        .about(
            "From its template as it is now, or from another one. Its home and the volumes \
                 that its image declares are kept; what else it has is lost, and what runs ends.",
        )
        .body::<RebuildWorkspace>()
        .errors(&[404, 422]),
        limits(),
        act(
            "/workspaces/{id}/sleep",
            "sleepWorkspace",
            "Put a workspace to sleep",
        ),
        Operation::new(
            Get,
            "/workspaces/{id}/logs",
            "readLogs",
            "Read what the agent logged",
        )
        .about(
            "With `Accept: text/event-stream` what is written later follows: events named \
                 `log`, each with one line; over a WebSocket each is a `LiveEvent`.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<LogQuery>()
        .answers_plainly(StatusCode::OK, &[TEXT], "the lines")
        .goes_on("the lines"),
    ]
}

fn list_workspaces() -> Operation {
    Operation::new(Get, "/workspaces", "listWorkspaces", "List workspaces")
        .about(
            "One's own; for administrators all. A token that is narrowed is shown what it \
                 reaches; without the action view all that doesn't take to use a workspace is \
                 null there: reason, doing, template, out_of_memory, startup and agent, and \
                 notices are empty.",
        )
        .query::<WorkspaceQuery>()
        .answers_page::<Workspace>("the workspaces, by owner and name")
}

fn create_workspace() -> Operation {
    Operation::new(Post, "/workspaces", "createWorkspace", "Create a workspace")
        .header(
            "Idempotency-Key",
            "Tells this request from its repetition for a day: repeated, it creates nothing \
                 more and shows what it created.",
            "^[!-~]{1,100}$",
        )
        .query::<WaitQuery>()
        .body::<CreateWorkspace>()
        .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
        .answers::<Workspace>(
            StatusCode::OK,
            "the state reached, where that was waited for",
        )
        .errors(&[404, 409, 422])
}

fn change_workspace() -> Operation {
    Operation::new(
        Patch,
        "/workspaces/{id}",
        "changeWorkspace",
        "Rename or transfer a workspace",
    )
    .about(
        "What runs in it goes on. Its addresses and login names are others at once; what \
                 its owner until now has open to it ends.",
    )
    .parameter::<WorkspaceId>("id", "the workspace's id")
    .body::<ChangeWorkspace>()
    .answers::<Workspace>(StatusCode::OK, "changed")
    .errors(&[404, 409])
}

fn delete_workspace() -> Operation {
    Operation::new(
        Delete,
        "/workspaces/{id}",
        "deleteWorkspace",
        "Delete a workspace",
    )
    .about(
        "Ends what runs in it and sets its name free. Its home is kept until \
                 `restorable_until`, unless with `purge`.",
    )
    .parameter::<WorkspaceId>("id", "the workspace's id")
    .query::<DeleteQuery>()
    .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
    .answers::<Workspace>(StatusCode::OK, "deleted, where that was waited for")
    .answers_plainly(
        StatusCode::NO_CONTENT,
        &[],
        "nothing is left, where that was waited for",
    )
    .errors(&[409])
}

fn limits() -> Operation {
    Operation::new(
        Get,
        "/limits",
        "showLimits",
        "Show what one may have, and has",
    )
    .about(
        "Of workspaces, of what those may use that run, and of disk. What would exceed \
                 it is refused with 409 and a code that ends with `-limit`.",
    )
    .query::<LimitsQuery>()
    .answers::<LimitsView>(StatusCode::OK, "what one may have, and has")
    .errors(&[404])
}
