//! Named secrets, sealed: what is in here is of no use without the key.

use sqlx::any::AnyRow;

use super::row::{now, parsed, time};
use super::{Store, StoreError};
use crate::secrets::{Entry, Holder, SecretName};

/// Secrets that one holder may have.
const MAX_SECRETS: i64 = 200;

impl Store {
    /// Keeps a sealed secret in place of the one of that name. `false` where the holder
    /// has as many as there may be.
    ///
    /// # Errors
    /// Where the user was removed meanwhile.
    pub async fn set_secret(
        &self,
        holder: &Holder,
        name: &SecretName,
        sealed: &str,
    ) -> Result<bool, StoreError> {
        let now = now().1;
        let mut transaction = self.writer.begin().await?;
        let changed = sqlx::query(
            "UPDATE secrets SET sealed = $1, changed = $2 WHERE holder = $3 AND name = $4",
        )
        .bind(sealed)
        .bind(now)
        .bind(holder.as_str())
        .bind(name.as_str())
        .execute(&mut *transaction)
        .await?;
        let mut kept = changed.rows_affected() > 0;
        if !kept {
            let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM secrets WHERE holder = $1")
                .bind(holder.as_str())
                .fetch_one(&mut *transaction)
                .await?;
            kept = count < MAX_SECRETS;
            if kept {
                sqlx::query(
                    "INSERT INTO secrets (holder, name, user_id, sealed, created, changed) \
                     VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(holder.as_str())
                .bind(name.as_str())
                .bind(holder.user().map(|id| id.as_str().to_owned()))
                .bind(sealed)
                .bind(now)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            }
        }
        transaction.commit().await?;
        Ok(kept)
    }

    /// Removes a secret; `false` where there is none.
    pub async fn remove_secret(
        &self,
        holder: &Holder,
        name: &SecretName,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM secrets WHERE holder = $1 AND name = $2")
            .bind(holder.as_str())
            .bind(name.as_str())
            .execute(&self.writer)
            .await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Returns the secrets of a holder, by name, without what they are.
    pub async fn secrets(&self, holder: &Holder) -> Result<Vec<Entry>, StoreError> {
        sqlx::query("SELECT name, created, changed FROM secrets WHERE holder = $1 ORDER BY name")
            .bind(holder.as_str())
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(entry)
            .collect()
    }

    /// Returns how many secrets there are, whoever holds them.
    pub async fn sealed_secrets(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM secrets")
            .fetch_one(&self.reader)
            .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Returns a sealed secret.
    pub async fn sealed_secret(
        &self,
        holder: &Holder,
        name: &SecretName,
    ) -> Result<Option<String>, StoreError> {
        let found =
            sqlx::query_scalar("SELECT sealed FROM secrets WHERE holder = $1 AND name = $2")
                .bind(holder.as_str())
                .bind(name.as_str())
                .fetch_optional(&self.reader)
                .await?;
        Ok(found)
    }
}

fn entry(row: &AnyRow) -> Result<Entry, StoreError> {
    Ok(Entry {
        name: parsed(row, "name")?,
        created: time(row, "created")?,
        changed: time(row, "changed")?,
    })
}
