//! Programs in a workspace, which its agent starts and keeps.

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{self, Delete, Get, Post};

use crate::http::api::document::{BYTES, Operation};
use crate::http::api::wire::{
    AttachProcessQuery, Process, ProcessControl, ProcessInputQuery, ProcessNotice,
    ProcessOutputQuery, ProcessQuery, ProcessRequest, ProcessResult, ProcessesQuery, SendSignal,
    StartProcessQuery, TerminalSize,
};
use crate::names::WorkspaceId;

/// How a process is named in a path.
const PROCESS: &str = "^[A-Za-z0-9_-]{1,64}$";

/// How both `WebSockets` are spoken.
const MESSAGES: &str = "Binary messages are a byte that names a channel, and data: 0 is stdin, 1 \
                        stdout, 2 stderr; stdin without data ends it. Text messages are JSON: \
                        `ProcessControl` to the process, `ProcessNotice` from it. `ended` is the \
                        last one, and the socket is closed with 1000. Data for a program that \
                        doesn't read it waits, and beyond `stdin_window` what is sent after it \
                        as well: a client that counts `stdin_taken` gets its signals through.";

/// Returns the operations.
pub(super) fn all() -> Vec<Operation> {
    let mut all = lives();
    all.extend(bytes());
    all.extend(sockets());
    all
}

/// Begins to describe one.
fn of_all(method: HttpMethod, path: &'static str, id: &'static str, summary: &str) -> Operation {
    Operation::new(method, path, id, summary)
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .of_agent()
        .errors(&[403])
}

/// Begins to describe one about one process.
fn of_one(method: HttpMethod, path: &'static str, id: &'static str, summary: &str) -> Operation {
    of_all(method, path, id, summary).text_parameter("process", "the process's id", PROCESS)
}

fn lives() -> Vec<Operation> {
    vec![
        of_all(
            Get,
            "/workspaces/{id}/processes",
            "listProcesses",
            "List the processes",
        )
        .about("Those that were started over the API. Ended ones are kept for an hour, the last 1,000 of them.")
        .query::<ProcessesQuery>()
        .answers_page::<Process>("the processes, oldest first"),
        of_all(
            Post,
            "/workspaces/{id}/processes",
            "startProcess",
            "Start a process",
        )
        .about(
            "With the environment that a command over SSH has. It goes on when the client goes \
             away. The end of what it writes is kept, and it never waits for a reader; `run` \
             is for whoever must have all of it.",
        )
        .query::<StartProcessQuery>()
        .body::<ProcessRequest>()
        .answers::<Process>(StatusCode::CREATED, "started")
        .answers::<ProcessResult>(StatusCode::OK, "ended, where that was waited for")
        .answers::<Process>(
            StatusCode::ACCEPTED,
            "it still runs after `wait_seconds`",
        ),
        of_one(
            Get,
            "/workspaces/{id}/processes/{process}",
            "showProcess",
            "Show a process",
        )
        .query::<ProcessQuery>()
        .answers::<Process>(StatusCode::OK, "the process"),
        of_one(
            Delete,
            "/workspaces/{id}/processes/{process}",
            "endProcess",
            "End and forget a process",
        )
        .about("SIGTERM to its group, and SIGKILL 5 s later to all that it has left.")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "it ends, and is forgotten"),
        of_one(
            Post,
            "/workspaces/{id}/processes/{process}/signal",
            "signalProcess",
            "Send a signal to a process",
        )
        .body::<SendSignal>()
        .answers_plainly(StatusCode::NO_CONTENT, &[], "sent"),
        of_one(
            Post,
            "/workspaces/{id}/processes/{process}/resize",
            "resizeProcess",
            "Set the size of a process's terminal",
        )
        .body::<TerminalSize>()
        .answers_plainly(StatusCode::NO_CONTENT, &[], "set"),
    ]
}

fn bytes() -> Vec<Operation> {
    vec![
        of_one(
            Get,
            "/workspaces/{id}/processes/{process}/output",
            "readProcessOutput",
            "Read what a process wrote",
        )
        .about(
            "The bytes as they are. One that follows and falls behind what is kept is cut off: \
             it asks again from where it was, and `Output-Offset` says what it missed.",
        )
        .query::<ProcessOutputQuery>()
        .answers_bytes(StatusCode::OK, &[BYTES], "what is kept of it")
        .answers_header(
            StatusCode::OK,
            "Output-Offset",
            "number of the first byte: what was before it isn't kept",
        ),
        of_one(
            Post,
            "/workspaces/{id}/processes/{process}/input",
            "writeProcessInput",
            "Write to a process's stdin",
        )
        .about("It is answered once the process has taken all but the last 256 KiB.")
        .query::<ProcessInputQuery>()
        .bytes(&[BYTES], "what it reads next")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "handed on"),
    ]
}

fn sockets() -> Vec<Operation> {
    let socket = |operation: Operation, about: &str| {
        operation
            .about(&format!("{about} {MESSAGES}"))
            .speaks::<ProcessControl>()
            .speaks::<ProcessNotice>()
            .answers_plainly(StatusCode::SWITCHING_PROTOCOLS, &[], "a WebSocket")
            .errors(&[426])
    };
    vec![
        socket(
            of_all(
                Get,
                "/workspaces/{id}/processes/run",
                "runProcess",
                "Run a process over a WebSocket",
            )
            .speaks::<ProcessRequest>(),
            "A WebSocket. The first message is the client's, a `ProcessRequest`; it is answered \
             with `started` or `error`. Nothing that the process writes is lost: a client that \
             doesn't read stops it. When the socket goes, the process is hung up (SIGHUP, and \
             SIGKILL 5 s later), unless it was detached. It takes what a POST takes.",
        ),
        socket(
            of_one(
                Get,
                "/workspaces/{id}/processes/{process}/attach",
                "attachProcess",
                "Follow a process over a WebSocket",
            )
            .query::<AttachProcessQuery>(),
            "A WebSocket to a process that runs, or has ended; it begins with `attached`. The \
             process never waits for it.",
        ),
    ]
}
