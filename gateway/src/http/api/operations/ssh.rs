//! SSH for networks that let nothing out but HTTPS.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::Get;

use crate::http::api::document::Operation;
use crate::http::api::wire::ForwardQuery;
use crate::names::WorkspaceId;

/// Returns the operations.
pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::new(
            Get,
            "/workspaces/{id}/ssh",
            "openSsh",
            "Speak SSH over a WebSocket",
        )
        .about(
            "Binary messages are the bytes of a connection to the SSH server, an empty one ends \
             its direction. The client proves a key as always. `devgate proxy` is a client.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers_plainly(StatusCode::SWITCHING_PROTOCOLS, &[], "a WebSocket")
        .errors(&[403, 426]),
        Operation::new(
            Get,
            "/workspaces/{id}/forward",
            "forwardPort",
            "Connect to a port inside over a WebSocket",
        )
        .about(
            "Binary messages are the bytes of a TCP connection that is dialled inside the \
             workspace, an empty one ends its direction. One that can't be dialled is refused \
             before the upgrade: `connect-failed`. `devgate port-forward` is a client.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<ForwardQuery>()
        .answers_plainly(StatusCode::SWITCHING_PROTOCOLS, &[], "a WebSocket")
        .errors(&[400, 403, 426])
        .of_agent(),
    ]
}
