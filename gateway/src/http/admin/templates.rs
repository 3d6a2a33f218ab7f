//! `/templates`: what workspaces are made from.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use http::StatusCode;

use super::wire::{PutQuery, PutTemplate, TemplateView};
use super::{Admin, body, query};
use crate::http::problem::Problem;
use crate::names::TemplateName;
use crate::templates::{Found, TemplatesError};

/// `GET /templates`
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<TemplateView>>, Problem> {
    let found = admin.templates.list().await?;
    let shown = found.into_iter().map(|it| whole(&admin, it, None));
    Ok(Json(shown.collect()))
}

/// `GET /templates/{template}`
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Json<TemplateView>, Problem> {
    let name: TemplateName = name.parse()?;
    let found = admin.templates.get(&name).await?;
    let text = Some(found.text.clone());
    Ok(Json(whole(&admin, found, text)))
}

/// `PUT /templates/{template}?check=false`
pub(super) async fn put(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    asked: Result<Query<PutQuery>, QueryRejection>,
    bytes: Bytes,
) -> Result<Json<TemplateView>, Problem> {
    let name: TemplateName = name.parse()?;
    let new: PutTemplate = body(&bytes)?;
    let found = if query(asked)?.check {
        let found = admin.templates.check(&name, new.text).await?;
        if let Err(error) = found.template {
            return Err(TemplatesError::Invalid { name, error }.into());
        }
        found
    } else {
        admin.templates.put(&name, new.text).await?
    };
    Ok(Json(whole(&admin, found, None)))
}

/// `DELETE /templates/{template}`
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name: TemplateName = name.parse()?;
    admin.templates.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn whole(admin: &Admin, found: Found, text: Option<String>) -> TemplateView {
    let pool = admin.workspaces.pool(&found.name, &found.version);
    TemplateView::whole(found, text, pool)
}
