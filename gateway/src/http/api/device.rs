//! `/login/device`: programs that somebody signs in from a browser (after RFC 8628), and
//! `/ca`: what such a program has to trust.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use time::OffsetDateTime;

use super::extract::{Body, Named, Signed};
use super::tokens::{named_token, new_token};
use super::wire::{
    BeginDevice, DeviceCodes, DeviceToken, DeviceWaiting, FinishDevice, MAX_DEVICE_LIFE,
};
use super::{Api, ApiRefused};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::http::site::RequestSite;
use crate::identity::{
    Caller, INTERVAL, LIFE, NotApproved, Secret, SignInError, TokenWish, Via, Wish,
};

/// `POST /login/device`
pub(super) async fn begin(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    Body(new): Body<BeginDevice>,
) -> Result<Json<DeviceCodes>, Problem> {
    named_token(&new.name)?;
    if !(1..=MAX_DEVICE_LIFE).contains(&new.expires_in_seconds) {
        return Err(ApiRefused::Value {
            name: "expires_in_seconds",
            allowed: "1 to 7776000",
        }
        .into());
    }
    let codes = api.approvals.begin(Wish {
        name: new.name,
        scope: new.scope.into(),
        lasts: Duration::from_secs(new.expires_in_seconds.into()),
        address: asked.client,
    });
    let page = api.site.device_page();
    Ok(Json(DeviceCodes {
        device_code: codes.device.expose().to_owned(),
        user_code: codes.user.to_string(),
        // Behind `#`, so that no proxy's log has it before it was decided.
        verification_uri_complete: format!("{page}#code={}", codes.user),
        verification_uri: page,
        expires_in: LIFE.as_secs(),
        interval: INTERVAL.as_secs(),
    }))
}

/// `POST /login/device/token`
pub(super) async fn finish(
    State(api): State<Api>,
    Body(asked): Body<FinishDevice>,
) -> Result<Json<DeviceToken>, Problem> {
    let device = Secret::shown(&asked.device_code).ok_or(NotApproved::Ended)?;
    let approved = api.approvals.poll(&device.hash())?;
    // What approved it may have ended meanwhile, by a new password for one.
    if !api.sessions.live(&approved.via).await {
        return Err(NotApproved::Ended.into());
    }
    let (user, wish) = (approved.user, approved.wish);
    let expires = OffsetDateTime::now_utc() + wish.lasts;
    let made = api
        .accounts
        .add_token(
            &user,
            TokenWish {
                name: &wish.name,
                scope: wish.scope,
                narrowed_to: None,
                expires: Some(expires),
            },
        )
        .await?;
    let (token, secret) = made.ok_or(ApiRefused::TooMany { what: "tokens" })?;
    let about = NewEvent::of_user(Kind::TokenCreated, &user).saying("name", &token.name);
    api.events
        .record(about.saying("address", &wish.address.to_string()));
    Ok(Json(DeviceToken {
        user: user.name,
        token: new_token(token, &secret),
    }))
}

/// `GET /login/device/{code}`
pub(super) async fn show(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    Signed(caller): Signed,
    Named(code): Named<String>,
) -> Result<Json<DeviceWaiting>, Problem> {
    by_login(&caller)?;
    let waiting = api.approvals.show(&caller.user, &code)?;
    Ok(Json(DeviceWaiting {
        user_code: waiting.code.to_string(),
        name: waiting.wish.name,
        address: waiting.wish.address,
        same_address: waiting.wish.address == asked.client,
        scope: waiting.wish.scope.into(),
        expires_in_seconds: waiting.wish.lasts.as_secs(),
        until: waiting.until,
    }))
}

/// `POST /login/device/{code}/approve`
pub(super) async fn approve(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(code): Named<String>,
) -> Result<StatusCode, Problem> {
    by_login(&caller)?;
    api.approvals.approve(&caller.user, &caller.via, &code)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /login/device/{code}/refuse`
pub(super) async fn refuse(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(code): Named<String>,
) -> Result<StatusCode, Problem> {
    by_login(&caller)?;
    api.approvals.refuse(&caller.user, &code)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token doesn't get itself another one that may do more.
fn by_login(caller: &Caller) -> Result<(), SignInError> {
    match caller.via {
        Via::Login(_) => Ok(()),
        Via::Token(_) => Err(SignInError::LoginNeeded),
    }
}

/// `GET /ca`
pub(super) async fn authority(State(api): State<Api>) -> Result<Response, ApiRefused> {
    let pem = api.ca.clone().ok_or(ApiRefused::NoSuch {
        what: "authority: the certificate here isn't of devgate's own",
        code: "no-such-authority",
    })?;
    let kind = [(header::CONTENT_TYPE, super::document::PEM)];
    Ok((kind, pem).into_response())
}
