//! `/login`, `/logout`: the dashboard's cookie.

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::extract::{Body, Signed};
use super::gate::from_dashboard;
use super::wire::{Me, SignIn, SignInByLink};
use super::{Api, ApiRefused, me};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::http::site::RequestSite;
use crate::identity::{Browser, Cookies, SignInError, SignedIn, Via};

/// How long a browser keeps the cookie, in seconds: as long as a login can last.
const MAX_AGE: u32 = 90 * 24 * 3600;

/// Why nobody is signed in; says when to try again where that is known.
pub(super) struct NotSignedIn(Problem, Option<u64>);

impl From<SignInError> for NotSignedIn {
    fn from(error: SignInError) -> Self {
        let again = match &error {
            SignInError::Locked(locked) => Some(locked.left.as_secs().max(1)),
            _ => None,
        };
        Self(error.into(), again)
    }
}

impl From<Problem> for NotSignedIn {
    fn from(problem: Problem) -> Self {
        Self(problem, None)
    }
}

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.1 {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// `POST /login`
pub(super) async fn by_password(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    headers: HeaderMap,
    Body(sign_in): Body<SignIn>,
) -> Result<Response, NotSignedIn> {
    not_foreign(&api, &asked, &headers)?;
    let browser = browser(&asked, &headers);
    let signed = api
        .accounts
        .sign_in(&sign_in.user, sign_in.password, &browser)
        .await?;
    welcome(&api, &asked, &headers, &signed).await
}

/// `POST /login/link`
pub(super) async fn by_link(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    headers: HeaderMap,
    Body(sign_in): Body<SignInByLink>,
) -> Result<Response, NotSignedIn> {
    not_foreign(&api, &asked, &headers)?;
    let browser = browser(&asked, &headers);
    let signed = api
        .accounts
        .sign_in_by_link(&sign_in.token, &browser)
        .await?;
    welcome(&api, &asked, &headers, &signed).await
}

/// `POST /logout`
pub(super) async fn out(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    Signed(caller): Signed,
) -> Result<Response, Problem> {
    if let Via::Login(id) = &caller.via {
        api.accounts.end_login(&caller.user, id).await?;
        api.events
            .record(NewEvent::of_user(Kind::Logout, &caller.user));
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, asked.cookies, "", 0);
    Ok(response)
}

/// Refuses what a page of somebody else's sends: it would sign its reader in as
/// somebody else. Programs say neither where they are nor that they are browsers.
fn not_foreign(api: &Api, asked: &RequestSite, headers: &HeaderMap) -> Result<(), Problem> {
    let browser = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    if browser && !from_dashboard(&api.site, asked, headers) {
        let own = api.site.dashboard().to_string();
        return Err(ApiRefused::ForeignOrigin { own }.into());
    }
    Ok(())
}

fn browser(asked: &RequestSite, headers: &HeaderMap) -> Browser {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|value| value.to_str().ok());
    Browser {
        address: asked.client,
        user_agent: agent.unwrap_or_default().to_owned(),
    }
}

async fn welcome(
    api: &Api,
    asked: &RequestSite,
    headers: &HeaderMap,
    signed: &SignedIn,
) -> Result<Response, NotSignedIn> {
    // A browser that signs in anew leaves no login behind that nobody can use.
    if let Ok(Some(before)) = api
        .sessions
        .caller(headers, asked.cookies, asked.client)
        .await
        && let Via::Login(id) = &before.via
    {
        let ended = api.accounts.end_login(&before.user, id).await;
        ended.map_err(Problem::from)?;
    }
    let about = NewEvent::of_user(Kind::Login, &signed.user)
        .saying("address", &signed.login.address)
        .saying("user_agent", &signed.login.user_agent);
    api.events.record(about);
    let me: Me = me::of(api, &signed.user).await?;
    let mut response = Json(me).into_response();
    set_cookie(
        &mut response,
        asked.cookies,
        signed.secret.expose(),
        MAX_AGE,
    );
    Ok(response)
}

fn set_cookie(response: &mut Response, cookies: Cookies, value: &str, seconds: u32) {
    let (name, secure) = (cookies.login(), cookies.attribute());
    let text = format!("{name}={value}; Path=/; HttpOnly{secure}; SameSite=Lax; Max-Age={seconds}");
    // Names and secrets are of characters that a header takes.
    if let Ok(mut value) = HeaderValue::try_from(text) {
        value.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}
