//! The schema's steps, embedded in the binary.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Returns all steps. One that was released is never changed; a new one is added.
pub(super) fn all() -> Migrator {
    Migrator::with_migrations(vec![Migration::new(
        1,
        "users, keys, workspaces".into(),
        MigrationType::Simple,
        include_str!("../../migrations/0001_users_keys_workspaces.sql").into_sql_str(),
        false,
    )])
}
