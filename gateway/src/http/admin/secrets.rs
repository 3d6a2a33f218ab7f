//! `/secrets` and `/users/{user}/secrets`: the installation's, and somebody's.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;

use super::wire::{SecretView, SetSecret};
use super::{Admin, body, people};
use crate::events::{Kind, NewEvent};
use crate::http::problem::{Problem, RequestRefused};
use crate::identity::User;
use crate::secrets::{Holder, SecretName};

/// `GET /secrets`
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<SecretView>>, Problem> {
    list_for(&admin, None).await
}

/// `GET /users/{user}/secrets`
pub(super) async fn list_of(
    State(admin): State<Arc<Admin>>,
    Path(user): Path<String>,
) -> Result<Json<Vec<SecretView>>, Problem> {
    let user = people::user_named(&admin, &user).await?;
    list_for(&admin, Some(&user)).await
}

/// `PUT /secrets/{name}`
pub(super) async fn set(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<StatusCode, Problem> {
    set_for(&admin, None, &name, &bytes).await
}

/// `PUT /users/{user}/secrets/{name}`
pub(super) async fn set_of(
    State(admin): State<Arc<Admin>>,
    Path((user, name)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<StatusCode, Problem> {
    let user = people::user_named(&admin, &user).await?;
    set_for(&admin, Some(&user), &name, &bytes).await
}

/// `DELETE /secrets/{name}`
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    remove_for(&admin, None, &name).await
}

/// `DELETE /users/{user}/secrets/{name}`
pub(super) async fn remove_of(
    State(admin): State<Arc<Admin>>,
    Path((user, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user = people::user_named(&admin, &user).await?;
    remove_for(&admin, Some(&user), &name).await
}

async fn list_for(admin: &Admin, user: Option<&User>) -> Result<Json<Vec<SecretView>>, Problem> {
    let entries = admin.vault.list(&holder(user)).await?;
    let views = entries.into_iter().map(|entry| SecretView {
        name: entry.name,
        created: entry.created,
        changed: entry.changed,
    });
    Ok(Json(views.collect()))
}

async fn set_for(
    admin: &Admin,
    user: Option<&User>,
    name: &str,
    bytes: &Bytes,
) -> Result<StatusCode, Problem> {
    let name: SecretName = name.parse()?;
    let request: SetSecret = body(bytes)?;
    admin
        .vault
        .set(&holder(user), &name, &request.value)
        .await?;
    record(admin, Kind::SecretSet, user, &name);
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_for(admin: &Admin, user: Option<&User>, name: &str) -> Result<StatusCode, Problem> {
    let name: SecretName = name.parse()?;
    if !admin.vault.remove(&holder(user), &name).await? {
        return Err(RequestRefused::NoSecret(name).into());
    }
    record(admin, Kind::SecretRemoved, user, &name);
    Ok(StatusCode::NO_CONTENT)
}

fn holder(user: Option<&User>) -> Holder {
    user.map_or(Holder::Installation, |user| Holder::User(user.id.clone()))
}

fn record(admin: &Admin, kind: Kind, user: Option<&User>, name: &SecretName) {
    let about = user.map_or_else(
        || NewEvent::of_installation(kind),
        |user| NewEvent::of_user(kind, user),
    );
    let about = about.saying("name", name.as_str());
    admin.workspaces.events().record(about);
}
