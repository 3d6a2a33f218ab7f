//! `/me/tokens`: what programs sign in with.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use time::{Duration, OffsetDateTime};

use super::extract::{Asked, Body, Named, Signed, needs};
use super::page::{newest_first, page};
use super::wire::{AddToken, NewToken, Page, Paging, ScopeName, Token};
use super::{Api, ApiRefused};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::identity::{Caller, Identity, Lasts, Scope, Secret, TokenWish, User, Via};
use crate::names::TokenId;
use crate::store;

/// Longest life of a token that ends at all.
const MAX_LIFE: Duration = Duration::days(3650);

/// Longest name of a token, in characters.
const MAX_TOKEN_NAME: usize = 100;

/// `GET /me/tokens`
pub(super) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Token>>, Problem> {
    let tokens = api.store.tokens(&caller.user).await?;
    let tokens = tokens.into_iter().map(shown);
    let by = |token: &Token| newest_first(token.created, token.id.as_str());
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(tokens.collect(), by, paging.limit, cursor)?))
}

/// `POST /me/tokens`
pub(super) async fn add(
    State(api): State<Api>,
    Signed(caller): Signed,
    Body(new): Body<AddToken>,
) -> Result<(StatusCode, Json<NewToken>), Problem> {
    // One that may do less doesn't get itself one that may do more.
    needs(&caller, Scope::Admin)?;
    let mut wish = wish(&api.identity, &caller.user, &new).await?;
    wish.expires = within(&api, &caller, wish.expires).await?;
    let made = api.accounts.add_token(&caller.user, wish).await?;
    let (token, secret) = made.ok_or(ApiRefused::TooMany { what: "tokens" })?;
    let about = NewEvent::of_user(Kind::TokenCreated, &caller.user);
    api.events.record(about.saying("name", &token.name));
    Ok((StatusCode::CREATED, Json(new_token(token, &secret))))
}

/// Checks what is asked for, for a user.
pub async fn wish<'a>(
    identity: &Identity,
    user: &User,
    new: &'a AddToken,
) -> Result<TokenWish<'a>, Problem> {
    named_token(&new.name)?;
    let expires = match (new.expires_at, new.expires_in_seconds) {
        (Some(_), Some(_)) => return Err(ApiRefused::TwoTimes.into()),
        (Some(at), None) => Some(ahead(at)?),
        (None, Some(seconds)) => Some(ahead(
            OffsetDateTime::now_utc() + Duration::seconds(seconds.into()),
        )?),
        (None, None) => None,
    };
    if let Some(narrowed_to) = &new.narrowed_to {
        narrowed_to.check().map_err(ApiRefused::Narrowing)?;
        if new.scope == ScopeName::Admin {
            return Err(ApiRefused::NarrowedAdmin.into());
        }
        if let Some(workspace) = &narrowed_to.workspace {
            identity.authorize_id(user, workspace).await?;
        }
    }
    Ok(TokenWish {
        name: &new.name,
        scope: new.scope.into(),
        narrowed_to: new.narrowed_to.as_ref(),
        expires,
    })
}

/// Returns a token as a list shows it.
pub fn shown(token: store::Token) -> Token {
    Token {
        id: token.id,
        name: token.name,
        scope: token.scope.into(),
        narrowed_to: token.narrowed_to,
        created: token.created,
        expires_at: token.expires,
        last_used: token.last_used,
    }
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
pub fn new_token(token: store::Token, secret: &Secret) -> NewToken {
    NewToken {
        id: token.id,
        name: token.name,
        scope: token.scope.into(),
        narrowed_to: token.narrowed_to,
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
pub(super) async fn remove(
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
