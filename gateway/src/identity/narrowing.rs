//! What a token is narrowed to: one workspace, some actions, one folder.
//!
//! A [`Scope`](super::Scope) says how much of an account a token is. Narrowed, it is a
//! piece that can be handed to a program: whatever isn't in [`Action`] is refused to it,
//! and with a folder it can start nothing, as what runs is confined to nothing.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::names::WorkspaceId;

/// Longest folder, in bytes (`PATH_MAX`).
const MAX_FOLDER: usize = 4096;

/// What a token may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// See workspaces: their state, statistics, ports and logs.
    View,
    /// Start, stop and restart them, have them sleep, wake and live longer.
    Run,
    /// Create, change, rebuild and delete them, and say who opens their ports.
    Manage,
    /// Take, restore and delete snapshots.
    Snapshots,
    /// Read and find files, and watch them.
    FilesRead,
    /// Write, move and delete files.
    FilesWrite,
    /// Run programs, git among them.
    Processes,
    /// Open terminals.
    Terminals,
    /// Connect to ports and open applications.
    Ports,
    /// Use the editor.
    Editor,
    /// Speak SSH over a WebSocket; the session there takes a key all the same.
    Ssh,
}

/// What a token is narrowed to. What is left out isn't narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Narrowing {
    /// The one workspace that it reaches.
    #[serde(default)]
    #[schema(required = false)]
    pub workspace: Option<WorkspaceId>,
    /// What it may do.
    #[serde(default)]
    #[schema(required = false, min_items = 1, max_items = 11)]
    pub actions: Option<BTreeSet<Action>>,
    /// The folder whose files it reaches: absolute, or relative to the home. With it go
    /// the actions `view`, `files-read` and `files-write` alone.
    #[serde(default)]
    #[schema(required = false, min_length = 1, max_length = 4096)]
    pub folder: Option<String>,
}

/// Why a token can't be narrowed like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNarrowing {
    /// Nothing is allowed.
    #[error("narrowed_to.actions is empty, so that the token could do nothing: name some")]
    NoAction,
    /// The folder can't be one.
    #[error(
        "narrowed_to.folder is no folder: use an absolute path, or one from the home, without \
         '..' and of at most {MAX_FOLDER} bytes"
    )]
    Folder,
    /// A folder, and what no folder confines.
    #[error(
        "with narrowed_to.folder a token can have the actions view, files-read and files-write \
         alone, as a program that runs is confined to nothing: name those in narrowed_to.actions"
    )]
    Unconfined,
}

impl Action {
    /// Tells whether a folder confines it.
    const fn is_confined(self) -> bool {
        matches!(self, Self::View | Self::FilesRead | Self::FilesWrite)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Narrowing {
    /// Checks that it makes sense.
    pub fn check(&self) -> Result<(), InvalidNarrowing> {
        let actions = self.actions.as_ref();
        if actions.is_some_and(BTreeSet::is_empty) {
            return Err(InvalidNarrowing::NoAction);
        }
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let climbs = folder.split('/').any(|part| part == "..");
        if folder.is_empty() || folder.len() > MAX_FOLDER || folder.contains('\0') || climbs {
            return Err(InvalidNarrowing::Folder);
        }
        match actions {
            Some(actions) if actions.iter().all(|action| action.is_confined()) => Ok(()),
            _ => Err(InvalidNarrowing::Unconfined),
        }
    }

    /// Tells whether it leaves an action, on a workspace or on none in particular.
    pub fn permits(&self, action: Action, workspace: Option<&str>) -> bool {
        let wanted = self.workspace.as_ref();
        let named = self.actions.as_ref();
        wanted.is_none_or(|wanted| workspace == Some(wanted.as_str()))
            && named.is_none_or(|named| named.contains(&action))
            && (self.folder.is_none() || action.is_confined())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(text: &str) -> Narrowing {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_left_out_is_not_narrowed() {
        let (here, other) = ("a".repeat(16), "b".repeat(16));
        let one = narrowed(&format!(r#"{{"workspace":"{here}"}}"#));
        assert!(one.permits(Action::Processes, Some(&here)));
        assert!(!one.permits(Action::Processes, Some(&other)));
        assert!(!one.permits(Action::Manage, None));
        let reads = narrowed(r#"{"actions":["files-read"]}"#);
        assert!(reads.permits(Action::FilesRead, Some(&other)));
        assert!(!reads.permits(Action::FilesWrite, Some(&other)));
        assert!(!reads.permits(Action::View, None));
    }

    #[test]
    fn a_folder_goes_with_what_it_confines_alone() {
        let folder = r#"{"folder":"src","actions":["files-read","view"]}"#;
        let folder = narrowed(folder);
        assert_eq!(folder.check(), Ok(()));
        assert!(!folder.permits(Action::Processes, None));
        for (text, why) in [
            (r#"{"folder":"src"}"#, InvalidNarrowing::Unconfined),
            (
                r#"{"folder":"src","actions":["files-read","terminals"]}"#,
                InvalidNarrowing::Unconfined,
            ),
            (
                r#"{"folder":"a/../..","actions":["view"]}"#,
                InvalidNarrowing::Folder,
            ),
            (
                r#"{"folder":"","actions":["view"]}"#,
                InvalidNarrowing::Folder,
            ),
            (r#"{"actions":[]}"#, InvalidNarrowing::NoAction),
        ] {
            assert_eq!(narrowed(text).check(), Err(why), "{text}");
        }
    }
}
