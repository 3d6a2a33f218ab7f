//! `/deleted-workspaces`: those that can be restored.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;

use super::wire::{Restore, WorkspaceView};
use super::workspaces::{Accepted, accepted};
use super::{Admin, body, view};
use crate::http::problem::{Problem, RequestRefused};
use crate::identity::Target;
use crate::workspaces::Record;

/// `GET /deleted-workspaces`
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<WorkspaceView>>, Problem> {
    let records = admin.workspaces.list_deleted().await?;
    let versions = admin.templates.versions().await?;
    let shown = records
        .iter()
        .map(|record| view::workspace(record, &versions));
    Ok(Json(shown.collect()))
}

/// `GET /deleted-workspaces/{workspace}`
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
) -> Result<Json<WorkspaceView>, Problem> {
    let versions = admin.templates.versions().await?;
    let record = find(&admin, &text).await?;
    Ok(Json(view::workspace(&record, &versions)))
}

/// `POST /deleted-workspaces/{workspace}/restore`
pub(super) async fn restore(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Accepted {
    let request: Restore = body(&bytes)?;
    let id = find(&admin, &text).await?.workspace.id;
    admin.workspaces.restore(&id, request.name).await?;
    accepted(&admin, &id).await
}

/// `DELETE /deleted-workspaces/{workspace}`
pub(super) async fn purge(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = find(&admin, &text).await?.workspace.id;
    admin.workspaces.purge(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Finds a deleted workspace by its id, or by a name that only one of them had.
async fn find(admin: &Admin, text: &str) -> Result<Record, Problem> {
    let mut records = admin.workspaces.list_deleted().await?;
    if let Some(found) = records
        .iter()
        .find(|record| record.workspace.id.as_str() == text)
    {
        return Ok(found.clone());
    }
    let target: Target = text.parse()?;
    records.retain(|record| {
        let owner = &record.workspace.owner_name;
        record.workspace.name == target.workspace
            && target.owner.as_ref().is_none_or(|named| named == owner)
    });
    match records.as_slice() {
        [] => Err(RequestRefused::NoDeletedWorkspace(target).into()),
        [only] => Ok(only.clone()),
        several => {
            let ids = several
                .iter()
                .map(|record| format!("{} ({})", record.workspace.id, record.workspace.target()));
            Err(RequestRefused::Ambiguous(ids.collect()).into())
        }
    }
}
