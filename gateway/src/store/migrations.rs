//! The schema's steps, embedded in the binary.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Returns all steps. One that was released is never changed; a new one is added.
pub(super) fn all() -> Migrator {
    let steps = [
        (
            "users, keys, workspaces",
            include_str!("../../migrations/0001_users_keys_workspaces.sql"),
        ),
        (
            "logins, tokens, links, ports, events, requests",
            include_str!("../../migrations/0002_logins_tokens_ports_events.sql"),
        ),
        (
            "what workspaces are made of",
            include_str!("../../migrations/0003_blueprints.sql"),
        ),
        (
            "deleted workspaces that are kept",
            include_str!("../../migrations/0004_lifecycle.sql"),
        ),
        ("secrets", include_str!("../../migrations/0003_secrets.sql")),
        (
            "leases, schedules, activity",
            include_str!("../../migrations/0005_sleep.sql"),
        ),
        (
            "snapshots",
            include_str!("../../migrations/0006_snapshots.sql"),
        ),
        (
            "workspaces that are nobody's",
            include_str!("../../migrations/0007_pools.sql"),
        ),
        (
            "times to live",
            include_str!("../../migrations/0008_times_to_live.sql"),
        ),
        (
            "narrowed tokens",
            include_str!("../../migrations/0009_narrowed_tokens.sql"),
        ),
        (
            "SSH user certificates",
            include_str!("../../migrations/0010_ssh_certificates.sql"),
        ),
        (
            "agents that ended by themselves",
            include_str!("../../migrations/0011_crashes.sql"),
        ),
    ];
    let migrations = (1..).zip(steps).map(|(number, (name, sql))| {
        let sql = sql.into_sql_str();
        Migration::new(number, name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}
