//! What is special to SQLite: connecting, and what its errors mean.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _};

use sqlx::migrate::MigrateError;
use tracing::warn;

use super::{Store, StoreError, migrations};

/// Readers at one time. WAL lets them run beside the writer.
const READERS: u32 = 4;

/// How long a query waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// What each connection starts with. WAL with `synchronous = FULL` syncs the log
/// at every commit: an acknowledged write survives a power cut.
const SET_UP: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
                      PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";

/// "Not a database" and "malformed" (sqlite.org/rescode.html).
const CORRUPT: [&str; 2] = ["11", "26"];

/// "The disk is full".
const FULL: &str = "13";

pub(super) async fn open(path: &Path) -> Result<Store, StoreError> {
    sqlx::any::install_default_drivers();
    make_file(path).map_err(|source| StoreError::Open {
        path: path.to_owned(),
        source: sqlx::Error::Io(source),
    })?;
    check(path).await?;
    let writer = connect(path, 1).await?;
    migrations::all()
        .run(&writer)
        .await
        .map_err(|error| migration_failed(path, error))?;
    let reader = connect(path, READERS).await?;
    Ok(Store { writer, reader })
}

/// Makes an empty file that only its owner can read; SQLite gives its log files
/// the same mode.
fn make_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Connects. A transaction that fails for a full disk SQLite rolls back by itself, of which
/// sqlx isn't told: it would go on with savepoints, in a transaction that nobody ever commits.
/// So a connection whose transaction isn't over when it comes back is closed, and a new one
/// takes its place.
async fn connect(path: &Path, connections: u32) -> Result<AnyPool, StoreError> {
    let failed = |source| opening_failed(path, source);
    let options: AnyConnectOptions = url(path).parse().map_err(failed)?;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SET_UP).await.map(drop) })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // It answers once the rollback before it is over.
                connection.ping().await?;
                let over = !connection.is_in_transaction();
                if !over {
                    warn!(
                        "a transaction failed and couldn't be rolled back: its connection is closed"
                    );
                }
                Ok(over)
            })
        })
        .connect_with(options)
        .await
        .map_err(failed)
}

/// Refuses a damaged file before anything is written to it. On a connection of its
/// own: a pool tries one that fails again until its time is up.
async fn check(path: &Path) -> Result<(), StoreError> {
    let verdict = async {
        let mut connection = AnyConnection::connect(&url(path)).await?;
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut connection)
            .await?;
        connection.execute(SET_UP).await?;
        connection.close().await?;
        Ok(verdict)
    };
    let verdict = verdict
        .await
        .map_err(|source| opening_failed(path, source))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: path.to_owned(),
        detail: verdict.chars().take(200).collect(),
    })
}

fn opening_failed(path: &Path, source: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    if is_corrupt(&source) {
        let detail = source.to_string();
        return StoreError::Corrupt { path, detail };
    }
    if is_full(&source) {
        return StoreError::Full;
    }
    StoreError::Open { path, source }
}

fn migration_failed(path: &Path, source: MigrateError) -> StoreError {
    match source {
        MigrateError::VersionMissing(step) => StoreError::Newer {
            path: path.to_owned(),
            step,
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if is_corrupt(&error) || is_full(&error) =>
        {
            opening_failed(path, error)
        }
        source => StoreError::Migrate {
            path: path.to_owned(),
            source,
        },
    }
}

fn is_corrupt(error: &sqlx::Error) -> bool {
    has_code(error, &CORRUPT)
}

/// Tells whether nothing more fits on the disk.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    has_code(error, &[FULL])
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| codes.contains(&code.as_ref()))
}

/// Returns the URL of a file, whatever bytes its path has.
fn url(path: &Path) -> String {
    let mut url = String::from("sqlite:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            url.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}
