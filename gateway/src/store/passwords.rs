//! Passwords, as what they hash to, and one-time links.

use std::time::Duration;

use sqlx::Row as _;
use time::OffsetDateTime;

use super::row::milliseconds;
use super::{Store, StoreError, users};
use crate::identity::{SecretHash, User};
use crate::names::{LoginId, UserName};

/// How long a link can be used.
pub const LINK_LIFETIME: Duration = Duration::from_hours(24);

/// Links that one user may have; a new one ends the oldest.
const MAX_LINKS: i64 = 20;

/// What becomes of a user's tokens when their password changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNewPassword {
    /// They go on: programs have them, which don't know the password.
    KeepTokens,
    /// They end, as the logins do: somebody else may have made them.
    EndTokens,
}

impl Store {
    /// Returns the user of a name and what their password hashes to, in PHC's form.
    pub async fn password_of(
        &self,
        name: &UserName,
    ) -> Result<Option<(User, Option<String>)>, StoreError> {
        let found = sqlx::query(users::select!(
            ", users.password AS password FROM users WHERE users.name = $1"
        ))
        .bind(name.as_str())
        .fetch_optional(&self.reader)
        .await?;
        let read = |row| Ok((users::user(row)?, row.try_get("password")?));
        found.as_ref().map(read).transpose()
    }

    /// Sets what a user's password hashes to, and ends all their logins but one, and
    /// their links.
    pub async fn set_password(
        &self,
        user: &User,
        hash: &str,
        kept: Option<&LoginId>,
        tokens: OnNewPassword,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin().await?;
        sqlx::query("UPDATE users SET password = $1 WHERE id = $2")
            .bind(hash)
            .bind(user.id.as_str())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM logins WHERE user_id = $1 AND id <> $2")
            .bind(user.id.as_str())
            .bind(kept.map_or("", LoginId::as_str))
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM links WHERE user_id = $1")
            .bind(user.id.as_str())
            .execute(&mut *transaction)
            .await?;
        if tokens == OnNewPassword::EndTokens {
            sqlx::query("DELETE FROM tokens WHERE user_id = $1")
                .bind(user.id.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps a link that signs a user in once. Returns when it ends.
    ///
    /// # Errors
    /// `NoSuchUser` where the user was removed meanwhile.
    pub async fn add_link(
        &self,
        user: &User,
        secret: &SecretHash,
    ) -> Result<OffsetDateTime, StoreError> {
        let now = OffsetDateTime::now_utc();
        let expires = super::row::instant(now + LINK_LIFETIME);
        sqlx::query(
            "INSERT INTO links (secret, user_id, created, expires) VALUES ($1, $2, $3, $4)",
        )
        .bind(secret.as_str())
        .bind(user.id.as_str())
        .bind(milliseconds(now))
        .bind(milliseconds(expires))
        .execute(&self.writer)
        .await
        .map_err(|error| users::gone(error, user))?;
        sqlx::query(
            "DELETE FROM links WHERE user_id = $1 AND secret NOT IN (SELECT secret FROM links \
             WHERE user_id = $1 ORDER BY created DESC, secret LIMIT $2)",
        )
        .bind(user.id.as_str())
        .bind(MAX_LINKS)
        .execute(&self.writer)
        .await?;
        Ok(expires)
    }

    /// Takes a link: returns whom it signs in, and only once.
    pub async fn take_link(&self, secret: &SecretHash) -> Result<Option<User>, StoreError> {
        let now = milliseconds(OffsetDateTime::now_utc());
        let found = sqlx::query(users::select!(
            " FROM links JOIN users ON users.id = links.user_id WHERE links.secret = $1"
        ))
        .bind(secret.as_str())
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = found else {
            return Ok(None);
        };
        let user = users::user(&row)?;
        // Of those who come at the same time the statement lets one through.
        let taken = sqlx::query("DELETE FROM links WHERE secret = $1 AND expires > $2")
            .bind(secret.as_str())
            .bind(now)
            .execute(&self.writer)
            .await?;
        Ok((taken.rows_affected() > 0).then_some(user))
    }

    /// Removes what has expired: logins, tokens and links. Tokens stay for a while, so
    /// that their owners see what became of them.
    pub async fn remove_expired(&self, keep_tokens: Duration) -> Result<(), StoreError> {
        let now = OffsetDateTime::now_utc();
        for (statement, before) in [
            ("DELETE FROM logins WHERE expires <= $1", now),
            ("DELETE FROM links WHERE expires <= $1", now),
            ("DELETE FROM tokens WHERE expires <= $1", now - keep_tokens),
            ("DELETE FROM ports WHERE expires <= $1", now),
        ] {
            sqlx::query(statement)
                .bind(milliseconds(before))
                .execute(&self.writer)
                .await?;
        }
        Ok(())
    }
}
