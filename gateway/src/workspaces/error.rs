//! What can't be done with a workspace.

use devgate_protocol::{Refusal, StreamError};

use super::failure::FailureReason;
use super::reached::LimitReached;
use super::snapshots::{MAX_CLONES, MAX_DESCRIPTION};
use super::state::{State, Workspace};
use crate::config::Period;
use crate::drivers::DriverError;
use crate::identity::Target;
use crate::names::{InvalidName, SnapshotName};
use crate::open_files;
use crate::store::StoreError;
use crate::tunnel::TunnelError;

/// Why a command isn't carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The workspace was deleted.
    #[error("the workspace is gone: `devgate list` shows what there is")]
    Gone,
    /// All that it keeps is being removed.
    #[error("the workspace is being removed for good")]
    Deleting,
    /// It is deleted, and can be restored.
    #[error("the workspace is deleted: restore it first (`devgate list --deleted`)")]
    Deleted,
    /// It lives.
    #[error("the workspace isn't deleted: there is nothing to restore")]
    NotDeleted,
    /// A person stopped it, and what asks doesn't start it.
    #[error("the workspace is stopped: start it with `devgate start`")]
    Stopped,
    /// It is asleep, and what asks doesn't wake it.
    #[error("the workspace is asleep: start it with `devgate start`")]
    Asleep,
    /// It doesn't run, so it can't go to sleep.
    #[error("only a workspace that runs can go to sleep, and this one is {0}")]
    NotRunning(State),
    /// It failed, and what asks doesn't start it again.
    #[error("the workspace failed")]
    Failed(#[source] FailureReason),
    /// No agent is there to ask.
    #[error("the workspace doesn't run: start it, and try again")]
    NoAgent,
    /// The agent doesn't know what is asked for.
    #[error("the workspace's agent is an older one: restart the workspace, and try again")]
    OldAgent,
    /// The gateway ends.
    #[error("the gateway is shutting down: try again once it is back")]
    ShuttingDown,
    /// It lives until somebody deletes it.
    #[error("the workspace has no time to live: it stays until somebody deletes it")]
    NoTimeToLive,
    /// It can't live that much longer.
    #[error(
        "the workspace's template lets it live for up to {0} from now: ask for that or less, in whole seconds from 1"
    )]
    TimeToLive(Period),
    /// There would be more than there may be.
    #[error(transparent)]
    Limit(#[from] Box<LimitReached>),
    /// The records refuse.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The driver refuses.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Why something can't be done with a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is none, or the user may not see it.
    #[error("there is no such snapshot of yours: the list of snapshots shows what there is")]
    NoSuch,
    /// There is none of that name, or several people have one.
    #[error(
        "there is no one snapshot {0}: `devgate snapshots list` shows all; NAME.OWNER names \
         somebody's"
    )]
    NotNamed(Target),
    /// The workspace was deleted.
    #[error("the workspace is gone: name one that there is, as `devgate list` shows them")]
    Gone,
    /// It is made or pushed at the moment.
    #[error("the snapshot {0} is being made or pushed: try again once that is done")]
    Busy(SnapshotName),
    /// It couldn't be made.
    #[error("the snapshot {name} failed ({reason}): delete it, and take another one")]
    Failed {
        /// Its name.
        name: SnapshotName,
        /// Why it failed.
        reason: String,
    },
    /// It isn't where the workspace is that is to be restored from it.
    #[error(
        "the snapshot {name} isn't where the workspace is ({detail}): restore another one, or make \
         another workspace from this one, which goes where it is (`devgate create NAME \
         --snapshot {name}`)"
    )]
    NotThere {
        /// Its name.
        name: SnapshotName,
        /// What is missing.
        detail: String,
    },
    /// It can't be told whether it is there.
    #[error("can't look for the snapshot {name} where the workspace is: {reason}")]
    Unseen {
        /// Its name.
        name: SnapshotName,
        /// Why.
        reason: FailureReason,
    },
    /// A description is too long, or has control characters.
    #[error("a description is at most {MAX_DESCRIPTION} printable characters: write another one")]
    Description,
    /// Nothing at a registry can have that name.
    #[error(
        "{0:?} is not the name of an image at a registry: write REGISTRY/REPOSITORY:TAG, the \
         repository in lowercase letters"
    )]
    Reference(String),
    /// Too few or too many workspaces.
    #[error("from 1 to {MAX_CLONES} workspaces are made at one time: ask for that many")]
    Count,
    /// The gateway ends.
    #[error("the gateway is shutting down: try again once it is back")]
    ShuttingDown,
    /// What would be named so can't.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The workspace refuses.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The records refuse.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The driver refuses.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Why no stream to a workspace's agent opens.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The workspace was deleted.
    #[error("the workspace is gone: `devgate list` shows what there is")]
    Gone,
    /// A person stopped it, and what asks doesn't start it.
    #[error(
        "the workspace {0} is stopped: log in with a terminal (`ssh -t`), or start it with \
         `devgate start {0}`"
    )]
    Stopped(Target),
    /// It is asleep, and a program that was cut off by that tries again.
    #[error(
        "the workspace {0} went to sleep while nobody used it, and what was open then doesn't \
         wake it by itself: log in with a terminal (`ssh -t`), open it in a browser, or start it \
         with `devgate start {0}`"
    )]
    Asleep(Target),
    /// It failed.
    #[error("the workspace failed")]
    Failed(#[source] FailureReason),
    /// It would be more than there may be.
    #[error(transparent)]
    Limit(Box<LimitReached>),
    /// It didn't run in time.
    #[error(
        "the workspace did not answer within {seconds} s (it is {state}): try again, or see \
         `devgate logs`"
    )]
    TimedOut {
        /// Where it stood.
        state: State,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The gateway ends.
    #[error("the gateway is shutting down: try again once it is back")]
    ShuttingDown,
    /// The agent refuses the stream.
    #[error("{0}")]
    Refused(Refusal),
    /// The agent can't be reached.
    #[error("the workspace's agent can't be reached: try again, or `devgate restart` it")]
    Unreachable(#[source] TunnelError),
    /// This process or its host has as many files open as it may.
    #[error(
        "the gateway has as many files open as it may: try again later; whoever runs it can \
         raise the limit (LimitNOFILE in its service)"
    )]
    TooManyFiles(#[source] TunnelError),
    /// The records fail.
    #[error("can't look the workspace up")]
    Store(#[source] StoreError),
}

impl OpenError {
    /// Says of a workspace why its wake wasn't accepted.
    pub(super) fn of(error: CommandError, workspace: &Workspace) -> Self {
        match error {
            CommandError::Gone
            | CommandError::Deleting
            | CommandError::Deleted
            | CommandError::NotDeleted => Self::Gone,
            CommandError::Stopped
            | CommandError::NotRunning(_)
            | CommandError::NoTimeToLive
            | CommandError::TimeToLive(_)
            | CommandError::NoAgent
            | CommandError::OldAgent => Self::Stopped(workspace.target()),
            CommandError::Asleep => Self::Asleep(workspace.target()),
            CommandError::Failed(reason) => Self::Failed(reason),
            CommandError::Limit(reached) => Self::Limit(reached),
            CommandError::ShuttingDown => Self::ShuttingDown,
            CommandError::Store(error) => Self::Store(error),
            CommandError::Driver(error) => Self::Failed(FailureReason::of_start(&error)),
        }
    }
}

impl From<TunnelError> for OpenError {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Refused(refusal) => Self::Refused(refusal),
            TunnelError::GoingAway => Self::ShuttingDown,
            TunnelError::Stream(StreamError::Io(ref cause)) if open_files::are_used_up(cause) => {
                Self::TooManyFiles(error)
            }
            error => Self::Unreachable(error),
        }
    }
}
