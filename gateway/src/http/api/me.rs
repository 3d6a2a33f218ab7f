//! `/me`: one's own account.

use axum::Json;
use axum::extract::{Extension, State};
use http::StatusCode;
use time::{Duration, OffsetDateTime};

use super::extract::{Asked, Body, Named, Signed, needs};
use super::page::{newest_first, oldest_first, page};
use super::sign_in::NotSignedIn;
use super::wire::{AddKey, AddToken, Key, Login, Me, NewPassword, NewToken, Page, Paging, Token};
use super::{Api, ApiRefused};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::http::site::RequestSite;
use crate::http::view;
use crate::identity::{
    self, AuthorizedKey, Caller, Lasts, PasswordChange, Scope, Secret, User, Via,
};
use crate::names::{LoginId, TokenId};
use crate::store::{self, OnNewPassword, StoreError};

/// Longest life of a token that ends at all.
const MAX_LIFE: Duration = Duration::days(3650);

/// Longest name of a token, in characters.
const MAX_TOKEN_NAME: usize = 100;

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
    Ok(Json(Me { token, ..me }))
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

/// `GET /me/tokens`
pub(super) async fn list_tokens(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Token>>, Problem> {
    let tokens = api.store.tokens(&caller.user).await?;
    let tokens = tokens.into_iter().map(|token| Token {
        id: token.id,
        name: token.name,
        scope: token.scope.into(),
        created: token.created,
        expires_at: token.expires,
        last_used: token.last_used,
    });
    let by = |token: &Token| newest_first(token.created, token.id.as_str());
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(tokens.collect(), by, paging.limit, cursor)?))
}

/// `POST /me/tokens`
pub(super) async fn add_token(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<AddToken>,
) -> Result<(StatusCode, Json<NewToken>), Problem> {
    // One that may do less doesn't get itself one that may do more.
    needs(&caller, Scope::Admin)?;
    named_token(&new.name)?;
    let expires = match (new.expires_at, new.expires_in_seconds) {
        (Some(_), Some(_)) => return Err(ApiRefused::TwoTimes.into()),
        (Some(at), None) => Some(ahead(at)?),
        (None, Some(seconds)) => Some(ahead(
            OffsetDateTime::now_utc() + Duration::seconds(seconds.into()),
        )?),
        (None, None) => None,
    };
    let expires = within(&api, &caller, expires).await?;
    let made = api
        .accounts
        .add_token(&caller.user, &new.name, new.scope.into(), expires)
        .await?;
    let (token, secret) = made.ok_or(ApiRefused::TooMany { what: "tokens" })?;
    let about = NewEvent::of_user(Kind::TokenCreated, &caller.user);
    api.events.record(about.saying("name", &token.name));
    Ok((StatusCode::CREATED, Json(new_token(token, &secret))))
}

/// Bounds how long a token lasts that a token makes: no longer than that itself.
async fn within(
    api: &Api,
    caller: &Caller,
    expires: Option<OffsetDateTime>,
) -> Result<Option<OffsetDateTime>, Problem> {
    if matches!(caller.via, Via::Login(_)) {
        return Ok(expires);
    }
    let lasts = api.store.lasts(&caller.via, OffsetDateTime::now_utc());
    Ok(match lasts.await? {
        Some((Lasts::Until(end), _)) => Some(expires.map_or(end, |at| at.min(end))),
        Some((Lasts::Ever, _)) | None => expires,
    })
}

/// Checks what a token is to be called.
pub(super) fn named_token(name: &str) -> Result<(), ApiRefused> {
    let length = name.chars().count();
    if (1..=MAX_TOKEN_NAME).contains(&length) && !name.chars().any(is_unseen) {
        return Ok(());
    }
    Err(ApiRefused::Value {
        name: "name",
        allowed: "1 to 100 characters without control or invisible characters",
    })
}

/// Tells whether a character isn't seen, or turns others round: a name is to be what it
/// looks like.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// Returns a token as it is shown, once.
pub(super) fn new_token(token: store::Token, secret: &Secret) -> NewToken {
    NewToken {
        id: token.id,
        name: token.name,
        scope: token.scope.into(),
        created: token.created,
        expires_at: token.expires,
        last_used: token.last_used,
        token: secret.expose().to_owned(),
    }
}

/// Checks that a time lies ahead, and not out of reach.
pub(super) fn ahead(at: OffsetDateTime) -> Result<OffsetDateTime, ApiRefused> {
    let now = OffsetDateTime::now_utc();
    if at > now && at <= now + MAX_LIFE {
        return Ok(at);
    }
    Err(ApiRefused::BadTime)
}

/// `DELETE /me/tokens/{id}`
pub(super) async fn remove_token(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<TokenId>,
) -> Result<StatusCode, Problem> {
    // A token may give itself up, whatever else it may.
    if caller.via != Via::Token(id.clone()) {
        needs(&caller, Scope::Admin)?;
    }
    if !api.accounts.remove_token(&caller.user, &id).await? {
        return Err(ApiRefused::NoSuch {
            what: "token of yours: the list of tokens shows what there is",
            code: "no-such-token",
        }
        .into());
    }
    let about = NewEvent::of_user(Kind::TokenDeleted, &caller.user);
    api.events.record(about.saying("id", id.as_str()));
    Ok(StatusCode::NO_CONTENT)
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
