//! One's own account, and those of others.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use utoipa::ToSchema;

use crate::http::wire::RoleName;
use crate::identity::{Narrowing, Scope};
use crate::names::{LoginId, TokenId, UserId, UserName};

/// Signs in with a password.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The name of the account.
    #[schema(min_length = 1, max_length = 200)]
    pub user: String,
    /// Its password.
    #[schema(min_length = 1, max_length = 1024, format = Password)]
    pub password: String,
}

/// Signs in with a one-time link.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInByLink {
    /// What stands behind `#link=` in the link.
    #[schema(min_length = 1, max_length = 200)]
    pub token: String,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The id, which no other user will ever have.
    pub id: UserId,
    /// The name.
    pub name: UserName,
    /// What they may administer.
    pub role: RoleName,
    /// Whether a password is set.
    pub has_password: bool,
    /// When the account was made.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// The token that asks; null: a browser does.
    #[schema(required = true)]
    pub token: Option<TokenId>,
    /// What that is narrowed to; null: nothing.
    #[schema(required = true)]
    pub narrowed_to: Option<Narrowing>,
}

/// Sets a password.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The one that counts now; may be left out where there is none, and within an hour
    /// after a sign-in with a link.
    #[serde(default)]
    #[schema(max_length = 1024, format = Password)]
    pub current_password: Option<String>,
    /// The new one.
    #[schema(min_length = 8, max_length = 1024, format = Password)]
    pub password: String,
    /// Whether all API tokens end, too: where somebody else may have known the old
    /// password, they may have made some. Default: they go on.
    #[serde(default)]
    pub end_tokens: Option<bool>,
}

/// A public key that signs somebody in over SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
    /// Its algorithm, as SSH names it.
    pub algorithm: String,
    /// What its owner calls it; may be empty.
    pub label: String,
    /// When it was added.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
}

/// Adds a key.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddKey {
    /// The line of a `.pub` file: algorithm, base64, comment.
    #[schema(min_length = 1, max_length = 16384)]
    pub public_key: String,
    /// What to call it; default: the comment.
    #[serde(default)]
    #[schema(max_length = 120)]
    pub label: Option<String>,
}

/// What a token allows; each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Scope)]
pub enum ScopeName {
    /// To see.
    Read,
    /// To change workspaces.
    Write,
    /// To administer: the account's keys and tokens and, for administrators, the
    /// installation.
    Admin,
}

/// A token, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scope: ScopeName,
    /// To which part of that it is narrowed; null: it isn't.
    #[schema(required = true)]
    pub narrowed_to: Option<Narrowing>,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When it ends; null: when it is deleted.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was last used, to the minute.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub last_used: Option<OffsetDateTime>,
}

/// A token that was just made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scope: ScopeName,
    /// To which part of that it is narrowed; null: it isn't.
    #[schema(required = true)]
    pub narrowed_to: Option<Narrowing>,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When it ends; null: when it is deleted.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was last used, to the minute.
    #[serde(with = "rfc3339::option")]
    #[schema(required = true)]
    pub last_used: Option<OffsetDateTime>,
    /// The token itself, for `Authorization: Bearer`. It is never shown again.
    pub token: String,
}

/// Makes a token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddToken {
    /// What to call it.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+$"
    )]
    pub name: String,
    /// What it allows.
    pub scope: ScopeName,
    /// When it ends; default: when it is deleted. At most one of this and
    /// `expires_in_seconds` is given.
    #[serde(default, with = "rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// In how many seconds it ends.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub expires_in_seconds: Option<u32>,
    /// To which part of the scope, `read` or `write`, it is narrowed.
    #[serde(default)]
    #[schema(required = false)]
    pub narrowed_to: Option<Narrowing>,
}

/// A login: a browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Login {
    /// Its id.
    pub id: LoginId,
    /// When it began.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// When it was last used, to the minute.
    #[serde(with = "rfc3339")]
    pub last_used: OffsetDateTime,
    /// The address that used it last.
    pub address: String,
    /// What the browser said that it is; may be empty.
    pub user_agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A user, as administrators see one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The id, which no other user will ever have.
    pub id: UserId,
    /// The name.
    pub name: UserName,
    /// What they may administer.
    pub role: RoleName,
    /// Whether a password is set.
    pub has_password: bool,
    /// When the account was made.
    #[serde(with = "rfc3339")]
    pub created: OffsetDateTime,
    /// How many workspaces they have.
    pub workspaces: u64,
}

/// Adds a user.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddUser {
    /// The name.
    pub name: UserName,
    /// What they may administer.
    #[serde(default)]
    pub role: RoleName,
}

/// Changes a user.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// What they may administer from now on.
    pub role: RoleName,
}

impl From<Scope> for ScopeName {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Write => Self::Write,
            Scope::Admin => Self::Admin,
        }
    }
}

impl From<ScopeName> for Scope {
    fn from(scope: ScopeName) -> Self {
        match scope {
            ScopeName::Read => Self::Read,
            ScopeName::Write => Self::Write,
            ScopeName::Admin => Self::Admin,
        }
    }
}

/// What holds a secret doesn't print it.
macro_rules! silent {
    ($($type:ident),+) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        })+
    };
}

silent!(SignIn, SignInByLink, NewPassword, NewToken);
