//! Signing in, and what people do with their own account.
//!
//! Guessing is counted in the same lock-out as on SSH. What ends here ends at once
//! for what is open, too.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::sleep;

use super::password::Verdict;
use super::{
    Caller, Locked, Lockout, Narrowing, PasswordError, Passwords, Role, Scope, Secret, Sessions,
    TOKEN_PREFIX, Tried, User, Via,
};
use crate::names::{LoginId, TokenId, UserName};
use crate::store::{Login, Method, NewLogin, NewToken, OnNewPassword, Store, StoreError, Token};

/// Longest name of a browser that is kept, in characters.
const MAX_USER_AGENT: usize = 200;

/// How long after a sign-in with a link a new password needs no old one.
const LINK_IS_FRESH: Duration = Duration::from_hours(1);

/// Whom guesses of links are counted for, beside the address.
const LINK_NAME: &str = "a link";

/// People's accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Store,
    sessions: Sessions,
    lockout: Arc<Lockout>,
    passwords: Passwords,
}

/// Where somebody signs in from.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Its address.
    pub address: IpAddr,
    /// What it says that it is.
    pub user_agent: String,
}

/// A token that somebody wants.
#[derive(Clone, Copy, Debug)]
pub struct TokenWish<'a> {
    /// What to call it.
    pub name: &'a str,
    /// What it allows.
    pub scope: Scope,
    /// To which part of that it is narrowed.
    pub narrowed_to: Option<&'a Narrowing>,
    /// When it ends.
    pub expires: Option<OffsetDateTime>,
}

/// A password that is to count from now on. It has no `Debug`: nobody is to print it.
pub struct PasswordChange {
    /// The one that counted so far, where that is needed.
    pub current: Option<String>,
    /// The new one.
    pub password: String,
    /// What becomes of the tokens.
    pub tokens: OnNewPassword,
}

/// A login that has begun.
#[derive(Debug)]
pub struct SignedIn {
    /// Who signed in.
    pub user: User,
    /// The login.
    pub login: Login,
    /// What the browser shows from now on.
    pub secret: Secret,
}

/// Why somebody isn't signed in, or may not set a password.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The name or the password is wrong.
    #[error(
        "the name or the password is wrong: try again, or ask an administrator for a sign-in link"
    )]
    Wrong,
    /// The link is unknown, used or too old.
    #[error(
        "this link was used already or is too old: ask for a new one, or run \
         `devgate users link NAME` on the server"
    )]
    Link,
    /// The password that counts now is wrong.
    #[error("the current password is wrong: try again, or ask an administrator for a sign-in link")]
    Current,
    /// Tokens don't do this.
    #[error("only a browser that is signed in may do this, not a token: use the dashboard")]
    LoginNeeded,
    /// Too many failures.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The password can't be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The records refuse.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Puts the parts together.
    pub fn new(store: Store, sessions: Sessions, lockout: Arc<Lockout>) -> Self {
        Self {
            store,
            sessions,
            lockout,
            passwords: Passwords::default(),
        }
    }

    /// Signs in with a password.
    ///
    /// # Errors
    /// `Wrong` alike where the name, the password or any password is missing; it
    /// takes as long, and longer the more failures there were.
    pub async fn sign_in(
        &self,
        name: &str,
        password: String,
        browser: &Browser,
    ) -> Result<SignedIn, SignInError> {
        self.lockout.check(browser.address, Tried::Account(name))?;
        let found = match name.parse::<UserName>() {
            Ok(name) => self.store.password_of(&name).await?,
            Err(_) => None,
        };
        let (user, right) = match found {
            Some((user, right)) => (Some(user), right),
            None => (None, None),
        };
        match (
            user,
            self.verify(name, password, right, browser.address).await?,
        ) {
            (Some(user), Verdict::Right) => {
                self.lockout
                    .succeeded(browser.address, Tried::Account(name));
                self.begin(user, Method::Password, browser).await
            }
            _ => Err(SignInError::Wrong),
        }
    }

    /// Signs in with the secret of a one-time link, which ends by it.
    ///
    /// # Errors
    /// `Link` where there is no such link any more.
    pub async fn sign_in_by_link(
        &self,
        secret: &str,
        browser: &Browser,
    ) -> Result<SignedIn, SignInError> {
        self.lockout.check_address(browser.address)?;
        let taken = match Secret::shown(secret) {
            Some(secret) => self.store.take_link(&secret.hash()).await?,
            None => None,
        };
        let Some(user) = taken else {
            // The address alone: a link says no name.
            sleep(self.lockout.failed_from(browser.address, LINK_NAME)).await;
            return Err(SignInError::Link);
        };
        self.begin(user, Method::Link, browser).await
    }

    /// Sets the caller's password and ends their other logins, and their tokens where that
    /// is asked for.
    ///
    /// # Errors
    /// `Current` where the old one is needed and wrong.
    pub async fn set_password(
        &self,
        caller: &Caller,
        new: PasswordChange,
        address: IpAddr,
    ) -> Result<(), SignInError> {
        let PasswordChange {
            current,
            password,
            tokens,
        } = new;
        let Via::Login(id) = &caller.via else {
            return Err(SignInError::LoginNeeded);
        };
        let name = caller.user.name.as_str();
        let found = self.store.password_of(&caller.user.name).await?;
        let right = found.and_then(|(_, right)| right);
        let logins = self.store.logins(&caller.user).await?;
        let fresh = OffsetDateTime::now_utc() - LINK_IS_FRESH;
        let by_link = logins
            .iter()
            .any(|login| login.id == *id && login.method == Method::Link && login.created > fresh);
        if right.is_some() && !by_link {
            self.lockout.check(address, Tried::Account(name))?;
            let current = current.unwrap_or_default();
            if self.verify(name, current, right, address).await? == Verdict::Wrong {
                return Err(SignInError::Current);
            }
        }
        let hash = self.passwords.hash(password).await?;
        self.store
            .set_password(&caller.user, &hash, Some(id), tokens)
            .await?;
        self.sessions.recheck();
        Ok(())
    }

    /// Makes a link that signs a user in once. Returns its secret and when it ends.
    pub async fn link(&self, user: &User) -> Result<(Secret, OffsetDateTime), StoreError> {
        let secret = Secret::random("");
        let expires = self.store.add_link(user, &secret.hash()).await?;
        Ok((secret, expires))
    }

    /// Makes a token; `None` where the user has as many as one may have.
    pub async fn add_token(
        &self,
        user: &User,
        wish: TokenWish<'_>,
    ) -> Result<Option<(Token, Secret)>, StoreError> {
        let secret = Secret::random(TOKEN_PREFIX);
        let hash = secret.hash();
        let new = NewToken {
            user,
            secret: &hash,
            wish,
        };
        let token = self.store.add_token(new).await?;
        Ok(token.map(|token| (token, secret)))
    }

    /// Takes a token from a user; `false` where the user doesn't have it.
    pub async fn remove_token(&self, user: &User, id: &TokenId) -> Result<bool, StoreError> {
        let removed = self.store.remove_token(user, id).await?;
        self.sessions.recheck();
        Ok(removed)
    }

    /// Ends one of a user's logins; `false` where the user doesn't have it.
    pub async fn end_login(&self, user: &User, id: &LoginId) -> Result<bool, StoreError> {
        let ended = self.store.end_login(user, id).await?;
        self.sessions.recheck();
        Ok(ended)
    }

    /// Removes a user and all that signs them in.
    pub async fn remove_user(&self, name: &UserName) -> Result<(), StoreError> {
        let removed = self.store.remove_user(name).await;
        self.sessions.recheck();
        removed
    }

    /// Gives a user another role.
    pub async fn set_role(&self, name: &UserName, role: Role) -> Result<User, StoreError> {
        let user = self.store.set_role(name, role).await;
        self.sessions.recheck();
        user
    }

    /// Compares a password, and counts a wrong one. In its own turn: of those who
    /// guess at the same time few get past the lock-out.
    async fn verify(
        &self,
        name: &str,
        password: String,
        right: Option<String>,
        address: IpAddr,
    ) -> Result<Verdict, SignInError> {
        let slot = self.passwords.slot().await?;
        self.lockout.check(address, Tried::Account(name))?;
        let verdict = slot.verify(password, right).await?;
        if verdict == Verdict::Wrong {
            sleep(self.lockout.failed(address, Tried::Account(name))).await;
        }
        Ok(verdict)
    }

    async fn begin(
        &self,
        user: User,
        method: Method,
        browser: &Browser,
    ) -> Result<SignedIn, SignInError> {
        let secret = Secret::random("");
        let printable = browser.user_agent.chars().filter(|c| !c.is_control());
        let user_agent: String = printable.take(MAX_USER_AGENT).collect();
        let login = self
            .store
            .add_login(NewLogin {
                user: &user,
                secret: &secret.hash(),
                method,
                address: browser.address,
                user_agent: &user_agent,
            })
            .await?;
        Ok(SignedIn {
            user,
            login,
            secret,
        })
    }
}
