//! Why a workspace isn't where it is wanted.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::chain::chain;
use crate::drivers::docker::at_socket;
use crate::drivers::{DriverError, Exit};
use crate::names::SnapshotId;
use crate::repositories::ReadError;

/// Why a workspace failed, with the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum FailureReason {
    /// There is no agent to start.
    #[error("the agent's program {} is missing: install it there, then start again", path.display())]
    AgentMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The system refuses to start the agent.
    #[error("the agent can't be started ({detail}): see to that, then start again")]
    SpawnFailed {
        /// The system's words.
        detail: String,
    },
    /// The agent ended again and again.
    #[error(
        "the agent ended {crashes} times within a minute, at last with {last}: its log tells why"
    )]
    CrashLoop {
        /// How often.
        crashes: u32,
        /// How, the last time.
        last: Exit,
    },
    /// The agent runs but can't be reached.
    #[error("the agent started but did not answer within {seconds} s: its log may tell why")]
    AgentTimeout {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The home can't be made or written to.
    #[error("the home {} can't be written to ({detail}): see to that, then start again", path.display())]
    HomeUnwritable {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// The home was there and is gone.
    #[error(
        "the workspace's home, the Docker volume {volume}, is missing: restore the volume of that \
         name with its labels, then start again, or delete the workspace"
    )]
    HomeMissing {
        /// The volume's name.
        volume: String,
    },
    /// The same of a home that is a folder.
    #[error(
        "the workspace's home {} is missing: mount its disk or put it back from a backup, then \
         start again, or delete the workspace",
        path.display()
    )]
    HomeGone {
        /// The folder.
        path: PathBuf,
    },
    /// What runs in the workspace doesn't end.
    #[error("the workspace can't be stopped ({detail}): see to that, then stop again")]
    StopFailed {
        /// What is wrong.
        detail: String,
    },
    /// What the workspace keeps can't be removed.
    #[error(
        "the workspace can't be removed ({detail}): see to that; it is tried again by itself, and with \
         `devgate purge`"
    )]
    RemoveFailed {
        /// What is wrong.
        detail: String,
    },
    /// What runs the containers doesn't answer. It is asked again until it does.
    #[error(
        "the Docker Engine at {engine} doesn't answer ({detail}): {remedy}; the workspace goes on \
         by itself then"
    )]
    EngineUnreachable {
        /// Where it should listen.
        #[serde(alias = "socket")]
        engine: String,
        /// The system's words.
        detail: String,
        /// What is to be done.
        #[serde(default = "at_socket")]
        remedy: String,
    },
    /// The workspace is on a host that isn't configured any more.
    #[error(
        "the workspace is on the Docker host {host}, which is not in the configuration: put it \
         back into docker.hosts and restart devgate, or delete the workspace"
    )]
    HostGone {
        /// The host's name.
        host: String,
    },
    /// No host can take the workspace.
    #[error("no Docker host can take the workspace ({detail}): see to that, then start again")]
    NoHost {
        /// What was looked for, or what is wrong with each.
        detail: String,
    },
    /// The image is neither there nor to be had.
    #[error(
        "the image {image} is not on the workspaces' host and can't be pulled ({detail}): `docker \
         pull {image}` there or name another one as docker.image, then start again"
    )]
    ImageMissing {
        /// Its name.
        image: String,
        /// The engine's words.
        detail: String,
    },
    /// The snapshot that the workspace is made from isn't there.
    #[error(
        "the snapshot that the workspace is made from isn't there ({detail}): restore another one \
         (`devgate snapshots restore`), rebuild the workspace if it ran before, which keeps its \
         home (`devgate rebuild`), or delete it"
    )]
    SnapshotMissing {
        /// Its id.
        snapshot: SnapshotId,
        /// Why, as far as that is known.
        detail: String,
    },
    /// The snapshot that the workspace was to be restored from isn't there any more.
    #[error(
        "the workspace can't be restored, as the snapshot isn't there any more ({detail}), and is \
         what it was before: start it again (`devgate start`), or restore another snapshot"
    )]
    RestoreFailed {
        /// Why, as far as that is known.
        detail: String,
    },
    /// The image can't be built.
    #[error(
        "the workspace's image can't be built ({detail}): mend the template or the repository, \
         then rebuild the workspace (`devgate rebuild`)"
    )]
    BuildFailed {
        /// The end of the build's output.
        detail: String,
    },
    /// The repository isn't to be had.
    #[error(
        "the repository {url} can't be read ({detail}): its address and its branch are in the \
         template; see to that, then start again"
    )]
    RepositoryUnreachable {
        /// Its address.
        url: String,
        /// git's words.
        detail: String,
    },
    /// The repository says something of its workspaces that can't be done.
    #[error("in the repository, {place}: {detail}; mend that there, then start again")]
    DevcontainerInvalid {
        /// The file and the line.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The image has no such user.
    #[error(
        "the image {image} has no user {user:?}: name one that it has, or numbers such as \
         1000:1000, as docker.user, in the template or as the repository's remoteUser, then \
         start again"
    )]
    UserMissing {
        /// The image's name.
        image: String,
        /// The user's.
        user: String,
    },
    /// The engine's disk is full.
    #[error(
        "the disk of the workspaces' host is full ({detail}): make room there, then start again"
    )]
    DiskFull {
        /// The engine's words.
        detail: String,
    },
    /// The driver can't do its work.
    #[error("the workspace can't be started ({detail}): see to that, then start again")]
    DriverFailed {
        /// What is wrong.
        detail: String,
    },
    /// A reason that another version recorded.
    #[serde(other)]
    #[error("the workspace failed: start it again to see why")]
    Unknown,
}

impl FailureReason {
    /// Says why a start failed.
    pub(super) fn of_start(error: &DriverError) -> Self {
        match error {
            DriverError::AgentMissing { path } => Self::AgentMissing { path: path.clone() },
            DriverError::SpawnFailed { source, .. } => Self::SpawnFailed {
                detail: source.to_string(),
            },
            DriverError::HomeUnwritable { path, source } => Self::HomeUnwritable {
                path: path.clone(),
                detail: source.to_string(),
            },
            DriverError::HomeMissing { volume } => Self::HomeMissing {
                volume: volume.clone(),
            },
            DriverError::HomeGone { path } => Self::HomeGone { path: path.clone() },
            DriverError::EngineUnreachable {
                engine,
                remedy,
                source,
            } => Self::EngineUnreachable {
                engine: engine.clone(),
                detail: source.to_string(),
                remedy: remedy.clone(),
            },
            DriverError::HostGone { host } => Self::HostGone { host: host.clone() },
            DriverError::NoHost { detail } => Self::NoHost {
                detail: detail.clone(),
            },
            DriverError::ImageMissing { image, detail } => Self::ImageMissing {
                image: image.clone(),
                detail: detail.clone(),
            },
            DriverError::SnapshotMissing { snapshot, detail } => Self::SnapshotMissing {
                snapshot: snapshot.clone(),
                detail: detail.clone(),
            },
            DriverError::BuildFailed { detail } => Self::BuildFailed {
                detail: detail.clone(),
            },
            DriverError::UserMissing { image, user } => Self::UserMissing {
                image: image.clone(),
                user: user.clone(),
            },
            DriverError::DiskFull { detail } => Self::DiskFull {
                detail: detail.clone(),
            },
            DriverError::File { source, .. }
                if source.kind() == std::io::ErrorKind::StorageFull =>
            {
                Self::DiskFull {
                    detail: chain(error),
                }
            }
            DriverError::File { .. }
            | DriverError::NoSnapshot { .. }
            | DriverError::Registry { .. }
            | DriverError::NeedsContainers
            | DriverError::Engine { .. }
            | DriverError::Foreign { .. }
            | DriverError::Process { .. }
            | DriverError::Unstoppable { .. }
            | DriverError::LostAgent { .. }
            | DriverError::Certificate(_) => Self::DriverFailed {
                detail: chain(error),
            },
        }
    }

    /// Says why a repository couldn't be read.
    pub(super) fn of_repository(error: &ReadError) -> Self {
        match error {
            ReadError::Unreachable { url, detail } => Self::RepositoryUnreachable {
                url: url.clone(),
                detail: detail.clone(),
            },
            ReadError::NoToken { url, secret } => Self::RepositoryUnreachable {
                url: url.clone(),
                detail: format!("there is no secret {secret}: `devgate secrets set {secret}`"),
            },
            ReadError::Devcontainer(error) => Self::DevcontainerInvalid {
                place: error.place.clone(),
                detail: error.problem.clone(),
            },
            ReadError::Folder { .. } => Self::DriverFailed {
                detail: chain(error),
            },
        }
    }

    /// Says why a stop failed.
    pub(super) fn of_stop(error: &DriverError) -> Self {
        match error {
            DriverError::EngineUnreachable { .. } => Self::of_start(error),
            error => Self::StopFailed {
                detail: chain(error),
            },
        }
    }

    /// Says why a removal failed.
    pub(super) fn of_removal(error: &DriverError) -> Self {
        match error {
            DriverError::EngineUnreachable { .. } => Self::of_start(error),
            error => Self::RemoveFailed {
                detail: chain(error),
            },
        }
    }

    /// Tells whether it passes without anybody doing something to the workspace.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::EngineUnreachable { .. })
    }
}
