//! `/snapshots`, what is made from them, and what happened to workspaces.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use tokio::time::timeout;

use super::wire::{
    CloneWorkspace, EventView, HistoryQuery, PullRequest, PushSnapshot, RestoreRequest,
    SnapshotView, TakeSnapshot, Wait, WorkspaceView,
};
use super::workspaces::{self, Accepted, MAX_WAIT, accepted, note, owner};
use super::{Admin, body, query, view};
use crate::drivers::Credentials;
use crate::http::api::shown_event;
use crate::http::problem::Problem;
use crate::identity::Target;
use crate::person;
use crate::workspaces::{Snapshot, SnapshotError};

/// Most events that are shown.
const MAX_EVENTS: u32 = 1000;

/// Events that are shown unless others are asked for.
const EVENTS: u32 = 50;

/// What an action answers: what was asked for is recorded and goes on.
type Recorded = Result<(StatusCode, Json<SnapshotView>), Problem>;

/// `GET /snapshots`
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<SnapshotView>>, Problem> {
    let found = admin.workspaces.snapshots().await?;
    let shown = found.into_iter().map(|snapshot| shown(&admin, snapshot));
    Ok(Json(shown.collect()))
}

/// `POST /workspaces/{workspace}/snapshots`
pub(super) async fn take(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Recorded {
    let asked: TakeSnapshot = body(&bytes)?;
    let workspace = workspaces::find(&admin, &text).await?.workspace;
    let (name, description) = (asked.name, asked.description);
    let taken = admin.workspaces.snapshot(&workspace, name, description);
    let snapshot = taken.await?;
    note(&admin, &workspace, "snapshot");
    Ok((StatusCode::ACCEPTED, Json(shown(&admin, snapshot))))
}

/// `GET /snapshots/{snapshot}?wait=SECONDS`
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    wait: Result<Query<Wait>, QueryRejection>,
) -> Result<Json<SnapshotView>, Problem> {
    let seconds = query(wait)?.wait.min(MAX_WAIT);
    let mut snapshot = find(&admin, &text).await?;
    if seconds > 0 {
        let settled = admin.workspaces.snapshot_settled(&snapshot.id);
        tokio::select! {
            _ = timeout(Duration::from_secs(seconds), settled) => {}
            () = admin.stop.cancelled() => {}
        }
        snapshot = admin.workspaces.snapshot_of(&snapshot.id).await?;
    }
    Ok(Json(shown(&admin, snapshot)))
}

/// `DELETE /snapshots/{snapshot}`
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    let snapshot = find(&admin, &text).await?;
    admin.workspaces.delete_snapshot(&snapshot.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /snapshots/{snapshot}/restore`
pub(super) async fn restore(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Accepted {
    let asked: RestoreRequest = body(&bytes)?;
    let snapshot = find(&admin, &text).await?;
    let own = snapshot.workspace.as_ref().map(|(id, _)| id.to_string());
    let workspace = asked.workspace.or(own).ok_or(SnapshotError::Gone)?;
    let workspace = workspaces::find(&admin, &workspace).await?.workspace;
    admin
        .workspaces
        .restore_snapshot(&workspace.id, &snapshot.id)
        .await?;
    note(&admin, &workspace, "restore");
    accepted(&admin, &workspace.id).await
}

/// `POST /snapshots/{snapshot}/push`
pub(super) async fn push(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Recorded {
    let asked: PushSnapshot = body(&bytes)?;
    let snapshot = find(&admin, &text).await?;
    let credentials = credentials(asked.username, asked.password);
    let pushed = admin
        .workspaces
        .push_snapshot(&snapshot.id, asked.to, credentials);
    let snapshot = pushed.await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&admin, snapshot))))
}

/// `POST /snapshots/pull`
pub(super) async fn pull(State(admin): State<Arc<Admin>>, bytes: Bytes) -> Recorded {
    let asked: PullRequest = body(&bytes)?;
    let owner = owner(&admin, asked.owner.as_ref()).await?;
    let pull = asked.pull;
    let credentials = credentials(pull.username, pull.password);
    let pulled =
        admin
            .workspaces
            .pull_snapshot((owner.id, owner.name), pull.name, pull.from, credentials);
    let snapshot = pulled.await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&admin, snapshot))))
}

/// `POST /workspaces/{workspace}/clones`
pub(super) async fn clone(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Vec<WorkspaceView>>), Problem> {
    let asked: CloneWorkspace = body(&bytes)?;
    let workspace = workspaces::find(&admin, &text).await?.workspace;
    let prefix = asked.prefix.unwrap_or_else(|| workspace.name.clone());
    let made = admin
        .workspaces
        .clone_workspace(&workspace, &prefix, asked.count);
    let made = made.await?;
    note(&admin, &workspace, "clone");
    let versions = admin.templates.versions().await?;
    let shown = made.iter().map(|record| view::workspace(record, &versions));
    Ok((StatusCode::ACCEPTED, Json(shown.collect())))
}

/// `GET /workspaces/{workspace}/history?lines=50`
pub(super) async fn history(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    asked: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<Vec<EventView>>, Problem> {
    let most = query(asked)?.lines.unwrap_or(EVENTS).min(MAX_EVENTS);
    let workspace = workspaces::find(&admin, &text).await?.workspace;
    let found = admin.store.history(&workspace.id, i64::MAX, most).await?;
    Ok(Json(found.into_iter().map(shown_event).collect()))
}

/// Finds a snapshot by its id, by `NAME.OWNER`, or by a name that only one has; of several
/// that have it, the one that belongs to who administers.
pub(super) async fn find(admin: &Admin, text: &str) -> Result<Snapshot, Problem> {
    let all = admin.workspaces.snapshots().await?;
    if let Some(found) = all.iter().find(|snapshot| snapshot.id.as_str() == text) {
        return Ok(found.clone());
    }
    let target: Target = text.parse()?;
    let fits = |snapshot: &&Snapshot| {
        let owner = &snapshot.owner_name;
        snapshot.name.as_str() == target.workspace.as_str()
            && target.owner.as_ref().is_none_or(|named| named == owner)
    };
    let mut found: Vec<_> = all.iter().filter(fits).collect();
    if found.len() > 1 {
        let users = admin.store.users().await?;
        let operator = person::operator(&users).map(|user| user.id.clone());
        found.retain(|snapshot| Some(&snapshot.owner) == operator.as_ref());
    }
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        _ => Err(SnapshotError::NotNamed(target).into()),
    }
}

fn shown(admin: &Admin, snapshot: Snapshot) -> SnapshotView {
    let doing = admin.workspaces.snapshot_doing(&snapshot.id);
    SnapshotView::of(snapshot, doing)
}

fn credentials(username: Option<String>, password: Option<String>) -> Option<Credentials> {
    username.map(|username| Credentials {
        username,
        password: password.unwrap_or_default(),
    })
}
