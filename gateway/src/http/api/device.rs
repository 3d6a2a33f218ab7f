//! `/login/device`: programs that somebody signs in from a browser (after RFC 8628), and SSH
//! connections that they let in; `/ca`: what such a program has to trust.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use time::OffsetDateTime;

use super::extract::{Asked, Body, Named, Signed};
use super::page::{newest_first, page};
use super::tokens::{named_token, new_token};
use super::wire::{
    BeginDevice, DeviceAsks, DeviceCodes, DeviceToken, DeviceWaiting, FinishDevice,
    MAX_DEVICE_LIFE, Page, Paging, SshApproval,
};
use super::{Api, ApiRefused};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::http::site::RequestSite;
use crate::identity::{
    Caller, INTERVAL, LIFE, NotApproved, ProgramWish, Secret, SignInError, TokenWish, User, Via,
    What, Wish,
};
use crate::names::ApprovalId;

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
    let wish = ProgramWish {
        name: new.name,
        scope: new.scope.into(),
        lasts: Duration::from_secs(new.expires_in_seconds.into()),
    };
    let codes = api.approvals.begin(wish, asked.client);
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
        .record(about.saying("address", &approved.address.to_string()));
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
    let address = waiting.wish.address;
    let (asks, name, scope, lasts) = match waiting.wish.what {
        What::Token(wish) => {
            let scope = Some(wish.scope.into());
            (DeviceAsks::Token, wish.name, scope, wish.lasts)
        }
        What::Connections { login, window } => (DeviceAsks::Ssh, login.to_string(), None, window),
    };
    Ok(Json(DeviceWaiting {
        user_code: waiting.code.to_string(),
        asks,
        name,
        address,
        same_address: address == asked.client,
        connections: waiting.connections,
        scope,
        expires_in_seconds: lasts.as_secs(),
        until: waiting.until,
    }))
}

/// `POST /login/device/{code}/approve`
pub(super) async fn approve(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    Signed(caller): Signed,
    Named(code): Named<String>,
) -> Result<StatusCode, Problem> {
    by_login(&caller)?;
    let wish = api.approvals.approve(&caller.user, &caller.via, &code)?;
    decided(&api, &caller.user, &wish, ("approved", asked.client));
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /login/device/{code}/refuse`
pub(super) async fn refuse(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    Signed(caller): Signed,
    Named(code): Named<String>,
) -> Result<StatusCode, Problem> {
    by_login(&caller)?;
    let wish = api.approvals.refuse(&caller.user, &code)?;
    decided(&api, &caller.user, &wish, ("refused", asked.client));
    Ok(StatusCode::NO_CONTENT)
}

/// Notes what was decided of connections; a token's own event tells of programs.
fn decided(api: &Api, user: &User, wish: &Wish, (decision, by): (&str, IpAddr)) {
    let What::Connections { login, .. } = &wish.what else {
        return;
    };
    let about = NewEvent::of_user(Kind::SshApproval, user)
        .saying("decision", decision)
        .saying("login", &login.to_string())
        .saying("address", &wish.address.to_string());
    api.events.record(about.saying("by", &by.to_string()));
}

/// `GET /me/ssh-approvals`
pub(super) async fn list_approvals(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<SshApproval>>, Problem> {
    let windows = api.approvals.windows(&caller.user).into_iter();
    let windows = windows.map(|window| SshApproval {
        id: window.id,
        login: window.login.to_string(),
        address: window.address,
        until: window.until,
    });
    let by = |window: &SshApproval| newest_first(window.until, window.id.as_str());
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(windows.collect(), by, paging.limit, cursor)?))
}

/// `DELETE /me/ssh-approvals/{id}`
pub(super) async fn end_approval(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<ApprovalId>,
) -> Result<StatusCode, Problem> {
    let ended = api.approvals.end(&caller.user, &id);
    let ended = ended.ok_or(ApiRefused::NoSuch {
        what: "approval of yours that lets anybody in or has connections that go on",
        code: "no-such-approval",
    })?;
    let about = NewEvent::of_user(Kind::SshApproval, &caller.user)
        .saying("decision", "ended")
        .saying("login", &ended.login.to_string());
    api.events
        .record(about.saying("address", &ended.address.to_string()));
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
