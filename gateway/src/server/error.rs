//! Why a server doesn't start.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

use devgate_certs::CertsError;

use super::listen::{Port, remedy};
use crate::config::Listen;
use crate::drivers::DriverError;
use crate::http::site::InvalidOrigin;
use crate::secrets::SealError;
use crate::store::StoreError;
use crate::workspaces::CommandError;

/// Why a server doesn't start; each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another server uses the folder.
    #[error(
        "devgate runs already on {} (process {pid}): end that one, or choose another folder \
         with --data-dir",
        path.display()
    )]
    Running {
        /// The folder.
        path: PathBuf,
        /// The other's process id.
        pid: String,
    },
    /// Another server locked the folder and ended, but what it started keeps the lock.
    #[error(
        "the data folder {0} is still locked by something that an ended devgate (process {pid}) \
         left behind: `fuser {0}/devgate.lock` names it; end it and try again",
        path.display()
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// The ended server's process id.
        pid: String,
    },
    /// The folder can't be used.
    #[error(
        "the data folder {} can't be used ({cause}): make it writable, or choose another \
         with --data-dir",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Nothing more fits on its disk.
    #[error(
        "the disk of the data folder {} is full: make room, or choose another folder with \
         --data-dir",
        path.display()
    )]
    Full {
        /// The folder.
        path: PathBuf,
    },
    /// There are homes, and no records of whose they are.
    #[error(
        "the database {} holds nothing, but {} has the homes of workspaces ({homes}): put the \
         database from your backup there; to begin anew without them, move that folder out of the \
         way, or choose another one with --data-dir",
        database.display(),
        folder.display()
    )]
    RecordsLost {
        /// The database's file.
        database: PathBuf,
        /// The data folder.
        folder: PathBuf,
        /// How many homes there are.
        homes: usize,
    },
    /// The folder is a file, or its path leads through one.
    #[error("{} is a file, or below one: choose a folder with --data-dir", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder belongs to another user.
    #[error(
        "the data folder {} belongs to another user: run devgate as that user, or choose \
         another folder with --data-dir",
        path.display()
    )]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is used for something else.
    #[error(
        "{} has other files in it and is open to other users: choose a new or an empty folder \
         with --data-dir, or `chmod 700` it if it is meant for devgate",
        path.display()
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// A port can't be bound.
    #[error("cannot listen on {listen} for {}: {}", port.protocol(), remedy(cause, *port))]
    Listen {
        /// For what.
        port: Port,
        /// Where.
        listen: Listen,
        /// What the system says.
        cause: io::Error,
    },
    /// A listener has no address.
    #[error("a listener has lost its address")]
    NoAddress(#[source] io::Error),
    /// The dashboard's address can't be used.
    #[error("http.url can't be used: {0}")]
    Url(#[from] InvalidOrigin),
    /// There is no agent to run.
    #[error(
        "the program devgate-agent is not {place}: build it with `make build`, or name it with \
         process.agent in the configuration or DEVGATE_PROCESS_AGENT"
    )]
    NoAgent {
        /// Where it was looked for.
        place: String,
    },
    /// The ready file can't be written.
    #[error("the ready file {} can't be written ({cause}): choose another --ready-file", path.display())]
    ReadyFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The administration socket can't be made.
    #[error("cannot listen on the administration socket {} ({cause})", path.display())]
    AdminSocket {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The certificates or host keys can't be used.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// The secrets' key can't be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The records can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to be set up can't be.
    #[error(transparent)]
    SetUp(#[from] CommandError),
    /// What runs the workspaces can't be set up.
    #[error("the workspaces can't be run")]
    Driver(#[source] DriverError),
    /// There are workspaces of another driver than the one that is configured.
    #[error(
        "workspaces.driver is {driver}, but there are workspaces of the driver {other}, which keeps \
         their homes and what runs in them ({workspaces}): set it back to {other}, or \
         take another data folder (--data-dir); to change it, delete them there for good first \
         (`devgate delete`, then `devgate purge`; those of pools go once no template has a pool)"
    )]
    OtherDriver {
        /// What is configured.
        driver: &'static str,
        /// What the workspaces are of.
        other: &'static str,
        /// Some of them, by name.
        workspaces: String,
    },
    /// A part of the start failed by itself.
    #[error("the start broke off")]
    Task(#[from] tokio::task::JoinError),
}

impl StartError {
    /// Returns that the data folder's disk is full, where that is behind it.
    pub(super) fn or_full(self, data_dir: &Path) -> Self {
        let is_full = match &self {
            Self::Store(StoreError::Full) | Self::SetUp(CommandError::Store(StoreError::Full)) => {
                true
            }
            other => {
                let cause = other.source().and_then(|cause| cause.downcast_ref());
                cause.map(io::Error::kind).is_some_and(is_full)
            }
        };
        if is_full {
            let path = data_dir.to_owned();
            return Self::Full { path };
        }
        self
    }
}

/// Tells whether an operation failed as nothing more fits on the disk.
pub(super) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_called_so_whatever_could_not_be_written() {
        let written = |kind: io::ErrorKind| {
            let path = PathBuf::from("/d/certs/ca.key");
            let action = "write";
            let source = kind.into();
            StartError::from(CertsError::File {
                action,
                path,
                source,
            })
        };
        let data_dir = Path::new("/d");
        for full in [
            written(io::ErrorKind::StorageFull),
            StoreError::Full.into(),
            CommandError::from(StoreError::Full).into(),
        ] {
            let said = full.or_full(data_dir).to_string();
            assert!(said.contains("the data folder /d is full"), "{said}");
        }
        let other = written(io::ErrorKind::PermissionDenied).or_full(data_dir);
        assert!(matches!(other, StartError::Certs(_)), "{other}");
    }
}
