//! `/secrets`: one's own, and for administrators the installation's. Their values go in
//! and never come out.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::extract::{Asked, Body, Named, Signed, needs};
use super::wire::{Page, SecretEntry, SecretQuery, SetSecret};
use super::{Api, ApiRefused};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::identity::{Caller, Role, Scope};
use crate::secrets::{Entry, Holder, SecretName};

const NO_SECRET: ApiRefused = ApiRefused::NoSuch {
    what: "secret: the list of secrets shows what there is",
    code: "no-such-secret",
};

/// `GET /secrets`
pub(super) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(asked): Asked<SecretQuery>,
) -> Result<Json<Page<SecretEntry>>, Problem> {
    let holder = holder(&caller, asked)?;
    let entries = api.vault.list(&holder).await?;
    Ok(Json(Page {
        items: entries.into_iter().map(shown).collect(),
        next: None,
    }))
}

/// `GET /secrets/{name}`
pub(super) async fn show(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(name): Named<SecretName>,
    Asked(asked): Asked<SecretQuery>,
) -> Result<Json<SecretEntry>, Problem> {
    let holder = holder(&caller, asked)?;
    let entries = api.vault.list(&holder).await?;
    let found = entries.into_iter().find(|entry| entry.name == name);
    Ok(Json(shown(found.ok_or(NO_SECRET)?)))
}

/// `PUT /secrets/{name}`
pub(super) async fn set(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(name): Named<SecretName>,
    Asked(asked): Asked<SecretQuery>,
    Body(new): Body<SetSecret>,
) -> Result<StatusCode, Problem> {
    let holder = changing(&caller, asked)?;
    api.vault.set(&holder, &name, &new.value).await?;
    record(&api, Kind::SecretSet, &caller, &holder, &name);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /secrets/{name}`
pub(super) async fn remove(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(name): Named<SecretName>,
    Asked(asked): Asked<SecretQuery>,
) -> Result<StatusCode, Problem> {
    let holder = changing(&caller, asked)?;
    if !api.vault.remove(&holder, &name).await? {
        return Err(NO_SECRET.into());
    }
    record(&api, Kind::SecretRemoved, &caller, &holder, &name);
    Ok(StatusCode::NO_CONTENT)
}

/// Returns whose secrets are asked for.
fn holder(caller: &Caller, asked: SecretQuery) -> Result<Holder, ApiRefused> {
    if !asked.installation.unwrap_or_default() {
        return Ok(Holder::User(caller.user.id.clone()));
    }
    if caller.user.role != Role::Admin {
        return Err(ApiRefused::NotAdmin);
    }
    Ok(Holder::Installation)
}

/// Returns whose secrets are to be changed.
fn changing(caller: &Caller, asked: SecretQuery) -> Result<Holder, ApiRefused> {
    let holder = holder(caller, asked)?;
    if holder == Holder::Installation {
        needs(caller, Scope::Admin)?;
    }
    Ok(holder)
}

fn record(api: &Api, kind: Kind, caller: &Caller, holder: &Holder, name: &SecretName) {
    let about = match holder {
        Holder::User(_) => NewEvent::of_user(kind, &caller.user),
        Holder::Installation => NewEvent::of_installation(kind),
    };
    api.events.record(about.saying("name", name.as_str()));
}

fn shown(entry: Entry) -> SecretEntry {
    SecretEntry {
        name: entry.name,
        created: entry.created,
        changed: entry.changed,
    }
}
