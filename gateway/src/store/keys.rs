//! The SSH keys that sign people in.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::row::{now, time};
use super::{Store, StoreError};
use crate::identity::{AuthorizedKey, Key, User};
use crate::names::UserName;

/// What became of a key that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKey {
    /// It is the user's now.
    Added,
    /// It was the user's before.
    Known,
}

impl Store {
    /// Gives a key to a user.
    ///
    /// # Errors
    /// `KeyOfAnother` where it signs in somebody else.
    pub async fn add_key(&self, user: &User, key: &AuthorizedKey) -> Result<NewKey, StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO ssh_keys (fingerprint, user_id, public_key, label, created) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(key.fingerprint())
        .bind(user.id.as_str())
        .bind(key.as_openssh())
        .bind(key.comment())
        .bind(now().1)
        .execute(&self.writer)
        .await;
        match inserted {
            Ok(_) => Ok(NewKey::Added),
            Err(error) => match error.as_database_error() {
                Some(cause) if cause.is_unique_violation() => {
                    match self.user_of_fingerprint(key.fingerprint()).await? {
                        Some(owner) if owner.id == user.id => Ok(NewKey::Known),
                        _ => Err(StoreError::KeyOfAnother {
                            fingerprint: key.fingerprint().to_owned(),
                        }),
                    }
                }
                Some(cause) if cause.is_foreign_key_violation() => {
                    Err(StoreError::NoSuchUser(user.name.clone()))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Returns a user's keys, the oldest first.
    pub async fn keys_of(&self, user: &User) -> Result<Vec<Key>, StoreError> {
        sqlx::query(
            "SELECT fingerprint, public_key, label, created FROM ssh_keys \
             WHERE user_id = $1 ORDER BY created, fingerprint",
        )
        .bind(user.id.as_str())
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(key)
        .collect()
    }

    /// Takes the key with that fingerprint from a user; `false` where the user
    /// doesn't have it.
    pub async fn remove_key(&self, user: &User, fingerprint: &str) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM ssh_keys WHERE user_id = $1 AND fingerprint = $2")
            .bind(user.id.as_str())
            .bind(fingerprint)
            .execute(&self.writer)
            .await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Returns the name of the user whose key has that fingerprint.
    pub async fn owner_of_key(&self, fingerprint: &str) -> Result<Option<UserName>, StoreError> {
        let owner = self.user_of_fingerprint(fingerprint).await?;
        Ok(owner.map(|user| user.name))
    }
}

fn key(row: &AnyRow) -> Result<Key, StoreError> {
    Ok(Key {
        fingerprint: row.try_get("fingerprint")?,
        public_key: row.try_get("public_key")?,
        comment: row.try_get("label")?,
        added: time(row, "created")?,
    })
}
