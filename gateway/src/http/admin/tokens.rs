//! `/users/{user}/tokens`: what people's programs sign in with.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;

use super::people::{events, user_named};
use super::{Admin, body};
use crate::events::{Kind, NewEvent};
use crate::http::api::ApiRefused;
use crate::http::api::tokens::{new_token, shown, wish};
use crate::http::api::wire::{AddToken, NewToken, Token};
use crate::http::problem::Problem;
use crate::identity::Identity;
use crate::names::TokenId;

/// No user has a token of that id.
const NO_TOKEN: ApiRefused = ApiRefused::NoSuch {
    what: "token: `devgate tokens list` shows what there is",
    code: "no-such-token",
};

/// `GET /users/{user}/tokens`
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<Token>>, Problem> {
    let user = user_named(&admin, &name).await?;
    let tokens = admin.store.tokens(&user).await?;
    Ok(Json(tokens.into_iter().map(shown).collect()))
}

/// `POST /users/{user}/tokens`
pub(super) async fn add(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<NewToken>), Problem> {
    let user = user_named(&admin, &name).await?;
    let new: AddToken = body(&bytes)?;
    let identity = Identity::new(admin.store.clone());
    let wish = wish(&identity, &user, &new).await?;
    let made = admin.accounts.add_token(&user, wish).await?;
    let (token, secret) = made.ok_or(ApiRefused::TooMany { what: "tokens" })?;
    let about = NewEvent::of_user(Kind::TokenCreated, &user);
    events(&admin).record(about.saying("name", &token.name));
    Ok((StatusCode::CREATED, Json(new_token(token, &secret))))
}

/// `DELETE /users/{user}/tokens/{id}`
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user = user_named(&admin, &name).await?;
    let id: TokenId = id.parse().map_err(|_| NO_TOKEN)?;
    if !admin.accounts.remove_token(&user, &id).await? {
        return Err(NO_TOKEN.into());
    }
    let about = NewEvent::of_user(Kind::TokenDeleted, &user);
    events(&admin).record(about.saying("id", id.as_str()));
    Ok(StatusCode::NO_CONTENT)
}
