//! `/workspaces`: what there is, and what is wanted of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use tokio::time::timeout;

use super::wire::{
    AfterCreate, ChangeWorkspace, ExtendWorkspace, NewWorkspace, RebuildWorkspace, Removal, Wait,
    WorkspaceView,
};
use super::{Admin, body, query, snapshots, view};
use crate::http::problem::{Problem, RequestRefused};
use crate::identity::{Target, User};
use crate::names::{UserName, WorkspaceId};
use crate::person;
use crate::store::StoreError;
use crate::workspaces::{Change, Choices, CommandError, Intent, Record, Workspace};

/// Longest wait of one request, in seconds.
pub(super) const MAX_WAIT: u64 = 60;

/// Who asks here, for a workspace's history.
const COMMAND_LINE: &str = "(command line)";

/// What a lifecycle action answers: what was asked for is recorded and goes on.
pub(super) type Accepted = Result<(StatusCode, Json<WorkspaceView>), Problem>;

/// `GET /workspaces`
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
) -> Result<Json<Vec<WorkspaceView>>, Problem> {
    let records = admin.workspaces.list().await?;
    let versions = admin.templates.versions().await?;
    let shown = records.iter().map(|record| {
        let mut view = view::workspace(record, &versions);
        view.startup_failure = startup_failure(&admin, &record.workspace.id);
        view.agent_unreachable = admin.workspaces.is_out_of_reach(&record.workspace.id);
        view
    });
    Ok(Json(shown.collect()))
}

/// `POST /workspaces`
pub(super) async fn create(State(admin): State<Arc<Admin>>, bytes: Bytes) -> Accepted {
    let request: NewWorkspace = body(&bytes)?;
    let owner = owner(&admin, request.owner.as_ref()).await?;
    let intent = match request.then {
        AfterCreate::Start => Intent::Run,
        AfterCreate::Nothing => Intent::Stop,
    };
    let (name, snapshot) = (&request.name, request.snapshot.as_ref());
    let record = if let Some(text) = snapshot {
        let snapshot = snapshots::find(&admin, text).await?;
        let made = admin
            .workspaces
            .create_from(&owner, name, &snapshot.id, intent);
        made.await?
    } else {
        let choices = Choices {
            cpus: request.cpus,
            memory: request.memory,
        };
        let template = request.template.as_ref();
        let blueprint = admin.templates.blueprint(template, choices, None).await?;
        let made = admin.workspaces.create(&owner, name, blueprint, intent);
        made.await?
    };
    note(&admin, &record.workspace, "create");
    let versions = admin.templates.versions().await?;
    let shown = view::workspace(&record, &versions);
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `POST /workspaces/{workspace}/rebuild`
pub(super) async fn rebuild(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Accepted {
    let asked: RebuildWorkspace = body(&bytes)?;
    let workspace = find(&admin, &text).await?.workspace;
    let choices = Choices {
        cpus: asked.cpus,
        memory: asked.memory,
    };
    let blueprint = admin
        .templates
        .anew(&workspace.blueprint, asked.template.as_ref(), choices)
        .await?;
    admin.workspaces.rebuild(&workspace.id, blueprint).await?;
    note(&admin, &workspace, "rebuild");
    accepted(&admin, &workspace.id).await
}

/// `GET /workspaces/{workspace}?wait=SECONDS`
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    wait: Result<Query<Wait>, QueryRejection>,
) -> Result<Json<WorkspaceView>, Problem> {
    let seconds = query(wait)?.wait.min(MAX_WAIT);
    // A deleted one, too: whoever waits for a deletion asks by id.
    let named = match text.parse() {
        Ok(id) => admin.workspaces.get(&id).await?,
        Err(_) => None,
    };
    let mut record = match named {
        Some(record) => record,
        None => find(&admin, &text).await?,
    };
    if seconds > 0 {
        let id = record.workspace.id.clone();
        let settled = timeout(Duration::from_secs(seconds), admin.workspaces.settled(&id));
        tokio::select! {
            _ = settled => {}
            () = admin.stop.cancelled() => {}
        }
        // By its id: meanwhile another may have got its name.
        record = by_id(&admin, &id).await?;
    }
    let versions = admin.templates.versions().await?;
    let mut view = view::workspace(&record, &versions);
    view.doing = admin.workspaces.doing(&record.workspace.id);
    view.out_of_memory = crate::http::view::killed(&admin.workspaces, &record.workspace.id);
    view.startup_failure = startup_failure(&admin, &record.workspace.id);
    view.agent_unreachable = admin.workspaces.is_out_of_reach(&record.workspace.id);
    Ok(Json(view))
}

/// Says why a workspace's start-up failed, where it did.
fn startup_failure(admin: &Admin, id: &WorkspaceId) -> Option<String> {
    let status = admin.workspaces.startup(id)?;
    status.failure.map(|_| status.detail)
}

/// `POST /workspaces/{workspace}/start`
pub(super) async fn start(State(admin): State<Arc<Admin>>, Path(text): Path<String>) -> Accepted {
    let workspace = find(&admin, &text).await?.workspace;
    admin.workspaces.start(&workspace.id).await?;
    note(&admin, &workspace, "start");
    accepted(&admin, &workspace.id).await
}

/// `POST /workspaces/{workspace}/stop`
pub(super) async fn stop(State(admin): State<Arc<Admin>>, Path(text): Path<String>) -> Accepted {
    let workspace = find(&admin, &text).await?.workspace;
    admin.workspaces.stop(&workspace.id).await?;
    note(&admin, &workspace, "stop");
    accepted(&admin, &workspace.id).await
}

/// `POST /workspaces/{workspace}/restart`
pub(super) async fn restart(State(admin): State<Arc<Admin>>, Path(text): Path<String>) -> Accepted {
    let workspace = find(&admin, &text).await?.workspace;
    admin.workspaces.restart(&workspace.id).await?;
    note(&admin, &workspace, "restart");
    accepted(&admin, &workspace.id).await
}

/// `PATCH /workspaces/{workspace}`
pub(super) async fn change(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Result<Json<WorkspaceView>, Problem> {
    let request: ChangeWorkspace = body(&bytes)?;
    let id = find(&admin, &text).await?.workspace.id;
    let owner = match &request.owner {
        Some(name) => Some(owner(&admin, Some(name)).await?),
        None => None,
    };
    let name = request.name;
    admin.workspaces.change(&id, Change { name, owner }).await?;
    let versions = admin.templates.versions().await?;
    let record = by_id(&admin, &id).await?;
    Ok(Json(view::workspace(&record, &versions)))
}

/// `POST /workspaces/{workspace}/extend`
pub(super) async fn extend(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Result<Json<WorkspaceView>, Problem> {
    let request: ExtendWorkspace = body(&bytes)?;
    let workspace = find(&admin, &text).await?.workspace;
    let length = request.seconds.map(Duration::from_secs);
    admin.workspaces.extend(&workspace.id, length).await?;
    note(&admin, &workspace, "extend");
    let versions = admin.templates.versions().await?;
    let record = by_id(&admin, &workspace.id).await?;
    Ok(Json(view::workspace(&record, &versions)))
}

/// `DELETE /workspaces/{workspace}?purge=BOOL`
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    removal: Result<Query<Removal>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let purge = query(removal)?.purge;
    let workspace = find(&admin, &text).await?.workspace;
    note(&admin, &workspace, if purge { "purge" } else { "delete" });
    if purge {
        admin.workspaces.purge(&workspace.id).await?;
    } else {
        admin.workspaces.delete(&workspace.id).await?;
    }
    Ok(StatusCode::ACCEPTED)
}

/// Takes note of what was asked on the server's own command line.
pub(super) fn note(admin: &Admin, workspace: &Workspace, command: &str) {
    admin.workspaces.note(workspace, command, COMMAND_LINE);
}

pub(super) async fn accepted(admin: &Admin, id: &WorkspaceId) -> Accepted {
    let record = by_id(admin, id).await?;
    let versions = admin.templates.versions().await?;
    let shown = view::workspace(&record, &versions);
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

/// Finds a workspace by its id, by `NAME.OWNER`, or by a name that only one has; of
/// several that have it, the one that belongs to who administers.
///
/// An id wins over a name: nobody can give a workspace the id of another as its
/// name and have it taken for that one.
pub(super) async fn find(admin: &Admin, text: &str) -> Result<Record, Problem> {
    let records = admin.workspaces.list().await?;
    if let Some(found) = records
        .iter()
        .find(|record| record.workspace.id.as_str() == text)
    {
        return Ok(found.clone());
    }
    let target: Target = text.parse()?;
    let fits = |record: &&Record| {
        let owner = &record.workspace.owner_name;
        record.workspace.name == target.workspace
            && target.owner.as_ref().is_none_or(|named| named == owner)
    };
    let found: Vec<_> = records.iter().filter(fits).collect();
    match found.as_slice() {
        [] => Err(RequestRefused::NoWorkspace(target).into()),
        [only] => Ok((*only).clone()),
        several => {
            let users = admin.store.users().await?;
            let operator = person::operator(&users).map(|user| &user.id);
            let mut theirs = several.iter();
            let own = theirs.find(|record| Some(&record.workspace.owner) == operator);
            if let Some(own) = own {
                return Ok((**own).clone());
            }
            let names = several
                .iter()
                .map(|record| format!("{}.{}", record.workspace.name, record.workspace.owner_name))
                .collect();
            Err(RequestRefused::Ambiguous(names).into())
        }
    }
}

pub(super) async fn by_id(admin: &Admin, id: &WorkspaceId) -> Result<Record, Problem> {
    let found = admin.workspaces.get(id).await?;
    found.ok_or_else(|| CommandError::Gone.into())
}

/// Returns whose a new workspace will be.
pub(super) async fn owner(admin: &Admin, name: Option<&UserName>) -> Result<User, Problem> {
    let users = admin.store.users().await?;
    let found = match name {
        Some(name) => users.into_iter().find(|user| user.name == *name),
        None => person::operator(&users).cloned(),
    };
    found.ok_or_else(|| match name {
        Some(name) => StoreError::NoSuchUser(name.clone()).into(),
        None => RequestRefused::NoOwner.into(),
    })
}
