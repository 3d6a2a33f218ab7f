//! `/snapshots`, and what is made from them.
//!
//! What is in a snapshot is its owner's, as what is in a workspace: administrators see that
//! it is there, delete it, and make workspaces of the same owner's from it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::time::timeout;

use super::extract::{Administrator, Asked, Body, Named, Signed, needs};
use super::page::{limit, page};
use super::streams::{id_of, shown};
use super::wire::{
    CloneWorkspace, Clones, Event, HistoryQuery, Page, PullSnapshot, PushSnapshot, RestoreSnapshot,
    Snapshot, SnapshotQuery, TakeSnapshot, WaitQuery,
};
use super::workspaces::{administers, reached, seconds, show as show_workspace};
use super::{Api, ApiRefused};
use crate::drivers::Credentials;
use crate::http::problem::Problem;
use crate::identity::{Caller, Denied, Role, Scope, User};
use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::{self, SnapshotError};

/// Longest name of a user at a registry, in characters.
const MAX_USERNAME: usize = 200;

/// Longest password there, in characters.
const MAX_PASSWORD: usize = 4096;

/// `GET /snapshots`
pub(super) async fn list(
    State(api): State<Api>,
    Signed(caller): Signed,
    Asked(asked): Asked<SnapshotQuery>,
) -> Result<Json<Page<Snapshot>>, Problem> {
    let user = &caller.user;
    let mut found = api.workspaces.snapshots().await?;
    found.retain(|snapshot| {
        let of = snapshot.workspace.as_ref().map(|(id, _)| id);
        sees(user, snapshot) && asked.workspace.as_ref().is_none_or(|id| of == Some(id))
    });
    let key =
        |snapshot: &workspaces::Snapshot| format!("{}.{}", snapshot.owner_name, snapshot.name);
    let found = page(found, key, asked.limit, asked.cursor.as_deref())?;
    let items = found.items.into_iter().map(|snapshot| show(&api, snapshot));
    Ok(Json(Page {
        items: items.collect(),
        next: found.next,
    }))
}

/// `POST /workspaces/{id}/snapshots`
pub(super) async fn take(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(wait): Asked<WaitQuery>,
    Body(asked): Body<TakeSnapshot>,
) -> Result<Response, Problem> {
    let workspace = &administers(&api, &caller, &id).await?;
    let (name, text) = (asked.name, asked.description);
    let snapshot = api.workspaces.snapshot(workspace, name, text).await?;
    api.workspaces
        .note(workspace, "snapshot", caller.user.name.as_str());
    settled(&api, &snapshot.id, wait).await
}

/// `GET /snapshots/{id}`
pub(super) async fn show_one(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<SnapshotId>,
    Asked(wait): Asked<WaitQuery>,
) -> Result<Json<Snapshot>, Problem> {
    seen(&api, &caller, &id).await?;
    wait_for(&api, &id, wait).await?;
    let snapshot = api.workspaces.snapshot_of(&id).await?;
    Ok(Json(show(&api, snapshot)))
}

/// `DELETE /snapshots/{id}`
pub(super) async fn remove(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<SnapshotId>,
) -> Result<StatusCode, Problem> {
    changes(&api, &caller, &id).await?;
    api.workspaces.delete_snapshot(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /snapshots/{id}/restore`
pub(super) async fn restore(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<SnapshotId>,
    Asked(wait): Asked<WaitQuery>,
    Body(asked): Body<RestoreSnapshot>,
) -> Result<Response, Problem> {
    let wait = seconds(wait)?;
    let snapshot = changes(&api, &caller, &id).await?;
    let own = snapshot.workspace.map(|(id, _)| id);
    let workspace = asked.workspace.or(own).ok_or(Denied::NoSuchId)?;
    let workspace = administers(&api, &caller, &workspace).await?;
    api.workspaces.restore_snapshot(&workspace.id, &id).await?;
    let by = caller.user.name.as_str();
    api.workspaces.note(&workspace, "restore", by);
    reached(&api, &caller, &workspace.id, wait).await
}

/// `POST /snapshots/{id}/push`
pub(super) async fn push(
    State(api): State<Api>,
    Signed(caller): Signed,
    _: Administrator,
    Named(id): Named<SnapshotId>,
    Asked(wait): Asked<WaitQuery>,
    Body(asked): Body<PushSnapshot>,
) -> Result<Response, Problem> {
    let snapshot = seen(&api, &caller, &id).await?;
    // Whoever gets it reads what is in it, so it is for its owner alone.
    if snapshot.owner != caller.user.id {
        return Err(SnapshotError::NoSuch.into());
    }
    let credentials = credentials(asked.username, asked.password)?;
    api.workspaces
        .push_snapshot(&id, asked.to, credentials)
        .await?;
    settled(&api, &id, wait).await
}

/// `POST /snapshots/pull`
pub(super) async fn pull(
    State(api): State<Api>,
    Signed(caller): Signed,
    _: Administrator,
    Asked(wait): Asked<WaitQuery>,
    Body(asked): Body<PullSnapshot>,
) -> Result<Response, Problem> {
    let credentials = credentials(asked.username, asked.password)?;
    let owner = (caller.user.id.clone(), caller.user.name.clone());
    let pulled = api
        .workspaces
        .pull_snapshot(owner, asked.name, asked.from, credentials)
        .await?;
    settled(&api, &pulled.id, wait).await
}

/// `POST /workspaces/{id}/clones`
pub(super) async fn clone(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Body(asked): Body<CloneWorkspace>,
) -> Result<Response, Problem> {
    let workspace = &administers(&api, &caller, &id).await?;
    let prefix = asked.prefix.unwrap_or_else(|| workspace.name.clone());
    let made = api
        .workspaces
        .clone_workspace(workspace, &prefix, asked.count)
        .await?;
    let by = caller.user.name.as_str();
    api.workspaces.note(workspace, "clone", by);
    let versions = api.templates.versions().await?;
    let shown = made
        .iter()
        .map(|record| show_workspace(&api, record, &caller, &versions));
    let clones = Clones {
        workspaces: shown.collect(),
    };
    Ok((StatusCode::ACCEPTED, Json(clones)).into_response())
}

/// `GET /workspaces/{id}/history`
pub(super) async fn history(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(asked): Asked<HistoryQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let most = limit(asked.limit)?;
    api.identity.oversee(&caller.user, &id).await?;
    let before = asked.cursor.as_deref().map_or(Ok(i64::MAX), id_of)?;
    let found = api.store.history(&id, before, most + 1).await?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let more = found.len() > most;
    let items: Vec<_> = found.into_iter().take(most).map(shown).collect();
    let next = items.last().filter(|_| more).map(|event| event.id.clone());
    Ok(Json(Page { items, next }))
}

fn sees(user: &User, snapshot: &workspaces::Snapshot) -> bool {
    snapshot.owner == user.id || user.role == Role::Admin
}

/// Returns a snapshot that the caller may see.
pub(super) async fn seen(
    api: &Api,
    caller: &Caller,
    id: &SnapshotId,
) -> Result<workspaces::Snapshot, Problem> {
    let snapshot = api.workspaces.snapshot_of(id).await?;
    if sees(&caller.user, &snapshot) {
        return Ok(snapshot);
    }
    Err(SnapshotError::NoSuch.into())
}

/// Returns a snapshot that the caller may change: what is somebody else's takes the scope
/// for it, too.
pub(super) async fn changes(
    api: &Api,
    caller: &Caller,
    id: &SnapshotId,
) -> Result<workspaces::Snapshot, Problem> {
    let snapshot = seen(api, caller, id).await?;
    if snapshot.owner != caller.user.id {
        needs(caller, Scope::Admin)?;
    }
    Ok(snapshot)
}

fn show(api: &Api, snapshot: workspaces::Snapshot) -> Snapshot {
    let doing = api.workspaces.snapshot_doing(&snapshot.id);
    Snapshot::of(snapshot, doing)
}

/// Answers with where a snapshot is: 202 at once, 200 where its end was waited for and has
/// come.
async fn settled(api: &Api, id: &SnapshotId, wait: WaitQuery) -> Result<Response, Problem> {
    let waited = wait_for(api, id, wait).await?;
    let snapshot = show(api, api.workspaces.snapshot_of(id).await?);
    let status = if waited && snapshot.is_settled() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(snapshot)).into_response())
}

/// Waits until a snapshot stays as it is, but no longer than asked; tells whether that was
/// asked for.
async fn wait_for(api: &Api, id: &SnapshotId, wait: WaitQuery) -> Result<bool, ApiRefused> {
    let Some(wait) = seconds(wait)? else {
        return Ok(false);
    };
    tokio::select! {
        _ = timeout(wait, api.workspaces.snapshot_settled(id)) => {}
        () = api.stop.cancelled() => {}
    }
    Ok(true)
}

fn credentials(
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<Credentials>, ApiRefused> {
    let refused = |allowed| ApiRefused::Value {
        name: "username and password",
        allowed,
    };
    let fits = |text: Option<&String>, most| text.is_none_or(|it| it.chars().count() <= most);
    if !fits(username.as_ref(), MAX_USERNAME) || !fits(password.as_ref(), MAX_PASSWORD) {
        return Err(refused("at most 200 and 4096 characters"));
    }
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => Ok(Some(Credentials { username, password })),
        _ => Err(refused("both, or neither")),
    }
}
