//! What a narrowed token may ask for and see: one table of the operations' actions, and the
//! questions to it. What isn't in the table is refused.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::MatchedPath;
use http::Method;
use http::request::Parts;
use utoipa::openapi::path::HttpMethod;

use super::document::BASE;
use super::wire::Workspace;
use super::{ApiRefused, operations};
use crate::identity::{Action, Caller, Narrowing};
use crate::names::WorkspaceId;
use crate::workspaces;

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
    /// To see a workspace that it reaches, as far as that takes. Programs begin with it.
    Sight,
    /// This action.
    Action(Action),
    /// It isn't for narrowed tokens.
    Whole,
}

/// What a request asks for beyond what its token is narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Beyond {
    /// This action.
    #[error("this takes the action {0}, and this token is narrowed to others")]
    Action(Action),
    /// Another workspace, or none in particular.
    #[error("this token is narrowed to one workspace, and this is outside of it")]
    Workspace,
    /// What belongs to the account.
    #[error("this takes a token that isn't narrowed")]
    Whole,
}

/// How much of a workspace a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// All that there is to tell.
    All,
    /// What it takes to use it, and no more.
    Use,
    /// As if it weren't there.
    Nothing,
}

impl Sight {
    /// Tells how much of a workspace somebody sees who owns it, or administers all.
    pub(super) fn of(caller: &Caller, workspace: &workspaces::Workspace) -> Self {
        let Some(narrowed) = &caller.narrowed_to else {
            return Self::All;
        };
        let own = workspace.owner == caller.user.id;
        let wanted = narrowed.workspace.as_ref();
        if wanted.is_some_and(|wanted| *wanted != workspace.id) {
            Self::Nothing
        } else if narrowed.permits(Action::View, Some(workspace.id.as_str())) {
            Self::All
        } else if own {
            Self::Use
        } else {
            // Nobody enters what is somebody else's, so that there is nothing to use.
            Self::Nothing
        }
    }

    /// Leaves out what isn't seen of a workspace.
    pub(super) fn cut(self, shown: Workspace) -> Workspace {
        match self {
            Self::All => shown,
            Self::Use | Self::Nothing => Workspace {
                reason: None,
                doing: None,
                template: None,
                out_of_memory: None,
                startup: None,
                notices: Vec::new(),
                agent: None,
                ..shown
            },
        }
    }
}

/// Returns what an operation takes.
fn need(id: &str) -> Need {
    let action = match id {
        "showMe" | "deleteToken" | "showConnection" => return Need::Nothing,
        "listWorkspaces" | "showWorkspace" => return Need::Sight,
        "showWhyRunning" | "listLeases" | "readLogs" | "showStartup" | "readStartupLog"
        | "showStatistics" | "listPorts" | "showEditor" | "readEditorLog" | "showHistory"
        | "listTerminals" | "showHealth" => Action::View,
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

/// Checks that a narrowed token may ask for this. `GET /workspaces` shows it only what it
/// is narrowed to.
///
/// # Errors
/// Says what is missing.
pub fn permits(narrowed: &Narrowing, head: &Parts) -> Result<(), ApiRefused> {
    let matched = head.extensions.get::<MatchedPath>();
    let path = matched.and_then(|matched| matched.as_str().strip_prefix(BASE));
    let path = path.map(blank).unwrap_or_default();
    // What has no body is asked for as what has one.
    let method = match head.method {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    let lists = path == "/workspaces";
    let named = path
        .starts_with(OF_WORKSPACE)
        .then(|| workspace(head.uri.path()))
        .flatten();
    let wanted = narrowed.workspace.as_ref().map(WorkspaceId::as_str);
    let elsewhere = wanted.is_some() && named != wanted;
    let beyond = match NEEDS.get(&(method, path)) {
        Some(Need::Nothing) => return Ok(()),
        Some(Need::Sight) if lists || !elsewhere => return Ok(()),
        Some(Need::Action(action)) if narrowed.permits(*action, named) => return Ok(()),
        Some(Need::Sight | Need::Action(_)) if elsewhere => Beyond::Workspace,
        Some(Need::Action(action)) => Beyond::Action(*action),
        Some(Need::Sight | Need::Whole) | None => Beyond::Whole,
    };
    Err(ApiRefused::Narrowed(beyond))
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
    fn what_is_refused_says_what_is_missing() {
        for (beyond, said) in [
            (
                Beyond::Action(Action::FilesWrite),
                "this takes the action files-write, and",
            ),
            (Beyond::Workspace, "this token is narrowed to one workspace"),
            (Beyond::Whole, "this takes a token that isn't narrowed"),
        ] {
            let text = ApiRefused::Narrowed(beyond).to_string();
            assert!(text.starts_with(said), "{text}");
            assert!(!text.contains("  "), "{text}");
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
