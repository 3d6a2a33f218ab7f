//! The way into an application: through the dashboard, and back with a cookie.
//!
//! ```text
//! APPHOST/x              → DASHBOARD/api/v1/applications/authorize?to=APPHOST/x&state=S
//!                          (signed out: /sign-in, and on from there)
//!                        → APPHOST/.devgate/session?code=C
//!                          sets the cookie of this host
//!                        → APPHOST/x
//! ```
//!
//! A code counts once, for half a minute, for one host and one login, and only in the
//! browser that holds the state which it was asked with: nobody can sign somebody else
//! in as themselves.

use axum::body::Body;
use axum::response::Response;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::access::Reader;
use super::codes::Code;
use super::lookup::{Visitor, cookie_name};
use super::seal::Sealed;
use super::{AppRefused, Apps, PLAIN_STATE_COOKIE, Place, RESERVED, STATE_COOKIE};
use crate::http::site::RequestSite;
use crate::identity::{self, Cookies, Inside, Secret, Via, cookie};
use crate::names::UserId;

/// Where the dashboard's origin lets people into applications.
pub(crate) const AUTHORIZE: &str = "/api/v1/applications/authorize";

/// How long an application's cookie lasts; it is renewed after half of it.
const COOKIE_LIFE: time::Duration = time::Duration::hours(1);

/// How long the editor's cookie lasts: it is one WebSocket for hours, and after a
/// pause it must find the way back without a page.
const EDITOR_COOKIE_LIFE: time::Duration = time::Duration::hours(24);

/// Longest state that a browser brings back, in bytes; ours are 64.
const MAX_STATE: usize = 128;

/// Longest address that is returned to, in bytes.
const MAX_RETURN: usize = 8 * 1024;

impl Apps {
    /// Sends a browser that nobody is signed in with to the dashboard.
    pub(super) fn send_to_sign_in(
        &self,
        place: &Place,
        asked: &RequestSite,
        request: &Request<Body>,
    ) -> Response {
        let Some(own) = self.0.site.application(&place.to_string()) else {
            return self.refused(
                &AppRefused::SignInNeeded,
                Reader::Opener,
                Some(&place.workspace),
            );
        };
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        let names = state_cookie(asked.cookies);
        // Kept where there is one, so that several tabs can go the way at once.
        let state = cookie(request.headers(), names)
            .and_then(Secret::shown)
            .unwrap_or_else(|| Secret::random(""));
        let to = format!("{own}{path}");
        let address = format!(
            "{}{AUTHORIZE}?to={}&state={}",
            self.0.site.dashboard(),
            utf8_percent_encode(&to, NON_ALPHANUMERIC),
            state.hash().as_str(),
        );
        let mut response = redirect(&address);
        let value = state.expose();
        set_cookie(&mut response, asked.cookies, names, value, 600);
        response
    }

    /// `GET /api/v1/applications/authorize` of the dashboard: lets whoever is signed in
    /// into an application that they may open.
    pub(crate) async fn authorize(&self, asked: &RequestSite, request: &Request<()>) -> Response {
        match self.authorized(asked, request).await {
            Ok(response) => response,
            Err(refused) => self.refused(&refused, Reader::of(request), None),
        }
    }

    async fn authorized(
        &self,
        asked: &RequestSite,
        request: &Request<()>,
    ) -> Result<Response, AppRefused> {
        let query = request.uri().query().unwrap_or_default();
        let to = parameter(query, "to").ok_or(AppRefused::BadReturn)?;
        let state = parameter(query, "state").ok_or(AppRefused::BadReturn)?;
        if state.len() > MAX_STATE {
            return Err(AppRefused::BadReturn);
        }
        let (place, path) = self.return_address(&to).ok_or(AppRefused::BadReturn)?;
        // A token opens applications by itself: only a browser goes this way.
        let mut cookies = HeaderMap::new();
        for value in request.headers().get_all(header::COOKIE) {
            cookies.append(header::COOKIE, value.clone());
        }
        let caller = self
            .0
            .sessions
            .caller(&cookies, asked.cookies, asked.client)
            .await;
        let Some(caller) = caller.map_err(AppRefused::Session)? else {
            let own = request
                .uri()
                .path_and_query()
                .map_or(AUTHORIZE, PathAndQuery::as_str);
            let next = utf8_percent_encode(own, NON_ALPHANUMERIC);
            let address = format!("{}/sign-in?next={next}", self.0.site.dashboard());
            return Ok(redirect(&address));
        };
        let opened = self.0.doors.find(&self.0, &place).await?;
        opened
            .and_then(|opened| {
                opened.door.enter(Some(identity::Visitor {
                    user: &caller.user.id,
                    narrowed_to: caller.narrowed_to.as_deref(),
                }))
            })
            .ok_or(AppRefused::NoApplication)?;
        let origin = self.0.site.application(&place.to_string());
        let origin = origin.ok_or(AppRefused::BadReturn)?;
        let code = self.0.codes.make(Code {
            place,
            user: caller.user.id,
            via: caller.via,
            state,
            to: path,
            made: Instant::now(),
        });
        let code = code.expose();
        Ok(redirect(&format!("{origin}{RESERVED}session?code={code}")))
    }

    /// Reads the address of an application; anything else is no place to send a
    /// browser to.
    fn return_address(&self, to: &str) -> Option<(Place, String)> {
        if to.len() > MAX_RETURN {
            return None;
        }
        let uri: Uri = to.parse().ok()?;
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let label = self.0.site.label(authority.host())?;
        let place: Place = label.parse().ok()?;
        let own = self.0.site.application(label)?;
        let found = uri.scheme_str() == Some(own.scheme().as_str())
            && authority.port_u16().unwrap_or(own.scheme().port()) == own.port();
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        // A path that begins with two would name a host once it stands alone.
        let path = format!("/{}", path.trim_start_matches(['/', '\\']));
        found.then_some((place, path))
    }

    /// Answers what of an application's host is the gateway's own.
    pub(super) fn reserved(
        &self,
        place: &Place,
        asked: &RequestSite,
        request: &Request<Body>,
    ) -> Result<Response, AppRefused> {
        if request.method() != http::Method::GET
            || request.uri().path().strip_prefix(RESERVED) != Some("session")
        {
            return Err(AppRefused::NoApplication);
        }
        let query = request.uri().query().unwrap_or_default();
        let code = parameter(query, "code").and_then(|code| self.0.codes.take(&code));
        let code = code.ok_or(AppRefused::CodeSpent)?;
        let state = cookie(request.headers(), state_cookie(asked.cookies)).and_then(Secret::shown);
        let bound = state.is_some_and(|state| state.hash().as_str() == code.state);
        if code.place != *place || !bound {
            return Err(AppRefused::CodeSpent);
        }
        let mut response = redirect(&code.to);
        let cookie = self.cookie_for(place, asked, code.user, code.via);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    }

    /// Returns a visitor's cookie anew where half of its life is over.
    pub(super) fn renewed(
        &self,
        place: &Place,
        asked: &RequestSite,
        visitor: &Visitor,
    ) -> Option<HeaderValue> {
        let left = visitor.cookie? - OffsetDateTime::now_utc();
        let due = left < life(place) / 2;
        due.then(|| self.cookie_for(place, asked, visitor.user.clone(), visitor.via.clone()))
    }

    fn cookie_for(
        &self,
        place: &Place,
        asked: &RequestSite,
        user: UserId,
        via: Via,
    ) -> HeaderValue {
        let life = life(place);
        let until = OffsetDateTime::now_utc() + life;
        let sealed = Sealed { user, via, until };
        let value = self.0.seal.seal(&asked.host, &sealed);
        let name = cookie_name(asked.cookies);
        cookie_header(asked.cookies, name, &value, life.whole_seconds())
    }
}

/// Sets a cookie anew by an application's own answer.
pub(super) fn renew(response: &mut Response, cookie: HeaderValue) {
    // A cache that has the page already would keep the cookie with it.
    if response.status() == StatusCode::NOT_MODIFIED {
        return;
    }
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, cookie);
    // Whoever keeps the answer would hand the cookie to others.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(header::EXPIRES);
}

fn life(place: &Place) -> time::Duration {
    match place.inside {
        Inside::Port(_) => COOKIE_LIFE,
        Inside::Editor => EDITOR_COOKIE_LIFE,
    }
}

fn state_cookie(cookies: Cookies) -> &'static str {
    match cookies {
        Cookies::Prefixed => STATE_COOKIE,
        Cookies::Plain => PLAIN_STATE_COOKIE,
    }
}

fn set_cookie(response: &mut Response, cookies: Cookies, name: &str, value: &str, seconds: i64) {
    let cookie = cookie_header(cookies, name, value, seconds);
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

/// `Lax`: another site's page can't send it along, except by leading to the
/// application; pages of the same site are held off by their `Origin`.
fn cookie_header(cookies: Cookies, name: &str, value: &str, seconds: i64) -> HeaderValue {
    let secure = cookies.attribute();
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // Names are ours, values are base64 and digits.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn redirect(address: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    match HeaderValue::try_from(address) {
        Ok(address) => {
            headers.insert(header::LOCATION, address);
        }
        // What a request line may hold, a header may, too.
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// Returns a parameter of a query, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        if found != name {
            return None;
        }
        let value = percent_decode_str(value).decode_utf8().ok()?;
        Some(value.into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_renews_a_cookie_is_kept_by_nobody() {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=9"),
        );
        headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
        headers.insert(header::SET_COOKIE, HeaderValue::from_static("own=1"));
        renew(&mut response, HeaderValue::from_static("ours=1"));
        let headers = response.headers();
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(!headers.contains_key(header::EXPIRES));
        assert_eq!(headers.get_all(header::SET_COOKIE).iter().count(), 2);
        let mut known = Response::new(Body::empty());
        *known.status_mut() = StatusCode::NOT_MODIFIED;
        renew(&mut known, HeaderValue::from_static("ours=1"));
        assert!(known.headers().is_empty());
    }
}
