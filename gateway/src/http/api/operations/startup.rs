//! Secrets, and what workspaces do when they start.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Put};

use crate::http::api::document::{Operation, TEXT};
use crate::http::api::wire::{LogQuery, SecretEntry, SecretQuery, SetSecret, Startup};
use crate::names::WorkspaceId;
use crate::secrets::SecretName;

/// Returns what there is of workspaces' start-up.
pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::new(
            Get,
            "/workspaces/{id}/startup",
            "showStartup",
            "Show how far the start-up is",
        )
        .about(
            "With `Accept: text/event-stream` it comes at once and with each change: events \
             named `startup`; over a WebSocket each is a `LiveEvent`.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers::<Startup>(StatusCode::OK, "how far it is")
        .goes_on("how far it is"),
        Operation::new(
            Get,
            "/workspaces/{id}/startup/log",
            "readStartupLog",
            "Read what the start-up wrote",
        )
        .about(
            "With `Accept: text/event-stream` what is written later follows: events named \
             `log`, each with one line; over a WebSocket each is a `LiveEvent`.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<LogQuery>()
        .answers_plainly(StatusCode::OK, &[TEXT], "the lines")
        .goes_on("the lines")
        .errors(&[409]),
    ]
}

/// Returns what there is of secrets.
pub(super) fn secrets() -> Vec<Operation> {
    vec![
        Operation::new(Get, "/secrets", "listSecrets", "List the secrets")
            .about("Their names alone: what they are never comes out.")
            .query::<SecretQuery>()
            .answers_page::<SecretEntry>("the secrets, by name")
            .errors(&[403]),
        Operation::new(Get, "/secrets/{name}", "showSecret", "Show a secret")
            .about("Without what it is: that never comes out.")
            .parameter::<SecretName>("name", "the secret's name")
            .query::<SecretQuery>()
            .answers::<SecretEntry>(StatusCode::OK, "the secret")
            .errors(&[403]),
        Operation::new(Put, "/secrets/{name}", "setSecret", "Set a secret")
            .about(
                "A workspace gets it when its agent next connects: at its next start at the \
                 latest.",
            )
            .parameter::<SecretName>("name", "the secret's name")
            .query::<SecretQuery>()
            .body::<SetSecret>()
            .answers_plainly(StatusCode::NO_CONTENT, &[], "set")
            .errors(&[409]),
        Operation::new(Delete, "/secrets/{name}", "removeSecret", "Remove a secret")
            .about("Programs that run keep what they have of it.")
            .parameter::<SecretName>("name", "the secret's name")
            .query::<SecretQuery>()
            .answers_plainly(StatusCode::NO_CONTENT, &[], "removed"),
    ]
}
