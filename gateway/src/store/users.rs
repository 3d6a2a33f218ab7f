//! Users.

use sqlx::Row as _;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::row::{now, parsed, time};
use super::{Store, StoreError};
use crate::identity::{Role, User};
use crate::names::{UserId, UserName};

/// Reads what [`user`] needs, with the rest of the statement to add.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT users.id AS id, users.name AS name, users.role AS role",
            $rest
        )
    };
}

pub(super) use select;

/// A user, with what only their own pages and administrators show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Whether a password is set.
    pub has_password: bool,
    /// When it was made.
    pub created: OffsetDateTime,
    /// How many workspaces they have.
    pub workspaces: u64,
}

/// Reads what [`account`] needs, with the rest of the statement to add.
macro_rules! accounts {
    ($rest:literal) => {
        concat!(
            "SELECT users.id AS id, users.name AS name, users.role AS role, \
             users.created AS created, users.password AS password, \
             (SELECT COUNT(*) FROM workspaces WHERE workspaces.owner_id = users.id \
             AND workspaces.deleted IS NULL) AS workspaces FROM users ",
            $rest
        )
    };
}

impl Store {
    /// Adds a user.
    ///
    /// # Errors
    /// `UserExists` where the name is taken.
    pub async fn add_user(&self, name: &UserName, role: Role) -> Result<User, StoreError> {
        let user = User {
            id: UserId::random(),
            name: name.clone(),
            role,
        };
        sqlx::query("INSERT INTO users (id, name, role, created) VALUES ($1, $2, $3, $4)")
            .bind(user.id.as_str())
            .bind(user.name.as_str())
            .bind(user.role.as_str())
            .bind(now().1)
            .execute(&self.writer)
            .await
            .map_err(|error| match error.as_database_error() {
                Some(cause) if cause.is_unique_violation() => StoreError::UserExists(name.clone()),
                _ => error.into(),
            })?;
        Ok(user)
    }

    /// Returns all users, by name.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        sqlx::query("SELECT id, name, role FROM users WHERE role <> 'nobody' ORDER BY name")
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(user)
            .collect()
    }

    /// Returns the user of that name.
    pub async fn user_named(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        sqlx::query("SELECT id, name, role FROM users WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(user)
            .transpose()
    }

    /// Returns the user whose key has that fingerprint (`SHA256:…`).
    pub async fn user_of_fingerprint(&self, fingerprint: &str) -> Result<Option<User>, StoreError> {
        sqlx::query(
            "SELECT users.id, users.name, users.role FROM users \
             JOIN ssh_keys ON ssh_keys.user_id = users.id WHERE ssh_keys.fingerprint = $1",
        )
        .bind(fingerprint)
        .fetch_optional(&self.reader)
        .await?
        .as_ref()
        .map(user)
        .transpose()
    }

    /// Returns all accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        sqlx::query(accounts!(
            "WHERE users.role <> 'nobody' ORDER BY users.name"
        ))
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(account)
        .collect()
    }

    /// Returns the account of that name.
    pub async fn account(&self, name: &UserName) -> Result<Option<Account>, StoreError> {
        sqlx::query(accounts!("WHERE users.name = $1"))
            .bind(name.as_str())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(account)
            .transpose()
    }

    /// Gives a user another role.
    ///
    /// # Errors
    /// `NoSuchUser`; `LastAdmin` where nobody could administer afterwards.
    pub async fn set_role(&self, name: &UserName, role: Role) -> Result<User, StoreError> {
        let changed = sqlx::query(
            "UPDATE users SET role = $1 WHERE name = $2 \
             AND ($1 = 'admin' OR role <> 'admin' OR EXISTS (SELECT 1 FROM users AS other \
                 WHERE other.role = 'admin' AND other.id <> users.id))",
        )
        .bind(role.as_str())
        .bind(name.as_str())
        .execute(&self.writer)
        .await?;
        let user = self.user_named(name).await?;
        let user = user.ok_or_else(|| StoreError::NoSuchUser(name.clone()))?;
        if changed.rows_affected() > 0 {
            Ok(user)
        } else {
            Err(StoreError::LastAdmin(user.name))
        }
    }

    /// Removes a user and their keys.
    ///
    /// # Errors
    /// `NoSuchUser`; `UserHasWorkspaces`, `UserHasDeleted` or `UserHasSnapshots` while there are any;
    /// `LastAdmin` where nobody could administer afterwards.
    pub async fn remove_user(&self, name: &UserName) -> Result<(), StoreError> {
        // One statement decides and removes, so that nothing comes in between.
        let removed = sqlx::query(
            "DELETE FROM users WHERE name = $1 \
             AND NOT EXISTS (SELECT 1 FROM workspaces WHERE workspaces.owner_id = users.id) \
             AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.owner_id = users.id) \
             AND (role <> 'admin' OR EXISTS (SELECT 1 FROM users AS other \
                 WHERE other.role = 'admin' AND other.id <> users.id))",
        )
        .bind(name.as_str())
        .execute(&self.writer)
        .await?;
        if removed.rows_affected() > 0 {
            return Ok(());
        }
        let Some(user) = self.user_named(name).await? else {
            return Err(StoreError::NoSuchUser(name.clone()));
        };
        let row = sqlx::query(
            "SELECT COUNT(*) AS workspaces, COUNT(deleted) AS deleted FROM workspaces \
             WHERE owner_id = $1",
        )
        .bind(user.id.as_str())
        .fetch_one(&self.reader)
        .await?;
        let (all, deleted): (i64, i64) = (row.try_get("workspaces")?, row.try_get("deleted")?);
        let snapshots: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM snapshots WHERE owner_id = $1")
                .bind(user.id.as_str())
                .fetch_one(&self.reader)
                .await?;
        Err(match (all, deleted) {
            (0, _) if snapshots > 0 => StoreError::UserHasSnapshots(user.name),
            (0, _) => StoreError::LastAdmin(user.name),
            (all, deleted) if all > deleted => StoreError::UserHasWorkspaces(user.name),
            _ => StoreError::UserHasDeleted(user.name),
        })
    }
}

/// Says what it means that a row's user isn't there.
pub(super) fn gone(error: sqlx::Error, user: &User) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_foreign_key_violation() => {
            StoreError::NoSuchUser(user.name.clone())
        }
        _ => error.into(),
    }
}

fn account(row: &AnyRow) -> Result<Account, StoreError> {
    let password: Option<String> = row.try_get("password")?;
    let workspaces: i64 = row.try_get("workspaces")?;
    Ok(Account {
        user: user(row)?,
        has_password: password.is_some(),
        created: time(row, "created")?,
        workspaces: u64::try_from(workspaces).unwrap_or_default(),
    })
}

/// Reads `id`, `name`, `role`.
pub(super) fn user(row: &AnyRow) -> Result<User, StoreError> {
    Ok(User {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        role: parsed(row, "role")?,
    })
}
