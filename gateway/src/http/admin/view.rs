//! Records as the API shows them.

use super::wire::{Failure, KeyView, RoleName, StateName, WorkspaceView};
use crate::identity::{Key, Role};
use crate::names::UserName;
use crate::workspaces::{FailureReason, Record, State};

/// Returns a workspace as it is shown.
pub(super) fn workspace(record: &Record) -> WorkspaceView {
    let failure = match &record.state {
        State::Failed(reason) => Some(Failure {
            code: code(reason).to_owned(),
            detail: reason.to_string(),
        }),
        State::Created | State::Starting | State::Running | State::Stopping | State::Stopped => {
            None
        }
    };
    WorkspaceView {
        id: record.workspace.id.clone(),
        name: record.workspace.name.clone(),
        owner: record.workspace.owner_name.clone(),
        state: state(&record.state),
        failure,
        created: record.workspace.created,
    }
}

/// Returns a state's name.
pub(super) const fn state(state: &State) -> StateName {
    match state {
        State::Created => StateName::Created,
        State::Starting => StateName::Starting,
        State::Running => StateName::Running,
        State::Stopping => StateName::Stopping,
        State::Stopped => StateName::Stopped,
        State::Failed(_) => StateName::Failed,
    }
}

/// Returns the stable word for a failure.
const fn code(reason: &FailureReason) -> &'static str {
    match reason {
        FailureReason::AgentMissing { .. } => "agent-missing",
        FailureReason::SpawnFailed { .. } => "spawn-failed",
        FailureReason::CrashLoop { .. } => "crash-loop",
        FailureReason::AgentTimeout { .. } => "agent-timeout",
        FailureReason::HomeUnwritable { .. } => "home-unwritable",
        FailureReason::StopFailed { .. } => "stop-failed",
        FailureReason::RemoveFailed { .. } => "remove-failed",
        FailureReason::DriverFailed { .. } => "driver-failed",
        FailureReason::Unknown => "unknown",
    }
}

/// Returns a key as it is shown.
pub(super) fn key(key: &Key, user: &UserName) -> KeyView {
    let algorithm = key.public_key.split(' ').next().unwrap_or_default();
    KeyView {
        fingerprint: key.fingerprint.clone(),
        algorithm: algorithm.to_owned(),
        comment: key.comment.clone(),
        user: user.clone(),
    }
}

/// Returns a role's name.
pub(super) const fn role(role: Role) -> RoleName {
    match role {
        Role::Admin => RoleName::Admin,
        Role::Member => RoleName::Member,
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Admin => Self::Admin,
            RoleName::Member => Self::Member,
        }
    }
}
