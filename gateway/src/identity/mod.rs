//! Who calls, and what they may reach.
//!
//! A person is known by their key alone, never by the name that they log in with:
//! that one only says where they want to go (a [`Target`]). What reaches a
//! workspace's agent takes a [`Grant`], and only [`Identity::authorize`] makes one.

mod accounts;
mod approval;
mod certificate;
mod door;
mod grant;
mod key;
mod lockout;
mod narrowing;
mod password;
mod secret;
mod session;
mod target;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt;
use std::str::FromStr;

use ssh_key::{HashAlg, PublicKey};

use crate::names::{UserId, UserName, WorkspaceId};
use crate::store::{Store, StoreError};

pub use accounts::{Accounts, Browser, PasswordChange, SignInError, SignedIn, TokenWish};
pub use approval::{
    Approvals, Approved, Codes, Decision, Hold, INTERVAL, InvalidCode, Joined, LIFE, LetIn,
    NoDecision, NotApproved, People, ProgramWish, SLOWER, Sharing, Times, Undecided, UserCode,
    Waiting, What, Window, Wish,
};
pub use certificate::{
    Admitted, CertificateRecord, CertificateRefused, CertificateWish, Certificates,
    InvalidSshAction, NotSigned, SshAction, SshActions,
};
pub use door::{Door, Inside, Pass, Standing, Visitor, WorkspaceRef};
pub use grant::{Denied, Grant, Oversight};
pub use key::{AuthorizedKey, Key, KeyFileError, KeyRefused, RefusedLine};
pub(crate) use lockout::network_of;
pub use lockout::{Locked, Lockout, LockoutOptions, Subject, Tried};
pub use narrowing::{Action, InvalidNarrowing, Narrowing};
pub use password::{PasswordError, Passwords};
pub use secret::{Secret, SecretHash};
pub use session::{
    COOKIE, Caller, Cookies, InvalidScope, Lasts, PLAIN_COOKIE, Scope, SessionError, Sessions,
    Shown, TOKEN_PREFIX, Via, cookie,
};
pub use target::{InvalidTarget, Target};

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: UserName,
    /// What they may administer.
    pub role: Role,
}

impl User {
    /// Returns nobody, who has what belongs to no user yet, and can't sign in.
    pub fn nobody() -> Self {
        Self {
            id: UserId::nobody(),
            name: UserName::nobody(),
            role: Role::Member,
        }
    }
}

/// What a user may administer. Nobody's role opens others' workspaces, but
/// administrators see, start, stop and delete them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The installation.
    Admin,
    /// Their own workspaces and keys.
    Member,
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is 'admin' or 'member'")]
pub struct InvalidRole;

/// Tells who calls and what they may reach, from the records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    store: Store,
}

impl Role {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        match text {
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            _ => Err(InvalidRole),
        }
    }
}

impl Identity {
    /// Reads from these records.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Returns the user whom a key signs in, or `None`.
    pub async fn user_of_key(&self, key: &PublicKey) -> Result<Option<User>, StoreError> {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        self.store.user_of_fingerprint(&fingerprint).await
    }

    /// Tells whether there is more than one person.
    pub async fn people(&self) -> Result<People, StoreError> {
        Ok(match self.store.users().await?.len() {
            0 | 1 => People::One,
            _ => People::Several,
        })
    }

    /// Lets a user through to a workspace: their own, and nobody else's.
    ///
    /// # Errors
    /// `NoSuchWorkspace` alike where there is none and where it isn't theirs.
    pub async fn authorize(&self, user: &User, target: &Target) -> Result<Grant, Denied> {
        grant::authorize(&self.store, user, target).await
    }

    /// Lets a user through to a workspace of their own, by its id.
    ///
    /// # Errors
    /// `NoSuchId` alike where there is none and where it isn't theirs.
    pub async fn authorize_id(&self, user: &User, id: &WorkspaceId) -> Result<Grant, Denied> {
        grant::authorize_id(&self.store, user, id).await
    }

    /// Lets a user see and administer a workspace: its owner, and administrators.
    ///
    /// # Errors
    /// `NoSuchId` alike where there is none and where they may not see it.
    pub async fn oversee(&self, user: &User, id: &WorkspaceId) -> Result<Oversight, Denied> {
        grant::oversee(&self.store, user, id).await
    }
}
