//! What a workspace's agent answers.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Post};

use crate::http::api::document::{EVENTS, Operation, TEXT};
use crate::http::api::wire::{
    AttachQuery, Editor, EditorLogQuery, Health, OpenTerminal, Statistics, StatisticsQuery,
    Terminal, Terminals,
};
use crate::names::WorkspaceId;

/// Returns what a workspace's agent answers and the gateway passes on.
#[expect(clippy::too_many_lines, reason = "a table, an entry an operation")]
pub(super) fn all() -> Vec<Operation> {
    let editor = |path, id, summary| {
        Operation::new(Post, path, id, summary)
            .parameter::<WorkspaceId>("id", "the workspace's id")
            .answers::<Editor>(StatusCode::ACCEPTED, "under way")
            .of_agent()
    };
    vec![
        Operation::new(
            Get,
            "/workspaces/{id}/terminals",
            "listTerminals",
            "List the terminals",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers::<Terminals>(StatusCode::OK, "the terminals")
        .of_agent(),
        Operation::new(
            Post,
            "/workspaces/{id}/terminals",
            "openTerminal",
            "Open a terminal",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .body::<OpenTerminal>()
        .answers::<Terminal>(StatusCode::CREATED, "opened")
        .of_agent(),
        Operation::new(
            Delete,
            "/workspaces/{id}/terminals/{terminal}",
            "closeTerminal",
            "End a terminal",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .text_parameter("terminal", "the terminal's id", "^[A-Za-z0-9_-]{1,64}$")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "ended")
        .of_agent(),
        Operation::new(
            Get,
            "/workspaces/{id}/terminals/{terminal}/attach",
            "attachTerminal",
            "Look at a terminal",
        )
        .about(
            "A WebSocket. To the client: binary messages are output, the first repaints the \
             screen; text messages are JSON: `exit`, `size`, `title`. From the client: binary \
             messages are keystrokes; text messages are JSON: `resize`, `ack`. It needs an \
             `Origin` of the dashboard's own.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .text_parameter("terminal", "the terminal's id", "^[A-Za-z0-9_-]{1,64}$")
        .query::<AttachQuery>()
        .answers_plainly(StatusCode::SWITCHING_PROTOCOLS, &[], "a WebSocket")
        .errors(&[403, 426])
        .of_agent(),
        health(),
        Operation::new(
            Get,
            "/workspaces/{id}/statistics",
            "showStatistics",
            "Show what it used",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<StatisticsQuery>()
        .answers::<Statistics>(StatusCode::OK, "what it used")
        .of_agent(),
        Operation::new(
            Get,
            "/workspaces/{id}/editor",
            "showEditor",
            "Show the editor",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers::<Editor>(StatusCode::OK, "the editor")
        .of_agent(),
        editor(
            "/workspaces/{id}/editor/start",
            "startEditor",
            "Start the editor",
        ),
        editor(
            "/workspaces/{id}/editor/stop",
            "stopEditor",
            "Stop the editor",
        ),
        editor(
            "/workspaces/{id}/editor/restart",
            "restartEditor",
            "Restart the editor",
        ),
        Operation::new(
            Get,
            "/workspaces/{id}/editor/log",
            "readEditorLog",
            "Read the editor's log",
        )
        .about("With `Accept: text/event-stream` what is written later follows.")
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<EditorLogQuery>()
        .answers_plainly(StatusCode::OK, &[TEXT, EVENTS], "the lines")
        .of_agent(),
    ]
}

fn health() -> Operation {
    Operation::new(
        Get,
        "/workspaces/{id}/health",
        "showHealth",
        "Show how its agent is",
    )
    .parameter::<WorkspaceId>("id", "the workspace's id")
    .answers::<Health>(StatusCode::OK, "what the agent says")
    .of_agent()
}
