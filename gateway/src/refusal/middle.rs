//! The rows of the middle's errors: names, identity, records, drivers, workspaces.

use ::http::StatusCode as Status;
use devgate_protocol::{Refusal as AgentRefusal, RefusalReason};

use super::Reason::{ConnectFailed, Prohibited, ResourceShortage};
use super::{Refusal, Row, row};
use crate::chain::chain;
use crate::drivers::DriverError;
use crate::identity::{Denied, InvalidTarget, KeyRefused, NotSigned};
use crate::names::InvalidName;
use crate::secrets::{InvalidSecretName, SealError, VaultError};
use crate::sleep::SleepError;
use crate::store::StoreError;
use crate::workspaces::{CommandError, LimitReached, OpenError, Resource, SnapshotError};

const INVALID_NAME: Row = row(Status::UNPROCESSABLE_ENTITY, "invalid-name", Prohibited);
pub(super) const INTERNAL: Row = row(Status::INTERNAL_SERVER_ERROR, "internal", ConnectFailed);
const GONE: Row = row(Status::NOT_FOUND, "no-such-workspace", Prohibited);
const STOPPED: Row = row(Status::CONFLICT, "workspace-stopped", Prohibited);
const ASLEEP: Row = row(Status::CONFLICT, "workspace-asleep", Prohibited);
const FAILED: Row = row(Status::CONFLICT, "workspace-failed", ConnectFailed);
pub(super) const SHUTTING_DOWN: Row =
    row(Status::SERVICE_UNAVAILABLE, "shutting-down", ConnectFailed);

impl Refusal for InvalidName {
    fn row(&self) -> Row {
        INVALID_NAME
    }
}

impl Refusal for InvalidTarget {
    fn row(&self) -> Row {
        INVALID_NAME
    }
}

impl Refusal for NotSigned {
    fn row(&self) -> Row {
        match self {
            Self::TooMany => row(Status::CONFLICT, "too-many", ResourceShortage),
            Self::NotOwn(_) => GONE,
            Self::Ended => row(Status::UNAUTHORIZED, "signed-out", Prohibited),
            Self::Key => row(Status::UNPROCESSABLE_ENTITY, "key-refused", Prohibited),
            Self::Store(error) => error.row(),
            Self::Certs(_) => INTERNAL,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Store(error) => error.text(),
            Self::Certs(_) => see_the_log(self),
            Self::TooMany | Self::NotOwn(_) | Self::Ended | Self::Key => self.to_string(),
        }
    }
}

impl Refusal for KeyRefused {
    fn row(&self) -> Row {
        match self {
            Self::Unreadable
            | Self::Private
            | Self::Certificate
            | Self::Dsa
            | Self::ShortRsa(_)
            | Self::LongRsa(_)
            | Self::Unsupported => row(Status::UNPROCESSABLE_ENTITY, "key-refused", Prohibited),
        }
    }
}

impl Refusal for Denied {
    fn row(&self) -> Row {
        match self {
            Self::NoSuchWorkspace { .. } | Self::NoSuchId => GONE,
            Self::Store(_) => INTERNAL,
        }
    }
}

impl Refusal for StoreError {
    fn row(&self) -> Row {
        match self {
            Self::NoSuchUser(_) => row(Status::NOT_FOUND, "no-such-user", Prohibited),
            Self::UserExists(_) => row(Status::CONFLICT, "user-exists", Prohibited),
            Self::UserHasWorkspaces(_) => row(Status::CONFLICT, "user-has-workspaces", Prohibited),
            Self::UserHasDeleted(_) => {
                row(Status::CONFLICT, "user-has-deleted-workspaces", Prohibited)
            }
            Self::UserHasSnapshots(_) => row(Status::CONFLICT, "user-has-snapshots", Prohibited),
            Self::SnapshotExists(_) => row(Status::CONFLICT, "snapshot-exists", Prohibited),
            Self::LastAdmin(_) => row(Status::CONFLICT, "last-admin", Prohibited),
            Self::KeyOfAnother { .. } => row(Status::CONFLICT, "key-of-another", Prohibited),
            Self::WorkspaceExists(_) => row(Status::CONFLICT, "workspace-exists", Prohibited),
            Self::Full => row(Status::INSUFFICIENT_STORAGE, "disk-full", ResourceShortage),
            Self::Open { .. }
            | Self::Corrupt { .. }
            | Self::Newer { .. }
            | Self::Migrate { .. }
            | Self::Query(_)
            | Self::Unreadable { .. }
            | Self::Unwritable { .. } => INTERNAL,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::NoSuchUser(_)
            | Self::UserExists(_)
            | Self::UserHasWorkspaces(_)
            | Self::UserHasDeleted(_)
            | Self::UserHasSnapshots(_)
            | Self::SnapshotExists(_)
            | Self::LastAdmin(_)
            | Self::KeyOfAnother { .. }
            | Self::WorkspaceExists(_)
            | Self::Full => self.to_string(),
            Self::Open { .. }
            | Self::Corrupt { .. }
            | Self::Newer { .. }
            | Self::Migrate { .. }
            | Self::Query(_)
            | Self::Unreadable { .. }
            | Self::Unwritable { .. } => see_the_log(self),
        }
    }
}

impl Refusal for DriverError {
    fn row(&self) -> Row {
        match self {
            Self::AgentMissing { .. }
            | Self::SpawnFailed { .. }
            | Self::HomeUnwritable { .. }
            | Self::HomeMissing { .. }
            | Self::HomeGone { .. }
            | Self::File { .. }
            | Self::Process { .. }
            | Self::Unstoppable { .. }
            | Self::LostAgent { .. }
            | Self::EngineUnreachable { .. }
            | Self::HostGone { .. }
            | Self::NoHost { .. }
            | Self::Engine { .. }
            | Self::ImageMissing { .. }
            | Self::SnapshotMissing { .. }
            | Self::NoSnapshot { .. }
            | Self::Registry { .. }
            | Self::NeedsContainers
            | Self::BuildFailed { .. }
            | Self::UserMissing { .. }
            | Self::DiskFull { .. }
            | Self::Foreign { .. }
            | Self::Certificate(_) => INTERNAL,
        }
    }

    fn text(&self) -> String {
        see_the_log(self)
    }
}

impl Refusal for InvalidSecretName {
    fn row(&self) -> Row {
        INVALID_NAME
    }
}

impl Refusal for VaultError {
    fn row(&self) -> Row {
        match self {
            Self::Value => row(Status::UNPROCESSABLE_ENTITY, "invalid-secret", Prohibited),
            Self::TooMany => row(Status::CONFLICT, "too-many", ResourceShortage),
            Self::Seal(
                SealError::File(_)
                | SealError::Key { .. }
                | SealError::KeyMissing { .. }
                | SealError::Damaged { .. }
                | SealError::Sealing,
            ) => INTERNAL,
            Self::Store(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Value | Self::TooMany => self.to_string(),
            Self::Seal(error) => see_the_log(error),
            Self::Store(error) => error.text(),
        }
    }
}

impl Refusal for CommandError {
    fn row(&self) -> Row {
        match self {
            Self::Gone => GONE,
            Self::Deleting => row(Status::CONFLICT, "workspace-deleting", Prohibited),
            Self::Deleted => row(Status::CONFLICT, "workspace-deleted", Prohibited),
            Self::NotDeleted => row(Status::CONFLICT, "workspace-not-deleted", Prohibited),
            Self::Stopped => STOPPED,
            Self::NoAgent => row(Status::CONFLICT, "workspace-not-running", ConnectFailed),
            Self::OldAgent => row(Status::CONFLICT, "old-agent", ConnectFailed),
            Self::Asleep => ASLEEP,
            Self::NotRunning(_) => row(Status::CONFLICT, "workspace-not-running", Prohibited),
            Self::NoTimeToLive => row(Status::CONFLICT, "no-time-to-live", Prohibited),
            Self::TimeToLive(_) => row(
                Status::UNPROCESSABLE_ENTITY,
                "time-to-live-too-long",
                Prohibited,
            ),
            Self::Failed(_) => FAILED,
            Self::Limit(reached) => reached.row(),
            Self::ShuttingDown => SHUTTING_DOWN,
            Self::Store(error) => error.row(),
            Self::Driver(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Gone
            | Self::Deleting
            | Self::Deleted
            | Self::NotDeleted
            | Self::Stopped
            | Self::Asleep
            | Self::NotRunning(_)
            | Self::NoTimeToLive
            | Self::TimeToLive(_)
            | Self::NoAgent
            | Self::OldAgent
            | Self::ShuttingDown => self.to_string(),
            Self::Failed(_) => chain(self),
            Self::Limit(reached) => reached.text(),
            Self::Store(error) => error.text(),
            Self::Driver(error) => error.text(),
        }
    }
}

impl Refusal for LimitReached {
    fn row(&self) -> Row {
        let code = match self.resource {
            Resource::Workspaces => "workspaces-limit",
            Resource::Running => "running-limit",
            Resource::Cpus => "cpus-limit",
            Resource::Memory => "memory-limit",
            Resource::Disk => "disk-limit",
        };
        row(Status::CONFLICT, code, ResourceShortage)
    }
}

impl Refusal for SleepError {
    fn row(&self) -> Row {
        match self {
            Self::Length | Self::Schedule(_) => {
                row(Status::UNPROCESSABLE_ENTITY, "invalid-request", Prohibited)
            }
            Self::TooMany => row(Status::CONFLICT, "too-many", ResourceShortage),
            Self::NoLease => row(Status::NOT_FOUND, "no-such-lease", Prohibited),
            Self::Command(error) => error.row(),
            Self::Store(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Length | Self::Schedule(_) | Self::TooMany | Self::NoLease => self.to_string(),
            Self::Command(error) => error.text(),
            Self::Store(error) => error.text(),
        }
    }
}

impl Refusal for SnapshotError {
    fn row(&self) -> Row {
        match self {
            Self::NoSuch | Self::NotNamed(_) => {
                row(Status::NOT_FOUND, "no-such-snapshot", Prohibited)
            }
            Self::Gone => GONE,
            Self::Busy(_) => row(Status::CONFLICT, "snapshot-busy", Prohibited),
            Self::Failed { .. } => row(Status::CONFLICT, "snapshot-failed", Prohibited),
            Self::NotThere { .. } => row(Status::CONFLICT, "snapshot-not-there", Prohibited),
            Self::Unseen { .. } => FAILED,
            Self::Description => row(Status::UNPROCESSABLE_ENTITY, "description", Prohibited),
            Self::Reference(_) => row(
                Status::UNPROCESSABLE_ENTITY,
                "no-image-reference",
                Prohibited,
            ),
            Self::Count => row(Status::UNPROCESSABLE_ENTITY, "too-many", Prohibited),
            Self::ShuttingDown => SHUTTING_DOWN,
            Self::Name(error) => error.row(),
            Self::Command(error) => error.row(),
            Self::Store(error) => error.row(),
            Self::Driver(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Name(error) => error.text(),
            Self::Command(error) => error.text(),
            Self::Store(error) => error.text(),
            Self::Driver(error) => error.text(),
            other => other.to_string(),
        }
    }
}

impl Refusal for OpenError {
    fn row(&self) -> Row {
        match self {
            Self::Gone => GONE,
            Self::Stopped(_) => STOPPED,
            Self::Limit(reached) => reached.row(),
            Self::Asleep(_) => ASLEEP,
            Self::Failed(_) => FAILED,
            Self::TimedOut { .. } => row(Status::GATEWAY_TIMEOUT, "start-timed-out", ConnectFailed),
            Self::ShuttingDown => SHUTTING_DOWN,
            Self::Refused(refusal) => of_agent(refusal),
            Self::Unreachable(_) => row(Status::BAD_GATEWAY, "agent-unreachable", ConnectFailed),
            Self::TooManyFiles(_) => row(
                Status::SERVICE_UNAVAILABLE,
                "too-many-open-files",
                ResourceShortage,
            ),
            Self::Store(error) => error.row(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Store(error @ StoreError::Full) => error.text(),
            // Its reason is the next step.
            Self::Failed(reason) => reason.to_string(),
            Self::Gone
            | Self::Stopped(_)
            | Self::Limit(_)
            | Self::Asleep(_)
            | Self::TimedOut { .. }
            | Self::ShuttingDown
            | Self::Refused(_)
            | Self::Unreachable(_)
            | Self::TooManyFiles(_)
            | Self::Store(_) => self.to_string(),
        }
    }
}

fn of_agent(refusal: &AgentRefusal) -> Row {
    match refusal.reason {
        RefusalReason::ResourceShortage => row(
            Status::SERVICE_UNAVAILABLE,
            "agent-exhausted",
            ResourceShortage,
        ),
        RefusalReason::ConnectFailed => row(Status::BAD_GATEWAY, "connect-failed", ConnectFailed),
        RefusalReason::BindFailed => row(Status::CONFLICT, "bind-failed", ConnectFailed),
        RefusalReason::EditorMissing => row(Status::NOT_FOUND, "editor-missing", ConnectFailed),
        RefusalReason::EditorFailed => row(Status::BAD_GATEWAY, "editor-failed", ConnectFailed),
        RefusalReason::UnknownConnection | RefusalReason::Unsupported | RefusalReason::Other => {
            row(Status::BAD_GATEWAY, "agent-refused", ConnectFailed)
        }
    }
}

/// A failure of ours, for whoever administers the server.
pub(super) fn see_the_log(error: &dyn std::error::Error) -> String {
    format!("{}: the server's log may tell more", chain(error))
}
