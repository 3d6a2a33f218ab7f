//! What there is about times to live.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::Post;

use crate::http::api::document::Operation;
use crate::http::api::wire::{ExtendWorkspace, Workspace};
use crate::names::WorkspaceId;

/// Returns the operations about times to live.
pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::new(
            Post,
            "/workspaces/{id}/extend",
            "extendWorkspace",
            "Have a workspace live longer",
        )
        .about(
            "Where its template says a time to live. It never ends earlier by this than it \
                 would have.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .body::<ExtendWorkspace>()
        .answers::<Workspace>(StatusCode::OK, "the workspace, with `expires_at`")
        .errors(&[409]),
    ]
}
