//! Logins and API tokens: what a browser or a program shows to be known.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::row::{instant, json, milliseconds, optional_time, parsed, time, unreadable};
use super::users;
use super::{Store, StoreError};
use crate::identity::{
    Caller, Lasts, Narrowing, Role, Scope, SecretHash, Shown, TokenWish, User, Via,
};
use crate::names::{LoginId, TokenId};

/// How long a login lasts that nobody uses.
const IDLE: Duration = Duration::from_hours(14 * 24);

/// How long a login lasts, however much it is used.
const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// How exactly the last use is recorded: not with every request.
const USE_STEP: Duration = Duration::from_mins(1);

/// Logins and tokens, each, that one user may have; a new login ends the oldest.
const MAX_OF_USER: i64 = 200;

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// With their password.
    Password,
    /// With a one-time link.
    Link,
}

/// A login in the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its id.
    pub id: LoginId,
    /// How it began.
    pub method: Method,
    /// When it began.
    pub created: OffsetDateTime,
    /// When it was last used, to the minute.
    pub last_used: OffsetDateTime,
    /// When it ends unless it is used.
    pub expires: OffsetDateTime,
    /// The address that used it last.
    pub address: String,
    /// What the browser said that it is.
    pub user_agent: String,
}

/// A token in the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// To which part of that it is narrowed.
    pub narrowed_to: Option<Narrowing>,
    /// When it was made.
    pub created: OffsetDateTime,
    /// When it was last used, to the minute.
    pub last_used: Option<OffsetDateTime>,
    /// When it ends.
    pub expires: Option<OffsetDateTime>,
}

/// A login that begins.
#[derive(Clone, Debug)]
pub struct NewLogin<'a> {
    /// Whose it is.
    pub user: &'a User,
    /// What the cookie's secret hashes to.
    pub secret: &'a SecretHash,
    /// How it began.
    pub method: Method,
    /// The browser's address.
    pub address: IpAddr,
    /// What the browser says that it is.
    pub user_agent: &'a str,
}

/// A token that is made.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// Whose it is.
    pub user: &'a User,
    /// What it hashes to.
    pub secret: &'a SecretHash,
    /// What it is to be.
    pub wish: TokenWish<'a>,
}

impl Method {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Link => "link",
        }
    }
}

impl Store {
    /// Begins a login.
    ///
    /// # Errors
    /// `NoSuchUser` where the user was removed meanwhile.
    pub async fn add_login(&self, new: NewLogin<'_>) -> Result<Login, StoreError> {
        let now = instant(OffsetDateTime::now_utc());
        let login = Login {
            id: LoginId::random(),
            method: new.method,
            created: now,
            last_used: now,
            expires: now + IDLE,
            address: new.address.to_string(),
            user_agent: new.user_agent.to_owned(),
        };
        sqlx::query(
            "INSERT INTO logins (id, user_id, secret, method, created, last_used, expires, \
             address, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(login.id.as_str())
        .bind(new.user.id.as_str())
        .bind(new.secret.as_str())
        .bind(login.method.as_str())
        .bind(milliseconds(login.created))
        .bind(milliseconds(login.last_used))
        .bind(milliseconds(login.expires))
        .bind(login.address.as_str())
        .bind(login.user_agent.as_str())
        .execute(&self.writer)
        .await
        .map_err(|error| users::gone(error, new.user))?;
        // The same statement for all engines: the newest are kept.
        sqlx::query(
            "DELETE FROM logins WHERE user_id = $1 AND id NOT IN (SELECT id FROM logins \
             WHERE user_id = $1 ORDER BY last_used DESC, id LIMIT $2)",
        )
        .bind(new.user.id.as_str())
        .bind(MAX_OF_USER)
        .execute(&self.writer)
        .await?;
        Ok(login)
    }

    /// Returns whom a login's secret signs in.
    pub async fn login_of(
        &self,
        secret: &SecretHash,
        now: OffsetDateTime,
    ) -> Result<Option<Shown>, StoreError> {
        let found = sqlx::query(users::select!(
            ", logins.id AS via, logins.expires AS expires FROM logins \
             JOIN users ON users.id = logins.user_id \
             WHERE logins.secret = $1 AND logins.expires > $2"
        ))
        .bind(secret.as_str())
        .bind(milliseconds(now))
        .fetch_optional(&self.reader)
        .await?;
        let shown = |row: &AnyRow| {
            Ok(Shown {
                caller: Caller {
                    user: users::user(row)?,
                    via: Via::Login(parsed(row, "via")?),
                    scope: Scope::Admin,
                    narrowed_to: None,
                },
                lasts: Lasts::Until(time(row, "expires")?),
            })
        };
        found.as_ref().map(shown).transpose()
    }

    /// Returns whom a token signs in.
    pub async fn token_of(
        &self,
        secret: &SecretHash,
        now: OffsetDateTime,
    ) -> Result<Option<Shown>, StoreError> {
        let found = sqlx::query(users::select!(
            ", tokens.id AS via, tokens.expires AS expires, tokens.scope AS scope, \
             tokens.narrowed_to AS narrowed_to FROM tokens \
             JOIN users ON users.id = tokens.user_id \
             WHERE tokens.secret = $1 AND (tokens.expires IS NULL OR tokens.expires > $2)"
        ))
        .bind(secret.as_str())
        .bind(milliseconds(now))
        .fetch_optional(&self.reader)
        .await?;
        let shown = |row: &AnyRow| {
            Ok(Shown {
                caller: Caller {
                    user: users::user(row)?,
                    via: Via::Token(parsed(row, "via")?),
                    scope: parsed(row, "scope")?,
                    narrowed_to: narrowed_to(row)?.map(Arc::new),
                },
                lasts: optional_time(row, "expires")?.map_or(Lasts::Ever, Lasts::Until),
            })
        };
        found.as_ref().map(shown).transpose()
    }

    /// Tells how long a login or token still counts, and what role it gives; `None`
    /// where it doesn't count.
    pub async fn lasts(
        &self,
        via: &Via,
        now: OffsetDateTime,
    ) -> Result<Option<(Lasts, Role)>, StoreError> {
        let query = match via {
            Via::Login(id) => sqlx::query(
                "SELECT logins.expires AS expires, users.role AS role FROM logins \
                 JOIN users ON users.id = logins.user_id \
                 WHERE logins.id = $1 AND logins.expires > $2",
            )
            .bind(id.as_str()),
            Via::Token(id) => sqlx::query(
                "SELECT tokens.expires AS expires, users.role AS role FROM tokens \
                 JOIN users ON users.id = tokens.user_id \
                 WHERE tokens.id = $1 AND (tokens.expires IS NULL OR tokens.expires > $2)",
            )
            .bind(id.as_str()),
        };
        let found = query
            .bind(milliseconds(now))
            .fetch_optional(&self.reader)
            .await?;
        let lasts = |row: &AnyRow| {
            let at = optional_time(row, "expires")?;
            Ok((at.map_or(Lasts::Ever, Lasts::Until), parsed(row, "role")?))
        };
        found.as_ref().map(lasts).transpose()
    }

    /// Records that a login or token was used, at most once a minute; a login lasts
    /// longer by it.
    pub async fn used(
        &self,
        via: &Via,
        now: OffsetDateTime,
        address: IpAddr,
    ) -> Result<(), StoreError> {
        let before = milliseconds(now - USE_STEP);
        // Most requests find nothing to change, and need no turn at writing.
        let (stale, update) = match via {
            Via::Login(id) => (
                sqlx::query("SELECT created FROM logins WHERE id = $1 AND last_used < $2")
                    .bind(id.as_str()),
                "UPDATE logins SET last_used = $1, expires = $2, address = $3 \
                 WHERE id = $4",
            ),
            Via::Token(id) => (
                sqlx::query(
                    "SELECT created FROM tokens WHERE id = $1 \
                     AND (last_used IS NULL OR last_used < $2)",
                )
                .bind(id.as_str()),
                "UPDATE tokens SET last_used = $1 WHERE id = $2",
            ),
        };
        let Some(row) = stale.bind(before).fetch_optional(&self.reader).await? else {
            return Ok(());
        };
        let update = sqlx::query(update).bind(milliseconds(now));
        let update = match via {
            Via::Login(id) => {
                let longest = time(&row, "created")? + LIFETIME;
                update
                    .bind(milliseconds((now + IDLE).min(longest)))
                    .bind(address.to_string())
                    .bind(id.as_str())
            }
            Via::Token(id) => update.bind(id.as_str()),
        };
        update.execute(&self.writer).await?;
        Ok(())
    }

    /// Returns a user's logins, the last used first.
    pub async fn logins(&self, user: &User) -> Result<Vec<Login>, StoreError> {
        sqlx::query(
            "SELECT id, method, created, last_used, expires, address, user_agent FROM logins \
             WHERE user_id = $1 AND expires > $2 ORDER BY last_used DESC, id",
        )
        .bind(user.id.as_str())
        .bind(milliseconds(OffsetDateTime::now_utc()))
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(login)
        .collect()
    }

    /// Ends one of a user's logins; `false` where the user doesn't have it.
    pub async fn end_login(&self, user: &User, id: &LoginId) -> Result<bool, StoreError> {
        let ended = sqlx::query("DELETE FROM logins WHERE user_id = $1 AND id = $2")
            .bind(user.id.as_str())
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(ended.rows_affected() > 0)
    }

    /// Makes a token; `None` where the user has as many as one may have.
    ///
    /// # Errors
    /// `NoSuchUser` where the user was removed meanwhile.
    pub async fn add_token(&self, new: NewToken<'_>) -> Result<Option<Token>, StoreError> {
        let token = Token {
            id: TokenId::random(),
            name: new.wish.name.to_owned(),
            scope: new.wish.scope,
            narrowed_to: new.wish.narrowed_to.cloned(),
            created: instant(OffsetDateTime::now_utc()),
            last_used: None,
            expires: new.wish.expires.map(instant),
        };
        let narrowed_to = token.narrowed_to.as_ref();
        let narrowed_to = narrowed_to.map(|it| json("narrowed_to", it)).transpose()?;
        let added = sqlx::query(
            "INSERT INTO tokens (id, user_id, secret, name, scope, created, expires, \
             narrowed_to) SELECT $1, $2, $3, $4, $5, $6, $7, $9 \
             WHERE (SELECT COUNT(*) FROM tokens WHERE user_id = $2) < $8",
        )
        .bind(token.id.as_str())
        .bind(new.user.id.as_str())
        .bind(new.secret.as_str())
        .bind(token.name.as_str())
        .bind(token.scope.as_str())
        .bind(milliseconds(token.created))
        .bind(token.expires.map(milliseconds))
        .bind(MAX_OF_USER)
        .bind(narrowed_to)
        .execute(&self.writer)
        .await
        .map_err(|error| users::gone(error, new.user))?;
        Ok((added.rows_affected() > 0).then_some(token))
    }

    /// Returns a user's tokens, the newest first.
    pub async fn tokens(&self, user: &User) -> Result<Vec<Token>, StoreError> {
        sqlx::query(
            "SELECT id, name, scope, created, last_used, expires, narrowed_to FROM tokens \
             WHERE user_id = $1 ORDER BY created DESC, id",
        )
        .bind(user.id.as_str())
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(token)
        .collect()
    }

    /// Takes a token from a user; `false` where the user doesn't have it.
    pub async fn remove_token(&self, user: &User, id: &TokenId) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM tokens WHERE user_id = $1 AND id = $2")
            .bind(user.id.as_str())
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(removed.rows_affected() > 0)
    }
}

fn login(row: &AnyRow) -> Result<Login, StoreError> {
    let method: String = row.try_get("method")?;
    Ok(Login {
        id: parsed(row, "id")?,
        method: match method.as_str() {
            "password" => Method::Password,
            "link" => Method::Link,
            other => return Err(unreadable("method", other)),
        },
        created: time(row, "created")?,
        last_used: time(row, "last_used")?,
        expires: time(row, "expires")?,
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
    })
}

fn token(row: &AnyRow) -> Result<Token, StoreError> {
    Ok(Token {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        scope: parsed(row, "scope")?,
        narrowed_to: narrowed_to(row)?,
        created: time(row, "created")?,
        last_used: optional_time(row, "last_used")?,
        expires: optional_time(row, "expires")?,
    })
}

/// What can't be read narrows to nothing that anybody could do, and so is an error.
fn narrowed_to(row: &AnyRow) -> Result<Option<Narrowing>, StoreError> {
    let text: Option<String> = row.try_get("narrowed_to")?;
    let read =
        |text: String| serde_json::from_str(&text).map_err(|_| unreadable("narrowed_to", &text));
    text.map(read).transpose()
}
