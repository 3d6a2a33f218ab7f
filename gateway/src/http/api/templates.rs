//! `/templates`: what workspaces can be made from.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Api;
use super::extract::{Administrator, Asked, Body, Named, Signed};
use super::page::page;
use super::wire::{Page, Paging, PutTemplate, Template};
use crate::http::problem::Problem;
use crate::identity::{Caller, Role};
use crate::names::TemplateName;
use crate::templates::{Found, TemplatesError};

/// `GET /templates`
pub(super) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Template>>, Problem> {
    let found = api.templates.list().await?;
    let by = |found: &Found| found.name.to_string();
    let found = page(found, by, paging.limit, paging.cursor.as_deref())?;
    let items = found.items.into_iter();
    let items = items.map(|it| shown(&api, &caller, it));
    Ok(Json(Page {
        items: items.collect(),
        next: found.next,
    }))
}

/// `GET /templates/{name}`
pub(super) async fn show(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(name): Named<TemplateName>,
) -> Result<Json<Template>, Problem> {
    let found = api.templates.get(&name).await?;
    // What it says may hold what is for administrators: mounts of the host, for one.
    let text = (caller.user.role == Role::Admin).then(|| found.text.clone());
    let template = shown(&api, &caller, found);
    Ok(Json(Template { text, ..template }))
}

/// `PUT /templates/{name}`
pub(super) async fn put(
    State(api): State<Api>,
    _: Administrator,
    Named(name): Named<TemplateName>,
    Body(new): Body<PutTemplate>,
) -> Result<Json<Template>, Problem> {
    let found = api.templates.put(&name, new.text).await?;
    let text = Some(found.text.clone());
    Ok(Json(whole(&api, found, text)))
}

/// `POST /templates/{name}/check`
pub(super) async fn check(
    State(api): State<Api>,
    _: Administrator,
    Named(name): Named<TemplateName>,
    Body(new): Body<PutTemplate>,
) -> Result<Json<Template>, Problem> {
    let found = api.templates.check(&name, new.text).await?;
    if let Err(error) = found.template {
        return Err(TemplatesError::Invalid { name, error }.into());
    }
    Ok(Json(whole(&api, found, None)))
}

/// `DELETE /templates/{name}`
pub(super) async fn remove(
    State(api): State<Api>,
    _: Administrator,
    Named(name): Named<TemplateName>,
) -> Result<StatusCode, Problem> {
    api.templates.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows a template to whoever asks, without its text.
fn shown(api: &Api, caller: &Caller, found: Found) -> Template {
    match caller.user.role {
        Role::Admin => whole(api, found, None),
        Role::Member => Template::of(found, None),
    }
}

fn whole(api: &Api, found: Found, text: Option<String>) -> Template {
    let pool = api.workspaces.pool(&found.name, &found.version);
    Template::whole(found, text, pool)
}
