//! What a narrowed token may ask for: one table of the operations' actions, and one
//! question to it. What isn't in the table is refused.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::MatchedPath;
use http::Method;
use http::request::Parts;
use utoipa::openapi::path::HttpMethod;

use super::document::BASE;
use super::operations;
use crate::identity::{Action, Narrowing};
use crate::names::WorkspaceId;

/// Where the paths of a workspace's operations begin.
const OF_WORKSPACE: &str = "/workspaces/{}";

/// Needs of the operations, by method and path, in which what varies is `{}`.
static NEEDS: LazyLock<HashMap<(Method, String), Need>> = LazyLock::new(|| {
    let needs = operations::all().into_iter().map(|operation| {
        let method = match operation.method {
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Patch => Method::PATCH,
            HttpMethod::Delete => Method::DELETE,
            // And HEAD, which is GET without a body.
            _ => Method::GET,
        };
        ((method, blank(operation.path)), need(operation.id))
    });
    needs.collect()
});

/// What an operation takes of a narrowed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing: it concerns the token itself.
    Nothing,
    /// This action.
    Action(Action),
    /// It isn't for narrowed tokens.
    Whole,
}

/// Returns what an operation takes.
fn need(id: &str) -> Need {
    let action = match id {
        "showMe" | "deleteToken" | "showConnection" => return Need::Nothing,
        "listWorkspaces" | "showWorkspace" | "showWhyRunning" | "listLeases" | "readLogs"
        | "showStartup" | "readStartupLog" | "showStatistics" | "listPorts" | "showEditor"
        | "readEditorLog" | "showHistory" | "listTerminals" | "showHealth" => Action::View,
        "startWorkspace" | "stopWorkspace" | "restartWorkspace" | "sleepWorkspace"
        | "keepAwake" | "endLease" | "extendWorkspace" => Action::Run,
        "createWorkspace" | "changeWorkspace" | "deleteWorkspace" | "restoreWorkspace"
        | "rebuildWorkspace" | "setPort" | "closePort" | "setSchedule" | "removeSchedule"
        | "listTemplates" | "showTemplate" => Action::Manage,
        "listSnapshots" | "showSnapshot" | "takeSnapshot" | "restoreSnapshot"
        | "deleteSnapshot" => Action::Snapshots,
        "statFile" | "listFiles" | "readFile" | "headFile" | "downloadTree" | "findFiles"
        | "grepFiles" | "listWatches" | "createWatch" | "showWatch" | "deleteWatch"
        | "followWatch" | "watchPath" => Action::FilesRead,
        "writeFile" | "appendFile" | "makeFolder" | "moveFile" | "copyFile" | "setFileMode"
        | "makeLink" | "deleteFile" | "uploadTree" | "createUpload" | "showUpload"
        | "sendUpload" | "completeUpload" | "cancelUpload" => Action::FilesWrite,
        "openTerminal" | "closeTerminal" | "attachTerminal" => Action::Terminals,
        "listProcesses" | "startProcess" | "showProcess" | "endProcess" | "signalProcess"
        | "resizeProcess" | "readProcessOutput" | "writeProcessInput" | "runProcess"
        | "attachProcess" | "showGitStatus" | "cloneRepository" => Action::Processes,
        "startEditor" | "stopEditor" | "restartEditor" => Action::Editor,
        "forwardPort" => Action::Ports,
        "openSsh" => Action::Ssh,
        _ => return Need::Whole,
    };
    Need::Action(action)
}

/// Tells whether a narrowed token may ask for this. `GET /workspaces` shows it only what
/// it is narrowed to.
pub fn permits(narrowed: &Narrowing, head: &Parts) -> bool {
    let matched = head.extensions.get::<MatchedPath>();
    let Some(path) = matched.and_then(|matched| matched.as_str().strip_prefix(BASE)) else {
        return false;
    };
    let path = blank(path);
    // What has no body is asked for as what has one.
    let method = match head.method {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    let workspace = path
        .starts_with(OF_WORKSPACE)
        .then(|| workspace(head.uri.path()));
    match NEEDS.get(&(method, path.clone())) {
        Some(Need::Nothing) => true,
        Some(Need::Action(action)) if path == "/workspaces" && *action == Action::View => {
            let own = narrowed.workspace.as_ref().map(WorkspaceId::as_str);
            narrowed.permits(*action, own)
        }
        Some(Need::Action(action)) => narrowed.permits(*action, workspace.flatten()),
        Some(Need::Whole) | None => false,
    }
}

/// Returns the id in the path of a workspace's operation.
fn workspace(path: &str) -> Option<&str> {
    let path = path.strip_prefix(BASE).unwrap_or(path);
    path.strip_prefix("/workspaces/")?.split('/').next()
}

/// Takes the names off what varies in a path.
fn blank(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.strip_prefix('{') {
        Some(_) => "{}",
        None => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_an_operations_that_there_is() {
        let source = include_str!("narrowed.rs");
        let (_, table) = source.split_once("let action = match id {").unwrap();
        let (table, _) = table.split_once("_ => return Need::Whole").unwrap();
        let all = operations::all();
        for id in table.split('"').skip(1).step_by(2) {
            assert!(all.iter().any(|operation| operation.id == id), "{id}");
        }
    }

    #[test]
    fn accounts_and_administration_take_a_whole_token() {
        for id in [
            "createToken",
            "addKey",
            "setSecret",
            "listUsers",
            "approveDevice",
            "listEvents",
        ] {
            assert_eq!(need(id), Need::Whole, "{id}");
        }
    }
}
