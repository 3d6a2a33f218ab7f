//! `/workspaces/{id}/extend`: how long it lives.

use std::time::Duration;

use axum::Json;
use axum::extract::State;

use super::Api;
use super::extract::{Body, Named, Signed};
use super::wire::{ExtendWorkspace, Workspace};
use super::workspaces::{administers, show};
use crate::http::problem::Problem;
use crate::identity::Denied;
use crate::names::WorkspaceId;

/// `POST /workspaces/{id}/extend`
pub(super) async fn extend(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Body(asked): Body<ExtendWorkspace>,
) -> Result<Json<Workspace>, Problem> {
    let workspace = administers(&api, &caller, &id).await?;
    let length = asked.seconds.map(Duration::from_secs);
    api.workspaces.extend(&id, length).await?;
    let by = caller.user.name.as_str();
    api.workspaces.note(&workspace, "extend", by);
    let record = api.workspaces.get(&id).await?.ok_or(Denied::NoSuchId)?;
    let versions = api.templates.versions().await?;
    Ok(Json(show(&api, &record, &caller, &versions)))
}
