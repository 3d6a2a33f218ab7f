//! `/me`: one's own account.

use axum::Json;
use axum::extract::{Extension, State};
use http::StatusCode;

use super::extract::{Asked, Body, Named, Signed, needs};
use super::page::{newest_first, oldest_first, page};
use super::sign_in::NotSignedIn;
use super::wire::{AddKey, Key, Login, Me, NewPassword, Page, Paging};
use super::{Api, ApiRefused};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::http::site::RequestSite;
use crate::http::view;
use crate::identity::{self, AuthorizedKey, PasswordChange, Scope, User, Via};
use crate::names::LoginId;
use crate::store::{self, OnNewPassword, StoreError};

/// `GET /me`
pub(super) async fn show(
    State(api): State<Api>,
    Signed(caller): Signed,
) -> Result<Json<Me>, Problem> {
    let me = of(&api, &caller.user).await?;
    let token = match caller.via {
        Via::Token(id) => Some(id),
        Via::Login(_) => None,
    };
    Ok(Json(Me {
        token,
        narrowed_to: caller.narrowed_to.as_deref().cloned(),
        ..me
    }))
}

/// Returns what a user's own page shows of them.
pub(super) async fn of(api: &Api, user: &User) -> Result<Me, Problem> {
    let account = api.store.account(&user.name).await?;
    let account = account.ok_or_else(|| StoreError::NoSuchUser(user.name.clone()))?;
    Ok(Me {
        id: account.user.id,
        name: account.user.name,
        role: view::role(account.user.role),
        has_password: account.has_password,
        created: account.created,
        token: None,
        narrowed_to: None,
    })
}

/// `PUT /me/password`
pub(super) async fn set_password(
    State(api): State<Api>,
    Extension(asked): Extension<RequestSite>,
    Signed(caller): Signed,
    Body(new): Body<NewPassword>,
) -> Result<StatusCode, NotSignedIn> {
    let change = PasswordChange {
        current: new.current_password,
        password: new.password,
        tokens: match new.end_tokens {
            Some(true) => OnNewPassword::EndTokens,
            Some(false) | None => OnNewPassword::KeepTokens,
        },
    };
    let tokens = change.tokens;
    api.accounts
        .set_password(&caller, change, asked.client)
        .await?;
    let about = NewEvent::of_user(Kind::UserChanged, &caller.user).saying("changed", "password");
    api.events.record(about);
    if tokens == OnNewPassword::EndTokens {
        let about = NewEvent::of_user(Kind::TokenDeleted, &caller.user);
        api.events.record(about.saying("tokens", "all"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /me/keys`
pub(super) async fn list_keys(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Key>>, Problem> {
    let keys = api.store.keys_of(&caller.user).await?;
    let keys = keys.iter().map(key).collect();
    let by = |key: &Key| oldest_first(key.created, &key.fingerprint);
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(keys, by, paging.limit, cursor)?))
}

/// `POST /me/keys`
pub(super) async fn add_key(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<AddKey>,
) -> Result<(StatusCode, Json<Key>), Problem> {
    needs(&caller, Scope::Admin)?;
    let mut added = AuthorizedKey::parse(&new.public_key)?;
    if let Some(label) = &new.label {
        added = added.with_comment(label);
    }
    let status = match api.store.add_key(&caller.user, &added).await? {
        store::NewKey::Added => {
            let about = NewEvent::of_user(Kind::KeyAdded, &caller.user);
            let about = about.saying("fingerprint", added.fingerprint());
            api.events.record(about);
            StatusCode::CREATED
        }
        store::NewKey::Known => StatusCode::OK,
    };
    let keys = api.store.keys_of(&caller.user).await?;
    let found = keys
        .iter()
        .find(|key| key.fingerprint == added.fingerprint());
    Ok((status, Json(key(found.ok_or(NO_KEY)?))))
}

/// `DELETE /me/keys/{fingerprint}`
pub(super) async fn remove_key(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(fingerprint): Named<String>,
) -> Result<StatusCode, Problem> {
    needs(&caller, Scope::Admin)?;
    if !api.store.remove_key(&caller.user, &fingerprint).await? {
        return Err(NO_KEY.into());
    }
    let about = NewEvent::of_user(Kind::KeyRemoved, &caller.user);
    api.events.record(about.saying("fingerprint", &fingerprint));
    Ok(StatusCode::NO_CONTENT)
}

const NO_KEY: ApiRefused = ApiRefused::NoSuch {
    what: "key of yours: the list of keys shows what there is",
    code: "no-such-key",
};

fn key(key: &identity::Key) -> Key {
    Key {
        fingerprint: key.fingerprint.clone(),
        algorithm: view::algorithm(key).to_owned(),
        label: key.comment.clone(),
        created: key.added,
    }
}

/// `GET /me/logins`
pub(super) async fn list_logins(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Login>>, Problem> {
    let logins = api.store.logins(&caller.user).await?;
    let logins = logins.into_iter().map(|login| Login {
        current: caller.via == Via::Login(login.id.clone()),
        id: login.id,
        created: login.created,
        last_used: login.last_used,
        address: login.address,
        user_agent: login.user_agent,
    });
    let by = |login: &Login| newest_first(login.last_used, login.id.as_str());
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(logins.collect(), by, paging.limit, cursor)?))
}

/// `DELETE /me/logins/{id}`
pub(super) async fn end_login(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<LoginId>,
) -> Result<StatusCode, Problem> {
    needs(&caller, Scope::Admin)?;
    if !api.accounts.end_login(&caller.user, &id).await? {
        return Err(ApiRefused::NoSuch {
            what: "login of yours: the list of logins shows what there is",
            code: "no-such-login",
        }
        .into());
    }
    api.events
        .record(NewEvent::of_user(Kind::Logout, &caller.user));
    Ok(StatusCode::NO_CONTENT)
}
