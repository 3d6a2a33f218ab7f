//! `/users` and `/keys`: who may connect, and with what.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;

use super::wire::{KeyView, NewKey, NewUser, SignInLink, UserView};
use super::{Admin, body, view};
use crate::events::{Events, Kind, NewEvent};
use crate::http::problem::{Problem, RequestRefused};
use crate::http::view::role;
use crate::identity::{AuthorizedKey, User};
use crate::names::UserName;
use crate::store::StoreError;

/// `GET /users`
pub(super) async fn list_users(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<UserView>>, Problem> {
    let workspaces = admin.workspaces.list().await?;
    let mut views = Vec::new();
    for user in admin.store.users().await? {
        let theirs = workspaces
            .iter()
            .filter(|record| record.workspace.owner == user.id);
        views.push(UserView {
            id: user.id.clone(),
            name: user.name.clone(),
            role: role(user.role),
            keys: Some(admin.store.keys_of(&user).await?.len()),
            workspaces: theirs.count(),
        });
    }
    Ok(Json(views))
}

/// `POST /users`
pub(super) async fn add_user(
    State(admin): State<Arc<Admin>>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let request: NewUser = body(&bytes)?;
    let mut keys = Vec::new();
    for line in &request.keys {
        let key = AuthorizedKey::parse(line)?;
        // Known before the user is made, so that nothing is left half done.
        if admin.store.owner_of_key(key.fingerprint()).await?.is_some() {
            let fingerprint = key.fingerprint().to_owned();
            return Err(StoreError::KeyOfAnother { fingerprint }.into());
        }
        keys.push(key);
    }
    let user = admin
        .store
        .add_user(&request.name, request.role.into())
        .await?;
    for key in &keys {
        if let Err(error) = admin.store.add_key(&user, key).await {
            // Somebody else took the key in between.
            admin.store.remove_user(&user.name).await?;
            return Err(error.into());
        }
    }
    events(&admin).record(NewEvent::of_user(Kind::UserCreated, &user));
    let answer = UserView {
        id: user.id,
        name: user.name,
        role: role(user.role),
        keys: Some(keys.len()),
        workspaces: 0,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `DELETE /users/{user}`
pub(super) async fn remove_user(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name: UserName = name.parse()?;
    let user = user_named(&admin, name.as_str()).await?;
    admin.accounts.remove_user(&name).await?;
    events(&admin).record(NewEvent::of_user(Kind::UserDeleted, &user));
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /users/{user}/link`
pub(super) async fn link(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<SignInLink>), Problem> {
    let user = user_named(&admin, &name).await?;
    let link = crate::http::view::link(&admin.accounts, &admin.site, &user).await?;
    events(&admin).record(NewEvent::of_user(Kind::LinkCreated, &user));
    Ok((StatusCode::CREATED, Json(link)))
}

pub(super) fn events(admin: &Admin) -> &Events {
    admin.workspaces.events()
}

/// `GET /keys`
pub(super) async fn list_keys(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<KeyView>>, Problem> {
    let mut views = Vec::new();
    for user in admin.store.users().await? {
        views.extend(keys_of(&admin, &user).await?);
    }
    Ok(Json(views))
}

/// `GET /users/{user}/keys`
pub(super) async fn list_keys_of(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<KeyView>>, Problem> {
    let user = user_named(&admin, &name).await?;
    Ok(Json(keys_of(&admin, &user).await?))
}

/// `POST /users/{user}/keys`
pub(super) async fn add_key(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<KeyView>), Problem> {
    let user = user_named(&admin, &name).await?;
    let request: NewKey = body(&bytes)?;
    let key = AuthorizedKey::parse(&request.key)?;
    admin.store.add_key(&user, &key).await?;
    let keys = keys_of(&admin, &user).await?;
    let added = keys
        .into_iter()
        .find(|view| view.fingerprint == key.fingerprint());
    let added = added.ok_or_else(|| RequestRefused::NoKey(key.fingerprint().into()))?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// `DELETE /keys/{fingerprint}`
pub(super) async fn remove_key(
    State(admin): State<Arc<Admin>>,
    Path(fingerprint): Path<String>,
) -> Result<StatusCode, Problem> {
    let owner = admin.store.user_of_fingerprint(&fingerprint).await?;
    let removed = match owner {
        Some(owner) => admin.store.remove_key(&owner, &fingerprint).await?,
        None => false,
    };
    if removed {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(RequestRefused::NoKey(fingerprint.as_str().into()).into())
    }
}

async fn keys_of(admin: &Admin, user: &User) -> Result<Vec<KeyView>, Problem> {
    let keys = admin.store.keys_of(user).await?;
    Ok(keys.iter().map(|key| view::key(key, &user.name)).collect())
}

pub(super) async fn user_named(admin: &Admin, name: &str) -> Result<User, Problem> {
    let name: UserName = name.parse()?;
    let found = admin.store.user_named(&name).await?;
    found.ok_or_else(|| StoreError::NoSuchUser(name).into())
}
