//! Records as the administration API shows them.

use super::wire::{KeyView, WorkspaceTemplate, WorkspaceView};
use crate::http::view;
use crate::identity::Key;
use crate::names::UserName;
use crate::templates::Versions;
use crate::workspaces::Record;

/// Returns a workspace as it is shown.
pub(super) fn workspace(record: &Record, versions: &Versions) -> WorkspaceView {
    let template = view::template(record, versions);
    WorkspaceView {
        id: record.workspace.id.clone(),
        name: record.workspace.name.clone(),
        owner: record.workspace.owner_name.clone(),
        state: view::state(&record.state),
        failure: view::failure(&record.state),
        doing: None,
        template: template.map(|(used, behind)| WorkspaceTemplate {
            name: used.name.clone(),
            version: used.version.clone(),
            behind,
        }),
        out_of_memory: None,
        startup_failure: None,
        agent_unreachable: false,
        notices: record.workspace.blueprint.notices().to_vec(),
        created: record.workspace.created,
        deleted: record.deleted.map(|deletion| deletion.at),
        expires: view::expires(record),
        restorable_until: record.deleted.map(|deletion| deletion.until),
    }
}

/// Returns a key as it is shown.
pub(super) fn key(key: &Key, user: &UserName) -> KeyView {
    KeyView {
        fingerprint: key.fingerprint.clone(),
        algorithm: view::algorithm(key).to_owned(),
        comment: key.comment.clone(),
        user: user.clone(),
    }
}
