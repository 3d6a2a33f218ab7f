//! The records: users, their keys and workspaces, in SQL.
//!
//! Invariant: what a method has returned `Ok` for survives `kill -9` and a power
//! cut. Types of the domain go in and come out; rows and SQL stay in here.
//!
//! Every query is written once for all engines: `$1` placeholders, the types TEXT
//! and BIGINT, nothing of one dialect. What is special to an engine (how to
//! connect, what its errors mean) is in that engine's file.

mod certificates;
mod crashes;
mod events;
mod keys;
mod logins;
mod migrations;
mod passwords;
mod ports;
mod requests;
mod row;
mod secrets;
mod sleep;
mod snapshots;
mod sqlite;
mod users;
mod workspaces;

use std::path::{Path, PathBuf};

use sqlx::AnyPool;

use crate::names::{SnapshotName, UserName, WorkspaceName};

pub use certificates::ENDED_CERTIFICATES_KEPT;
pub use events::Since;
pub use keys::NewKey;
pub use logins::{Login, Method, NewLogin, NewToken, Token};
pub use passwords::{LINK_LIFETIME, OnNewPassword};
pub use ports::{InvalidVisibility, OpenPort, Visibility};
pub use requests::Request;
pub(crate) use sleep::LastActive;
pub use users::Account;

/// The records of one installation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// Takes all writes; SQLite has one connection here, so that writers queue
    /// fairly instead of polling for each other's locks.
    writer: AnyPool,
    /// Takes all reads.
    reader: AnyPool,
}

/// What a store can't do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be opened.
    #[error("can't open the database {}", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The file isn't a database or is damaged.
    #[error(
        "the database {} is damaged: stop devgate and put a backup in its place ({detail})",
        path.display()
    )]
    Corrupt {
        /// Its file.
        path: PathBuf,
        /// What is wrong, in the engine's words.
        detail: String,
    },
    /// A later version of devgate wrote it.
    #[error(
        "the database {} was written by a newer devgate (its schema has step {step}): \
         run that version or a newer one",
        path.display()
    )]
    Newer {
        /// Its file.
        path: PathBuf,
        /// The schema's step that this version doesn't know.
        step: i64,
    },
    /// The schema can't be brought up to date.
    #[error("can't bring the database {} up to date", path.display())]
    Migrate {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// Nothing more fits on its disk.
    #[error("the disk of the data folder is full: make room there")]
    Full,
    /// A query failed.
    #[error("the database failed")]
    Query(#[source] sqlx::Error),
    /// A record holds a value that this version can't read.
    #[error("the database holds an unreadable {column}: {value:?}")]
    Unreadable {
        /// Which column.
        column: &'static str,
        /// What it holds, shortened.
        value: String,
    },
    /// A value can't be written in a way that it could be read from.
    #[error("can't store this {column}")]
    Unwritable {
        /// For which column.
        column: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another user has the name.
    #[error("there is a user named {0} already: choose another name")]
    UserExists(UserName),
    /// No such user.
    #[error("there is no user named {0}: `devgate users list` shows all")]
    NoSuchUser(UserName),
    /// A user with workspaces can't be removed.
    #[error("{0} still has workspaces: delete them first")]
    UserHasWorkspaces(UserName),
    /// Nor can one whose deleted workspaces are kept.
    #[error(
        "{0} still has deleted workspaces that can be restored: `devgate purge --owner {0}` removes \
         them for good"
    )]
    UserHasDeleted(UserName),
    /// A user with snapshots can't be removed.
    #[error("{0} still has snapshots: delete them first (`devgate snapshots list`)")]
    UserHasSnapshots(UserName),
    /// The owner has a snapshot of that name.
    #[error("there is a snapshot named {0} already: choose another name")]
    SnapshotExists(SnapshotName),
    /// The last administrator can't be removed.
    #[error("{0} is the only administrator: make another one first")]
    LastAdmin(UserName),
    /// Another user has the key.
    #[error("the key {fingerprint} belongs to another user: each key signs in one person")]
    KeyOfAnother {
        /// The key's fingerprint.
        fingerprint: String,
    },
    /// The owner has a workspace of that name.
    #[error("there is a workspace named {0} already: choose another name")]
    WorkspaceExists(WorkspaceName),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if sqlite::is_full(&error) {
            return Self::Full;
        }
        Self::Query(error)
    }
}

impl Store {
    /// Opens the SQLite database at `path`, made where it is missing, and brings
    /// its schema up to date.
    ///
    /// # Errors
    /// `Corrupt`, `Newer` and `Open` say what is wrong with the file; nothing is
    /// written to one that can't be used.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        sqlite::open(path).await
    }

    /// Closes all connections; what was acknowledged is on disk either way.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests;
