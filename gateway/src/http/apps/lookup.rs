//! Who comes and what they come to, kept for a moment: a page makes hundreds of
//! requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use parking_lot::{Mutex, MutexGuard};
use time::OffsetDateTime;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{AppRefused, COOKIE, Inner, PLAIN_COOKIE, Place};
use crate::http::proxy::{Cut, Target, Upstream};
use crate::http::site::RequestSite;
use crate::identity::{
    self, Cookies, Door, Identity, Inside, Narrowing, Pass, Scope, SecretHash, Standing,
    TOKEN_PREFIX, Via, cookie,
};
use crate::names::UserId;

/// How long what the records say of a place is believed.
const DOOR_CACHED: Duration = Duration::from_millis(500);

/// How often the doors that guests went through are looked at.
const WATCH: Duration = Duration::from_millis(500);

/// Most places that are kept; all are forgotten when there are more.
const MAX_DOORS: usize = 4096;

/// Most cookies that are kept; all are forgotten when there are more.
const MAX_VISITORS: usize = 4096;

/// A place that is there.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) door: Door,
    pub(super) upstream: Arc<Upstream>,
}

/// When a place was looked up, and what was found.
type Known = (Instant, Option<Arc<Opened>>);

/// What somebody who isn't its owner opened; `None` is whoever isn't signed in.
type Guest = (Place, Option<UserId>);

/// The places that were looked up.
#[derive(Debug, Default)]
pub(super) struct Doors {
    known: Mutex<HashMap<Place, Known>>,
    /// What guests opened.
    guests: Mutex<HashMap<Guest, Arc<CancellationToken>>>,
}

/// Who comes to an application.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) user: UserId,
    pub(super) via: Via,
    /// To what their token is narrowed.
    pub(super) narrowed_to: Option<Arc<Narrowing>>,
    /// Cancelled when the login or token ends.
    pub(super) ended: CancellationToken,
    /// When the cookie by which they come ends; `None` with a token.
    pub(super) cookie: Option<OffsetDateTime>,
}

/// The cookies that were looked up, as what they hash to, each with its host.
#[derive(Debug, Default)]
pub(super) struct Visitors(Mutex<HashMap<(String, SecretHash), Arc<Visitor>>>);

impl Doors {
    /// Looks a place up; `None` where there is no such workspace.
    pub(super) async fn find(
        &self,
        inner: &Inner,
        place: &Place,
    ) -> Result<Option<Arc<Opened>>, AppRefused> {
        if let Some((since, opened)) = lock(&self.known).get(place)
            && since.elapsed() < DOOR_CACHED
        {
            return Ok(opened.clone());
        }
        let since = Instant::now();
        let door = inner
            .identity
            .door(&place.workspace, place.inside)
            .await
            .map_err(AppRefused::Store)?;
        let opened = door.map(|door| {
            let target = match place.inside {
                Inside::Port(port) => Target::Port(port),
                Inside::Editor => Target::Editor,
            };
            let upstream = inner.proxy.pools().upstream(&door.workspace().id, &target);
            Arc::new(Opened { door, upstream })
        });
        let mut known = lock(&self.known);
        if known.len() >= MAX_DOORS {
            known.clear();
        }
        known.insert(place.clone(), (since, opened.clone()));
        Ok(opened)
    }

    /// Adds to `cut` what ends a guest's visit: the end of the share.
    pub(super) fn guard(
        &self,
        place: &Place,
        pass: &Pass,
        visitor: Option<&UserId>,
        cut: &mut Cut,
    ) {
        if pass.standing() == Standing::Owner {
            return;
        }
        if let Some(expires) = pass.expires() {
            let left = expires - OffsetDateTime::now_utc();
            let left = Duration::try_from(left).unwrap_or_default();
            cut.deadline = Some(Instant::now() + left);
        }
        let mut guests = lock(&self.guests);
        let share = guests.entry((place.clone(), visitor.cloned())).or_default();
        cut.share = Some(Arc::clone(share));
    }

    /// Ends the visits of guests whom a place is closed to. Never returns.
    pub(super) async fn watch(&self, identity: &Identity) {
        let mut ticks = interval(WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let guests: Vec<_> = {
                let mut guests = lock(&self.guests);
                // Whose visits are over.
                guests.retain(|_, share| Arc::strong_count(share) > 1);
                guests.keys().cloned().collect()
            };
            for guest in guests {
                self.look_at(identity, guest).await;
            }
        }
    }

    async fn look_at(&self, identity: &Identity, guest: Guest) {
        let (place, user) = &guest;
        let door = identity.door(&place.workspace, place.inside).await;
        let Ok(door) = door else {
            return;
        };
        let visitor = user.as_ref().map(|user| identity::Visitor {
            user,
            narrowed_to: None,
        });
        let open = door.is_some_and(|door| door.enter(visitor).is_some());
        let mut guests = lock(&self.guests);
        if !open {
            lock(&self.known).remove(place);
            if let Some(share) = guests.remove(&guest) {
                share.cancel();
            }
        }
    }
}

impl Visitors {
    /// Tells who comes, by a token of the API or by the cookie of this host; the
    /// dashboard's cookie says nothing here.
    pub(super) async fn find(
        &self,
        inner: &Inner,
        asked: &RequestSite,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<Visitor>>, AppRefused> {
        if let Some(token) = token(headers) {
            return self.by_token(inner, asked, token).await;
        }
        let Some(shown) = cookie(headers, cookie_name(asked.cookies)) else {
            return Ok(None);
        };
        let key = (asked.host.clone(), SecretHash::of(shown.as_bytes()));
        if let Some(visitor) = lock(&self.0).get(&key) {
            return Ok(visitor.counts().then(|| Arc::clone(visitor)));
        }
        let Some(sealed) = inner.seal.open_cookie(&asked.host, shown) else {
            return Ok(None);
        };
        // Watched first: an end in between is seen by one or the other.
        let ended = inner.sessions.revoked(&sealed.via);
        if !inner.sessions.live(&sealed.via).await {
            return Ok(None);
        }
        let visitor = Arc::new(Visitor {
            user: sealed.user,
            via: sealed.via,
            narrowed_to: None,
            ended,
            cookie: Some(sealed.until),
        });
        let mut visitors = lock(&self.0);
        if visitors.len() >= MAX_VISITORS {
            visitors.clear();
        }
        visitors.insert(key, Arc::clone(&visitor));
        Ok(Some(visitor))
    }

    async fn by_token(
        &self,
        inner: &Inner,
        asked: &RequestSite,
        token: &HeaderValue,
    ) -> Result<Option<Arc<Visitor>>, AppRefused> {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(header::AUTHORIZATION, token.clone());
        let caller = inner
            .sessions
            .caller(&headers, asked.cookies, asked.client)
            .await;
        let Some(caller) = caller.map_err(AppRefused::Session)? else {
            return Ok(None);
        };
        if caller.scope < Scope::Write {
            return Err(AppRefused::ScopeTooSmall);
        }
        Ok(Some(Arc::new(Visitor {
            user: caller.user.id,
            ended: inner.sessions.revoked(&caller.via),
            via: caller.via,
            narrowed_to: caller.narrowed_to,
            cookie: None,
        })))
    }
}

impl Visitor {
    /// Returns who comes, for who decides on it.
    pub(super) fn at_the_door(&self) -> identity::Visitor<'_> {
        identity::Visitor {
            user: &self.user,
            narrowed_to: self.narrowed_to.as_deref(),
        }
    }

    fn counts(&self) -> bool {
        !self.ended.is_cancelled()
            && self
                .cookie
                .is_none_or(|until| OffsetDateTime::now_utc() < until)
    }
}

/// Returns a token of the gateway's API that a request shows; an application's own are
/// the application's.
pub(super) fn token(headers: &HeaderMap) -> Option<&HeaderValue> {
    let value = headers.get(header::AUTHORIZATION)?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let ours = scheme.eq_ignore_ascii_case("bearer") && token.trim().starts_with(TOKEN_PREFIX);
    ours.then_some(value)
}

/// Returns the name of the cookie by which an application host knows who comes.
pub(super) fn cookie_name(cookies: Cookies) -> &'static str {
    match cookies {
        Cookies::Prefixed => COOKIE,
        Cookies::Plain => PLAIN_COOKIE,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
