//! Who calls over HTTP: by a login's cookie or by a token.
//!
//! What was ended stops counting at once in this process: whoever holds something
//! open for a caller awaits [`Sessions::revoked`] beside it, or [`Sessions::changed`]
//! where their role counts.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, header};
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Narrowing, Role, Secret, SecretHash, User};
use crate::chain::chain;
use crate::names::{LoginId, TokenId};
use crate::store::{Store, StoreError};

/// The dashboard's cookie over HTTPS. The prefix has browsers refuse it from others
/// than this very host (RFC 6265bis §4.1.3.2).
pub const COOKIE: &str = "__Host-devgate";

/// The dashboard's cookie over plain HTTP.
pub const PLAIN_COOKIE: &str = "devgate";

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "dgt_";

/// How long a caller who was looked up is taken for granted; what ends meanwhile is
/// forgotten at once.
const CACHED: Duration = Duration::from_secs(1);

/// Callers that are kept for that long; the cache is emptied when it is full.
const MAX_CACHED: usize = 4096;

/// How often what is watched is looked at.
const SWEEP: Duration = Duration::from_millis(500);

/// Who asks over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: User,
    /// What they showed.
    pub via: Via,
    /// What that allows.
    pub scope: Scope,
    /// To which part of it a token is narrowed.
    pub narrowed_to: Option<Arc<Narrowing>>,
}

/// What a caller showed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The cookie of a login.
    Login(LoginId),
    /// An API token.
    Token(TokenId),
}

/// What a caller may do, within what their role allows; each includes the ones
/// before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See.
    Read,
    /// Change.
    Write,
    /// Administer the installation, and their own account.
    Admin,
}

/// A text that names no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is 'read', 'write' or 'admin'")]
pub struct InvalidScope;

/// Why it can't be told who calls.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The records can't be read.
    #[error("can't look up who is signed in")]
    Store(#[from] StoreError),
}

/// Which cookies count for a request, and are set by its answer: those of one name each,
/// never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// Those with the prefix `__Host-`, which no other host of the domain can set.
    Prefixed,
    /// Those of plain HTTP, over which browsers take no others.
    Plain,
}

impl Cookies {
    /// Returns the name of the dashboard's.
    pub const fn login(self) -> &'static str {
        match self {
            Self::Prefixed => COOKIE,
            Self::Plain => PLAIN_COOKIE,
        }
    }

    /// Returns the attribute that belongs to them.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Prefixed => "; Secure",
            Self::Plain => "",
        }
    }
}

/// A login or token in the records, with whose it is.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Who it signs in, and what for.
    pub caller: Caller,
    /// When it ends by itself.
    pub lasts: Lasts,
}

/// How long a login or token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// Until somebody ends it.
    Ever,
    /// Until then at most; a login that is used lasts longer.
    Until(OffsetDateTime),
}

/// Tells who calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    state: Mutex<State>,
    /// Wakes the task that looks at what is watched.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    cache: HashMap<SecretHash, (Instant, Shown)>,
    /// Counts what emptied the cache, so that what was read before isn't put back.
    emptied: u64,
    /// What others hold open; a few entries at most for each login and token there is.
    watched: HashMap<Watch, Watched>,
}

/// What is watched: a login or token, and whether it gives this role.
type Watch = (Via, Option<Role>);

#[derive(Debug)]
struct Watched {
    ended: CancellationToken,
    /// When it is to be looked up again, as far as that is known.
    look_up: Option<OffsetDateTime>,
    /// Whether it was looked up since something ended.
    certain: bool,
}

impl Scope {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            _ => Err(InvalidScope),
        }
    }
}

impl Sessions {
    /// Reads from these records.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Inner {
            store,
            state: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Tells who calls: by the token in `Authorization: Bearer`, else by the
    /// dashboard's cookie, of those that count. `None` where neither signs anybody in.
    /// `peer` is the client's address, for the list of logins.
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        cookies: Cookies,
        peer: IpAddr,
    ) -> Result<Option<Caller>, SessionError> {
        let (kind, secret) = match bearer(headers) {
            Some(secret) => (Kind::Token, secret),
            None => match cookie(headers, cookies.login()).and_then(Secret::shown) {
                Some(secret) => (Kind::Login, secret),
                None => return Ok(None),
            },
        };
        let hash = secret.hash();
        let now = OffsetDateTime::now_utc();
        let emptied = {
            let state = self.0.state.lock();
            match state.cache.get(&hash) {
                Some((since, shown)) if since.elapsed() < CACHED && shown.is_alive(now) => {
                    return Ok(Some(shown.caller.clone()));
                }
                _ => state.emptied,
            }
        };
        let store = &self.0.store;
        let shown = match kind {
            Kind::Token => store.token_of(&hash, now).await?,
            Kind::Login => store.login_of(&hash, now).await?,
        };
        let Some(shown) = shown else {
            return Ok(None);
        };
        if let Err(error) = store.used(&shown.caller.via, now, peer).await {
            // Whoever calls is signed in all the same.
            warn!(
                error = chain(&error),
                "the last use of a login isn't recorded"
            );
        }
        let caller = shown.caller.clone();
        let mut state = self.0.state.lock();
        if state.emptied == emptied {
            if state.cache.len() >= MAX_CACHED {
                state.cache.clear();
            }
            state.cache.insert(hash, (Instant::now(), shown));
        }
        Ok(Some(caller))
    }

    /// Returns what is cancelled within a second after the login or token ends.
    pub fn revoked(&self, via: &Via) -> CancellationToken {
        self.watch((via.clone(), None))
    }

    /// Returns what is cancelled within a second after what a caller showed ends, or
    /// after they have another role.
    pub fn changed(&self, caller: &Caller) -> CancellationToken {
        self.watch((caller.via.clone(), Some(caller.user.role)))
    }

    fn watch(&self, watch: Watch) -> CancellationToken {
        let mut state = self.0.state.lock();
        let watched = state.watched.entry(watch).or_insert_with(|| {
            // It may have ended since the caller was looked up.
            self.0.changed.notify_one();
            Watched {
                ended: CancellationToken::new(),
                look_up: None,
                certain: false,
            }
        });
        watched.ended.child_token()
    }

    /// Tells whether a login or token still counts.
    pub async fn live(&self, via: &Via) -> bool {
        let now = OffsetDateTime::now_utc();
        match self.0.store.lasts(via, now).await {
            Ok(found) => found.is_some(),
            Err(error) => {
                warn!(error = chain(&error), "can't look a login up");
                false
            }
        }
    }

    /// Has everything looked up again, after logins, tokens or users ended or changed
    /// in the records.
    pub fn recheck(&self) {
        let mut state = self.0.state.lock();
        state.cache.clear();
        state.emptied += 1;
        for watched in state.watched.values_mut() {
            watched.certain = false;
        }
        drop(state);
        self.0.changed.notify_one();
    }

    /// Cancels what ended or expired, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut sweep = interval(SWEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = sweep.tick() => {}
                () = self.0.changed.notified() => {}
            }
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        let now = OffsetDateTime::now_utc();
        let due: Vec<_> = {
            let mut state = self.0.state.lock();
            let due = state.watched.iter_mut().filter(|(_, watched)| {
                !watched.certain || watched.look_up.is_some_and(|at| at <= now)
            });
            due.map(|(watch, watched)| {
                // Before it is looked up: what ends meanwhile takes that back.
                watched.certain = true;
                watch.clone()
            })
            .collect()
        };
        for watch in due {
            let (via, role) = &watch;
            let found = self.0.store.lasts(via, now).await;
            let found = found
                .map(|found| found.filter(|(_, found)| role.is_none_or(|role| role == *found)));
            let mut state = self.0.state.lock();
            match found {
                Ok(Some((lasts, _))) => {
                    if let Some(watched) = state.watched.get_mut(&watch) {
                        watched.look_up = match lasts {
                            Lasts::Until(at) => Some(at),
                            Lasts::Ever => None,
                        };
                    }
                }
                Ok(None) => {
                    if let Some(watched) = state.watched.remove(&watch) {
                        watched.ended.cancel();
                    }
                }
                Err(error) => {
                    if let Some(watched) = state.watched.get_mut(&watch) {
                        watched.certain = false;
                    }
                    warn!(error = chain(&error), "can't look a login up");
                }
            }
        }
    }
}

impl Shown {
    fn is_alive(&self, now: OffsetDateTime) -> bool {
        match self.lasts {
            Lasts::Ever => true,
            Lasts::Until(at) => now < at,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Login,
    Token,
}

/// Returns the token that a request shows.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let ours = scheme.eq_ignore_ascii_case("bearer") && token.starts_with(TOKEN_PREFIX);
    ours.then(|| Secret::shown(token))?
}

/// Returns the value of the first cookie of a name (RFC 6265 §5.4). Others beside it may hold
/// any bytes.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter();
    let mut pairs = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let (found, value) = std::str::from_utf8(pair).ok()?.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

#[cfg(test)]
mod tests;
