//! Records as both APIs show them.

use time::OffsetDateTime;

use super::site::Site;
use super::wire::{
    Allotment, CountLimit, CpusLimit, DiskLimit, Failure, KilledProgram, LimitsView, RoleName,
    SignInLink, StateName,
};
use crate::identity::{Accounts, Key, Role, User};
use crate::names::WorkspaceId;
use crate::store::StoreError;
use crate::templates::Versions;
use crate::workspaces::{Allowance, FailureReason, Record, State, TemplateUse, Usage, Workspaces};

/// Returns why a workspace failed, where it did.
pub(super) fn failure(state: &State) -> Option<Failure> {
    match state {
        State::Failed(reason) => Some(Failure {
            code: code(reason).to_owned(),
            detail: reason.to_string(),
        }),
        State::Created
        | State::Starting
        | State::Running
        | State::Stopping
        | State::Stopped
        | State::Asleep
        | State::Deleted => None,
    }
}

/// Returns when a workspace's time to live is over, while it lives.
pub(super) fn expires(record: &Record) -> Option<OffsetDateTime> {
    let expires = record.workspace.expires;
    expires.filter(|_| record.deleted.is_none())
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
        State::Failed(FailureReason::EngineUnreachable { .. }) => StateName::Unreachable,
        State::Asleep => StateName::Asleep,
        State::Failed(_) => StateName::Failed,
        State::Deleted => StateName::Deleted,
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
        FailureReason::HomeMissing { .. } | FailureReason::HomeGone { .. } => "home-missing",
        FailureReason::StopFailed { .. } => "stop-failed",
        FailureReason::RemoveFailed { .. } => "remove-failed",
        FailureReason::EngineUnreachable { .. } => "engine-unreachable",
        FailureReason::HostGone { .. } => "host-gone",
        FailureReason::NoHost { .. } => "no-host",
        FailureReason::ImageMissing { .. } => "image-missing",
        FailureReason::SnapshotMissing { .. } => "snapshot-missing",
        FailureReason::RestoreFailed { .. } => "restore-failed",
        FailureReason::BuildFailed { .. } => "build-failed",
        FailureReason::RepositoryUnreachable { .. } => "repository-unreachable",
        FailureReason::DevcontainerInvalid { .. } => "devcontainer-invalid",
        FailureReason::UserMissing { .. } => "user-missing",
        FailureReason::DiskFull { .. } => "disk-full",
        FailureReason::DriverFailed { .. } => "driver-failed",
        FailureReason::Unknown => "unknown",
    }
}

/// Returns what a user may have, and has; and all together, for who may know that.
pub(super) fn limits(workspaces: &Workspaces, user: &User, reader: Role) -> LimitsView {
    let limits = workspaces.limits();
    let total = match reader {
        Role::Admin => Some(allotment(&limits.total, &workspaces.usage(None))),
        Role::Member => None,
    };
    LimitsView {
        user: user.name.clone(),
        own: allotment(&limits.user, &workspaces.usage(Some(&user.id))),
        total,
    }
}

fn allotment(may: &Allowance, has: &Usage) -> Allotment {
    let count = |limit, used| CountLimit { limit, used };
    Allotment {
        workspaces: count(may.workspaces, has.workspaces),
        running: count(may.running, has.running),
        cpus: CpusLimit {
            limit: may.nano_cpus.map(cpus),
            used: cpus(has.nano_cpus),
        },
        memory_bytes: count(may.memory, has.memory),
        disk_bytes: DiskLimit {
            limit: may.disk,
            used: has.measured.map(|_| has.disk),
            measured_at: has.measured,
        },
    }
}

/// Returns a number of processors, to the thousandth.
fn cpus(nanos: u64) -> f64 {
    let thousandths = u32::try_from(nanos / 1_000_000).unwrap_or(u32::MAX);
    f64::from(thousandths) / 1000.0
}

/// Returns the last program of a workspace that was killed for want of memory.
pub(super) fn killed(workspaces: &Workspaces, id: &WorkspaceId) -> Option<KilledProgram> {
    let killed = workspaces.killed(id)?;
    Some(KilledProgram {
        program: killed.victim.program,
        pid: killed.victim.pid,
        time: killed.at,
    })
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
