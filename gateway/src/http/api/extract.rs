//! What handlers take out of a request.

use std::str::FromStr;
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::gate::from_dashboard;
use super::narrowed::permits;
use super::{Api, ApiRefused, MAX_BODY};
use crate::http::problem::{Problem, RequestRefused};
use crate::http::site::RequestSite;
use crate::identity::{Caller, Role, Scope, Via};

/// Time in which a body has to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Whoever is signed in, by cookie or token, and may use this method: with a cookie
/// from the dashboard's own pages, with a token whose scope allows it.
#[derive(Clone, Debug)]
pub struct Signed(pub Caller);

/// The caller is an administrator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Administrator;

/// A body in JSON.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// The query.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

/// The only part of the path that varies, or the first of two.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

/// Both parts of the path that vary.
#[derive(Debug)]
pub(super) struct NamedTwice<A, B>(pub(super) A, pub(super) B);

impl FromRequestParts<Api> for Signed {
    type Rejection = ApiRefused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiRefused> {
        let asked = parts.extensions.get::<RequestSite>();
        let asked = asked.ok_or(ApiRefused::NoConnection)?;
        let caller = api
            .sessions
            .caller(&parts.headers, asked.cookies, asked.client)
            .await?;
        let caller = caller.ok_or(ApiRefused::SignedOut)?;
        let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        match caller.via {
            Via::Login(_) => {
                // A WebSocket begins with a GET and knows no same-origin policy.
                let protected = !safe || parts.headers.contains_key(header::UPGRADE);
                if protected && !from_dashboard(&api.site, asked, &parts.headers) {
                    let own = api.site.dashboard().to_string();
                    return Err(ApiRefused::ForeignOrigin { own });
                }
            }
            Via::Token(_) if safe => {}
            Via::Token(_) => needs(&caller, Scope::Write)?,
        }
        if let Some(narrowed) = &caller.narrowed_to {
            permits(narrowed, parts)?;
        }
        Ok(Self(caller))
    }
}

impl FromRequestParts<Api> for Administrator {
    type Rejection = ApiRefused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiRefused> {
        let Signed(caller) = Signed::from_request_parts(parts, api).await?;
        if caller.user.role != Role::Admin {
            return Err(ApiRefused::NotAdmin);
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            needs(&caller, Scope::Admin)?;
        }
        Ok(Self)
    }
}

/// Checks that what a caller showed allows enough.
pub(super) fn needs(caller: &Caller, needed: Scope) -> Result<(), ApiRefused> {
    if caller.scope >= needed {
        return Ok(());
    }
    Err(ApiRefused::Scope { needed })
}

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(ApiRefused::MediaType.into());
        }
        // Whoever asks before it sends isn't told to send it.
        if request.body().size_hint().lower() > MAX_BODY as u64 {
            return Err(ApiRefused::TooLarge { most: MAX_BODY }.into());
        }
        // Whoever is slower than that holds a connection that others want.
        let reading = timeout(BODY_TIMEOUT, request.extract());
        let bytes: Result<Bytes, BytesRejection> = reading.await.map_err(|_| ApiRefused::Broken)?;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiRefused::TooLarge { most: MAX_BODY },
            _ => ApiRefused::Broken,
        })?;
        // All that is taken are objects; serde would take a list of their values, too.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            let error = serde::de::Error::custom("a list in place of an object");
            return Err(ApiRefused::Content(error).into());
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            if error.is_data() {
                ApiRefused::Content(error).into()
            } else {
                RequestRefused::Body(error).into()
            }
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

impl<T: DeserializeOwned> FromRequestParts<Api> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, api).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|rejection| RequestRefused::Query(rejection.body_text()).into())
    }
}

/// What can't be a name or an id names nothing.
const NOTHING: ApiRefused = ApiRefused::NoSuch {
    what: "thing: its name or id can't be one",
    code: "no-such-thing",
};

impl<T: FromStr + Send> FromRequestParts<Api> for Named<T> {
    type Rejection = ApiRefused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiRefused> {
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, api).await else {
            return Err(NOTHING);
        };
        text.parse().map(Self).map_err(|_| NOTHING)
    }
}

impl<A: FromStr + Send, B: FromStr + Send> FromRequestParts<Api> for NamedTwice<A, B> {
    type Rejection = ApiRefused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiRefused> {
        let path = Path::<(String, String)>::from_request_parts(parts, api).await;
        let Ok(Path((first, second))) = path else {
            return Err(NOTHING);
        };
        match (first.parse(), second.parse()) {
            (Ok(first), Ok(second)) => Ok(Self(first, second)),
            _ => Err(NOTHING),
        }
    }
}
