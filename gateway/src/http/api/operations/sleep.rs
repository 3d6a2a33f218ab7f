//! What there is about workspaces' sleep.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Post, Put};

use crate::http::api::document::Operation;
use crate::http::api::wire::{KeepAwake, Lease, Paging, SetSchedule, WhyRunning};
use crate::names::{LeaseId, WorkspaceId};

/// Returns the operations about sleep.
pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::new(
            Get,
            "/workspaces/{id}/why-running",
            "showWhyRunning",
            "Show why it runs",
        )
        .about("And when it goes to sleep, unless something happens.")
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers::<WhyRunning>(StatusCode::OK, "why it runs"),
        Operation::new(
            Get,
            "/workspaces/{id}/keep-awake",
            "listLeases",
            "List what keeps it awake for a time",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<Paging>()
        .answers_page::<Lease>("the leases, oldest first"),
        Operation::new(
            Post,
            "/workspaces/{id}/keep-awake",
            "keepAwake",
            "Keep it awake for a time",
        )
        .about("Jobs in the workspace run `devgate keep-awake 2h -- COMMAND`.")
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .body::<KeepAwake>()
        .answers::<Lease>(StatusCode::CREATED, "the lease")
        .errors(&[409]),
        Operation::new(
            Delete,
            "/workspaces/{id}/keep-awake/{lease}",
            "endLease",
            "End a lease",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .parameter::<LeaseId>("lease", "the lease's id")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "ended"),
        Operation::new(
            Put,
            "/workspaces/{id}/schedule",
            "setSchedule",
            "Have it wake and sleep by the clock",
        )
        .about(
            "At `start` a workspace that is asleep wakes; one that somebody stopped stays so. \
             From `stop` on it goes to sleep as soon as nothing has gone on for ten minutes, or \
             for as long as its policy says, if that is less.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .body::<SetSchedule>()
        .answers::<WhyRunning>(StatusCode::OK, "why it runs, with the schedule"),
        Operation::new(
            Delete,
            "/workspaces/{id}/schedule",
            "removeSchedule",
            "Have it follow the installation's schedule",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "removed"),
    ]
}
