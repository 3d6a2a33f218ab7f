//! SSH user certificates that were signed.

use std::str::FromStr;

use sqlx::Row as _;
use sqlx::any::AnyRow;
use sqlx::error::DatabaseError;
use time::{Duration, OffsetDateTime};

use super::row::{milliseconds, now, optional_time, parsed, time, unreadable};
use super::users;
use super::{Store, StoreError};
use crate::identity::{CertificateRecord, SshAction, User, Via};

/// How long those that ended are kept: to be seen, and revoked with what they let in.
pub const ENDED_CERTIFICATES_KEPT: Duration = Duration::days(7);

/// Selects certificates with their users.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            users::select!(
                ", serial, login_id, token_id, key_id, fingerprint, principals, \
                 source_addresses, actions, ssh_certificates.created AS created, expires, \
                 revoked FROM ssh_certificates \
                 JOIN users ON users.id = ssh_certificates.user_id "
            ),
            $rest
        )
    };
}

impl Store {
    /// Notes a certificate that is handed out, and forgets those of its user that ended
    /// long ago.
    pub async fn add_ssh_certificate(&self, new: &CertificateRecord) -> Result<(), StoreError> {
        let (login, token) = match &new.via {
            Via::Login(id) => (Some(id.as_str()), None),
            Via::Token(id) => (None, Some(id.as_str())),
        };
        sqlx::query("DELETE FROM ssh_certificates WHERE user_id = $1 AND expires < $2")
            .bind(new.user.id.as_str())
            .bind(milliseconds(
                OffsetDateTime::now_utc() - ENDED_CERTIFICATES_KEPT,
            ))
            .execute(&self.writer)
            .await?;
        let actions: Vec<_> = new.actions.iter().map(SshAction::as_str).collect();
        let inserted = sqlx::query(
            "INSERT INTO ssh_certificates (serial, user_id, login_id, token_id, key_id, \
             fingerprint, principals, source_addresses, actions, created, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(signed(new.serial))
        .bind(new.user.id.as_str())
        .bind(login)
        .bind(token)
        .bind(&new.key_id)
        .bind(&new.fingerprint)
        .bind(new.principals.join(","))
        .bind(join(&new.networks))
        .bind(actions.join(","))
        .bind(milliseconds(new.created))
        .bind(milliseconds(new.expires))
        .execute(&self.writer)
        .await;
        match inserted {
            Err(error)
                if error
                    .as_database_error()
                    .is_some_and(DatabaseError::is_foreign_key_violation) =>
            {
                Err(StoreError::NoSuchUser(new.user.name.clone()))
            }
            inserted => Ok(inserted.map(|_| ())?),
        }
    }

    /// Returns a certificate by its serial number.
    pub async fn ssh_certificate(
        &self,
        serial: u64,
    ) -> Result<Option<CertificateRecord>, StoreError> {
        sqlx::query(select!("WHERE serial = $1"))
            .bind(signed(serial))
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(record)
            .transpose()
    }

    /// Returns a user's certificates, the newest first.
    pub async fn ssh_certificates_of(
        &self,
        user: &User,
    ) -> Result<Vec<CertificateRecord>, StoreError> {
        sqlx::query(select!(
            "WHERE user_id = $1 AND expires > $2 ORDER BY ssh_certificates.created DESC, serial"
        ))
        .bind(user.id.as_str())
        .bind(milliseconds(
            OffsetDateTime::now_utc() - ENDED_CERTIFICATES_KEPT,
        ))
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(record)
        .collect()
    }

    /// Revokes one of a user's certificates; `false` where there is none, or it was before.
    pub async fn revoke_ssh_certificate(
        &self,
        user: &User,
        serial: u64,
    ) -> Result<bool, StoreError> {
        let revoked = sqlx::query(
            "UPDATE ssh_certificates SET revoked = $1 \
             WHERE serial = $2 AND user_id = $3 AND revoked IS NULL",
        )
        .bind(now().1)
        .bind(signed(serial))
        .bind(user.id.as_str())
        .execute(&self.writer)
        .await?;
        Ok(revoked.rows_affected() > 0)
    }
}

/// Returns a serial number as a column has it; no other is ever handed out.
fn signed(serial: u64) -> i64 {
    i64::try_from(serial).unwrap_or(-1)
}

fn join<T: ToString>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    values.join(",")
}

/// Reads a column of values that are separated by commas.
fn listed<T: FromStr, C: FromIterator<T>>(
    row: &AnyRow,
    column: &'static str,
) -> Result<C, StoreError> {
    let text: String = row.try_get(column)?;
    let values = text.split(',').filter(|value| !value.is_empty());
    values
        .map(|value| value.parse().map_err(|_| unreadable(column, value)))
        .collect()
}

fn record(row: &AnyRow) -> Result<CertificateRecord, StoreError> {
    let serial: i64 = row.try_get("serial")?;
    let login: Option<String> = row.try_get("login_id")?;
    let via = match login {
        Some(_) => Via::Login(parsed(row, "login_id")?),
        None => Via::Token(parsed(row, "token_id")?),
    };
    Ok(CertificateRecord {
        serial: u64::try_from(serial).map_err(|_| unreadable("serial", &serial.to_string()))?,
        user: users::user(row)?,
        via,
        key_id: row.try_get("key_id")?,
        fingerprint: row.try_get("fingerprint")?,
        principals: listed(row, "principals")?,
        networks: listed(row, "source_addresses")?,
        actions: listed(row, "actions")?,
        created: time(row, "created")?,
        expires: time(row, "expires")?,
        revoked: optional_time(row, "revoked")?,
    })
}
