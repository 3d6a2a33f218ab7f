//! Records as both APIs show them.

use super::site::Site;
use super::wire::{Failure, RoleName, SignInLink, StateName};
use crate::identity::{Accounts, Key, Role, User};
use crate::store::StoreError;
use crate::templates::Versions;
use crate::workspaces::{FailureReason, Record, State, TemplateUse};

/// Returns why a workspace failed, where it did.
pub(super) fn failure(state: &State) -> Option<Failure> {
    match state {
        State::Failed(reason) => Some(Failure {
            code: code(reason).to_owned(),
            detail: reason.to_string(),
        }),
        State::Created | State::Starting | State::Running | State::Stopping | State::Stopped => {
            None
        }
    }
}

/// Returns how many workspaces run.
pub(super) fn running(records: &[Record]) -> usize {
    let states = records.iter().map(|record| state(&record.state));
    states.filter(|state| *state == StateName::Running).count()
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

/// Returns the template that a workspace was made from, and whether that says something
/// else now.
pub(super) fn template<'a>(
    record: &'a Record,
    versions: &Versions,
) -> Option<(&'a TemplateUse, Option<bool>)> {
    let used = record.workspace.blueprint.template.as_ref()?;
    let now = versions.get(&used.name);
    Some((used, now.map(|now| *now != used.version)))
}

/// Returns the stable word for a failure.
const fn code(reason: &FailureReason) -> &'static str {
    match reason {
        FailureReason::AgentMissing { .. } => "agent-missing",
        FailureReason::SpawnFailed { .. } => "spawn-failed",
        FailureReason::CrashLoop { .. } => "crash-loop",
        FailureReason::AgentTimeout { .. } => "agent-timeout",
        FailureReason::HomeUnwritable { .. } => "home-unwritable",
        FailureReason::HomeMissing { .. } => "home-missing",
        FailureReason::StopFailed { .. } => "stop-failed",
        FailureReason::RemoveFailed { .. } => "remove-failed",
        FailureReason::EngineUnreachable { .. } => "engine-unreachable",
        FailureReason::ImageMissing { .. } => "image-missing",
        FailureReason::BuildFailed { .. } => "build-failed",
        FailureReason::RepositoryUnreachable { .. } => "repository-unreachable",
        FailureReason::DevcontainerInvalid { .. } => "devcontainer-invalid",
        FailureReason::UserMissing { .. } => "user-missing",
        FailureReason::DiskFull { .. } => "disk-full",
        FailureReason::DriverFailed { .. } => "driver-failed",
        FailureReason::Unknown => "unknown",
    }
}

/// Returns a key's algorithm, as SSH names it.
pub(super) fn algorithm(key: &Key) -> &str {
    key.public_key.split(' ').next().unwrap_or_default()
}

/// Makes a link that signs a user in once.
pub(super) async fn link(
    accounts: &Accounts,
    site: &Site,
    user: &User,
) -> Result<SignInLink, StoreError> {
    let (secret, expires_at) = accounts.link(user).await?;
    Ok(SignInLink {
        url: site.sign_in_link(&secret),
        expires_at,
    })
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
