//! What happens to a workspace's files, and its repositories.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{self, Delete, Get, Post};

use crate::http::api::document::{EVENTS, Operation};
use crate::http::api::wire::{
    CloneRepository, CreateWatch, GitStatus, GitStatusQuery, Process, ProcessResult,
    StartProcessQuery, Watch, WatchEvent, WatchEventsQuery, WatchPathQuery, Watches,
};
use crate::names::WorkspaceId;

/// How a watch is named in a path.
const WATCH: &str = "^[A-Za-z0-9_-]{1,64}$";

/// Begins to describe one.
fn inside(method: HttpMethod, path: &'static str, id: &'static str, summary: &str) -> Operation {
    Operation::new(method, path, id, summary)
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .of_agent()
        .errors(&[403])
}

/// Returns the operations about watches.
pub(super) fn all() -> Vec<Operation> {
    let one = |method, id, summary| {
        inside(method, "/workspaces/{id}/watches/{watch}", id, summary).text_parameter(
            "watch",
            "the watch's id",
            WATCH,
        )
    };
    vec![
        inside(
            Get,
            "/workspaces/{id}/watches",
            "listWatches",
            "List the watches",
        )
        .answers::<Watches>(StatusCode::OK, "the watches"),
        inside(
            Post,
            "/workspaces/{id}/watches",
            "createWatch",
            "Watch a folder or a file",
        )
        .about(
            "What happens from the answer on is told, in order, to whoever follows it; the last \
             65,536 events are kept for those who come again. Symbolic links aren't followed.",
        )
        .body::<CreateWatch>()
        .answers::<Watch>(StatusCode::CREATED, "watched"),
        one(Get, "showWatch", "Show a watch").answers::<Watch>(StatusCode::OK, "the watch"),
        one(Delete, "deleteWatch", "End a watch").answers_plainly(
            StatusCode::NO_CONTENT,
            &[],
            "ended",
        ),
        inside(
            Get,
            "/workspaces/{id}/watches/{watch}/events",
            "followWatch",
            "Follow a watch",
        )
        .text_parameter("watch", "the watch's id", WATCH)
        .about(
            "Server-Sent Events named `change`, whose data is a `WatchEvent` and whose id its \
             sequence; or a WebSocket with a `WatchEvent` a text message. Where some that are \
             asked for aren't kept any more, the first is an `overflow`.",
        )
        .query::<WatchEventsQuery>()
        .header(
            "Last-Event-ID",
            "sequence of the last event that was seen",
            "^[0-9]{1,16}$",
        )
        .speaks::<WatchEvent>()
        .answers_plainly(StatusCode::OK, &[EVENTS], "what happens")
        .answers_plainly(StatusCode::SWITCHING_PROTOCOLS, &[], "a WebSocket"),
        inside(
            Get,
            "/workspaces/{id}/watch",
            "watchPath",
            "Watch a folder or a file for as long as the connection lasts",
        )
        .about("A watch of its own, followed as others are.")
        .query::<WatchPathQuery>()
        .speaks::<WatchEvent>()
        .answers_plainly(StatusCode::OK, &[EVENTS], "what happens")
        .answers_plainly(StatusCode::SWITCHING_PROTOCOLS, &[], "a WebSocket")
        .errors(&[422]),
    ]
}

/// Returns the operations about repositories.
pub(super) fn git() -> Vec<Operation> {
    vec![
        inside(
            Get,
            "/workspaces/{id}/git/status",
            "showGitStatus",
            "Show how a repository is",
        )
        .about("`no-repository` where the folder is in none, `no-git` where git isn't installed.")
        .query::<GitStatusQuery>()
        .answers::<GitStatus>(StatusCode::OK, "how it is")
        .errors(&[422]),
        inside(
            Post,
            "/workspaces/{id}/git/clone",
            "cloneRepository",
            "Clone a repository",
        )
        .about("As a process, which tells how far it is on stderr.")
        .query::<StartProcessQuery>()
        .body::<CloneRepository>()
        .answers::<Process>(StatusCode::CREATED, "started")
        .answers::<ProcessResult>(StatusCode::OK, "ended, where that was waited for")
        .answers::<Process>(StatusCode::ACCEPTED, "it still runs after `wait_seconds`"),
    ]
}
