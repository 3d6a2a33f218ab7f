//! `/workspaces`: what there is, and what is wanted of it.

use std::time::Duration;

use axum::Json;
use axum::extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::time::timeout;

use super::extract::{Asked, Body, Named, Signed, needs};
use super::narrowed::Sight;
use super::page::page;
use super::wire::{
    Agent, ChangeWorkspace, DeleteQuery, MAX_WAIT, Page, RebuildWorkspace, RestoreWorkspace, Urls,
    WaitQuery, Workspace, WorkspaceQuery, WorkspaceTemplate,
};
use super::{Api, ApiRefused};
use crate::http::apps::{self, Opens};
use crate::http::problem::Problem;
use crate::http::view;
use crate::identity::{Caller, Denied, Role, Scope, User};
use crate::names::{UserName, WorkspaceId};
use crate::store::StoreError;
use crate::templates::Versions;
use crate::workspaces::{self, Change, Choices, Record, State};

/// What is done with a workspace.
#[derive(Clone, Copy, Debug)]
enum Action {
    Start,
    Stop,
    Restart,
    Sleep,
}

/// `GET /workspaces`
pub(super) async fn list(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Asked(asked): Asked<WorkspaceQuery>,
) -> Result<Json<Page<Workspace>>, Problem> {
    let user = &caller.user;
    let fits = |record: &Record| {
        let workspace = &record.workspace;
        let seen = (workspace.owner == user.id || user.role == Role::Admin)
            && Sight::of(&caller, workspace) != Sight::Nothing;
        let owner = asked.owner.as_ref();
        let name = asked.name.as_ref();
        seen && owner.is_none_or(|owner| workspace.owner_name == *owner)
            && name.is_none_or(|name| workspace.name == *name)
            && asked
                .state
                .is_none_or(|state| view::state(&record.state) == state)
    };
    let deleted = asked.deleted.unwrap_or_default();
    let records = if deleted {
        api.workspaces.list_deleted().await?
    } else {
        api.workspaces.list().await?
    };
    let records: Vec<_> = records.into_iter().filter(fits).collect();
    let key = |record: &Record| {
        let workspace = &record.workspace;
        let name = format!("{}.{}", workspace.owner_name, workspace.name);
        // Several deleted ones may have had the same name.
        if deleted {
            format!("{name}.{}", workspace.id)
        } else {
            name
        }
    };
    let found = page(records, key, asked.limit, asked.cursor.as_deref())?;
    let versions = api.templates.versions().await?;
    let items = found.items.iter();
    let items = items.map(|record| show(&api, record, &caller, &versions));
    Ok(Json(Page {
        items: items.collect(),
        next: found.next,
    }))
}

/// `POST /workspaces/{id}/rebuild`
pub(super) async fn rebuild(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(wait): Asked<WaitQuery>,
    Body(asked): Body<RebuildWorkspace>,
) -> Result<Response, Problem> {
    let wait = seconds(wait)?;
    administers(&api, &caller, &id).await?;
    let record = record(&api, &id).await?.ok_or(Denied::NoSuchId)?;
    let choices = Choices {
        cpus: asked.cpus,
        memory: asked.memory,
    };
    let before = &record.workspace.blueprint;
    let blueprint = api
        .templates
        .anew(before, asked.template.as_ref(), choices)
        .await?;
    api.workspaces.rebuild(&id, blueprint).await?;
    let by = caller.user.name.as_str();
    api.workspaces.note(&record.workspace, "rebuild", by);
    reached(&api, &caller, &id, wait).await
}

/// `GET /workspaces/{id}`
pub(super) async fn show_one(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(wait): Asked<WaitQuery>,
) -> Result<Json<Workspace>, Problem> {
    let wait = seconds(wait)?;
    let overseen = api.identity.oversee(&caller.user, &id).await?;
    if Sight::of(&caller, overseen.workspace()) == Sight::Nothing {
        return Err(Denied::NoSuchId.into());
    }
    settled(&api, &id, wait).await;
    let record = record(&api, &id).await?.ok_or(Denied::NoSuchId)?;
    let versions = api.templates.versions().await?;
    Ok(Json(show(&api, &record, &caller, &versions)))
}

/// `PATCH /workspaces/{id}`
pub(super) async fn change(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Body(asked): Body<ChangeWorkspace>,
) -> Result<Response, Problem> {
    administers(&api, &caller, &id).await?;
    let owner = match &asked.owner {
        // Nobody is given what they don't want by somebody like them.
        Some(name) => Some(named_owner(&api, &caller, name).await?),
        None => None,
    };
    let name = asked.name;
    api.workspaces.change(&id, Change { name, owner }).await?;
    let changed = record(&api, &id).await?.ok_or(Denied::NoSuchId)?;
    let versions = api.templates.versions().await?;
    Ok(Json(show(&api, &changed, &caller, &versions)).into_response())
}

/// `DELETE /workspaces/{id}`
pub(super) async fn remove(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(DeleteQuery { purge, wait }): Asked<DeleteQuery>,
) -> Result<Response, Problem> {
    let wait = seconds(WaitQuery { wait })?;
    administers(&api, &caller, &id).await?;
    if purge.unwrap_or_default() {
        api.workspaces.purge(&id).await?;
    } else {
        api.workspaces.delete(&id).await?;
    }
    settled(&api, &id, wait).await;
    let Some(record) = record(&api, &id).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let status = match record.state {
        State::Deleted if wait.is_some() => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    let versions = api.templates.versions().await?;
    let shown = show(&api, &record, &caller, &versions);
    Ok((status, Json(shown)).into_response())
}

/// `POST /workspaces/{id}/restore`
pub(super) async fn restore(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(wait): Asked<WaitQuery>,
    Body(RestoreWorkspace { name }): Body<RestoreWorkspace>,
) -> Result<Response, Problem> {
    let wait = seconds(wait)?;
    administers(&api, &caller, &id).await?;
    api.workspaces.restore(&id, name).await?;
    reached(&api, &caller, &id, wait).await
}

/// `POST /workspaces/{id}/start`
pub(super) async fn start(
    api: extract::State<Api>,
    signed: Signed,
    id: Named<WorkspaceId>,
    wait: Asked<WaitQuery>,
) -> Result<Response, Problem> {
    act(api, signed, id, wait, Action::Start).await
}

/// `POST /workspaces/{id}/stop`
pub(super) async fn stop(
    api: extract::State<Api>,
    signed: Signed,
    id: Named<WorkspaceId>,
    wait: Asked<WaitQuery>,
) -> Result<Response, Problem> {
    act(api, signed, id, wait, Action::Stop).await
}

/// `POST /workspaces/{id}/restart`
pub(super) async fn restart(
    api: extract::State<Api>,
    signed: Signed,
    id: Named<WorkspaceId>,
    wait: Asked<WaitQuery>,
) -> Result<Response, Problem> {
    act(api, signed, id, wait, Action::Restart).await
}

/// `POST /workspaces/{id}/sleep`
pub(super) async fn sleep(
    api: extract::State<Api>,
    signed: Signed,
    id: Named<WorkspaceId>,
    wait: Asked<WaitQuery>,
) -> Result<Response, Problem> {
    act(api, signed, id, wait, Action::Sleep).await
}

async fn act(
    extract::State(api): extract::State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(wait): Asked<WaitQuery>,
    action: Action,
) -> Result<Response, Problem> {
    let wait = seconds(wait)?;
    let workspace = administers(&api, &caller, &id).await?;
    let command = match action {
        Action::Start => api.workspaces.start(&id).await.map(|()| "start"),
        Action::Stop => api.workspaces.stop(&id).await.map(|()| "stop"),
        Action::Restart => api.workspaces.restart(&id).await.map(|()| "restart"),
        Action::Sleep => api.workspaces.sleep(&id).await.map(|()| "sleep"),
    }?;
    let by = caller.user.name.as_str();
    api.workspaces.note(&workspace, command, by);
    reached(&api, &caller, &id, wait).await
}

/// Lets through who may administer a workspace: what is somebody else's takes the
/// scope for it, too.
pub(super) async fn administers(
    api: &Api,
    caller: &Caller,
    id: &WorkspaceId,
) -> Result<workspaces::Workspace, Problem> {
    let overseen = api.identity.oversee(&caller.user, id).await?;
    if overseen.workspace().owner != caller.user.id {
        needs(caller, Scope::Admin)?;
    }
    Ok(overseen.workspace().clone())
}

/// Answers with the state that a workspace is in: 202 at once, 200 where its end was
/// waited for and has come.
pub(super) async fn reached(
    api: &Api,
    caller: &Caller,
    id: &WorkspaceId,
    wait: Option<Duration>,
) -> Result<Response, Problem> {
    settled(api, id, wait).await;
    let record = record(api, id).await?.ok_or(Denied::NoSuchId)?;
    let status = if wait.is_some() && record.state.is_settled() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let versions = api.templates.versions().await?;
    Ok((status, Json(show(api, &record, caller, &versions))).into_response())
}

/// Waits until a workspace stays as it is or is gone, but no longer than asked.
async fn settled(api: &Api, id: &WorkspaceId, wait: Option<Duration>) {
    let Some(wait) = wait else {
        return;
    };
    tokio::select! {
        _ = timeout(wait, api.workspaces.settled(id)) => {}
        () = api.stop.cancelled() => {}
    }
}

pub(super) fn seconds(query: WaitQuery) -> Result<Option<Duration>, ApiRefused> {
    match query.wait.unwrap_or_default() {
        0 => Ok(None),
        seconds if seconds <= MAX_WAIT => Ok(Some(Duration::from_secs(seconds.into()))),
        _ => Err(ApiRefused::Value {
            name: "wait",
            allowed: "0 to 60",
        }),
    }
}

async fn record(api: &Api, id: &WorkspaceId) -> Result<Option<Record>, StoreError> {
    api.workspaces.get(id).await
}

/// Returns the user whom an administrator names.
pub(super) async fn named_owner(
    api: &Api,
    caller: &Caller,
    name: &UserName,
) -> Result<User, Problem> {
    if caller.user.role != Role::Admin {
        return Err(ApiRefused::NotAdmin.into());
    }
    needs(caller, Scope::Admin)?;
    let found = api.store.user_named(name).await?;
    found.ok_or_else(|| StoreError::NoSuchUser(name.clone()).into())
}

/// Returns a workspace as a caller sees it.
pub(super) fn show(api: &Api, record: &Record, caller: &Caller, versions: &Versions) -> Workspace {
    let workspace = &record.workspace;
    let may_enter = workspace.owner == caller.user.id && record.deleted.is_none();
    let agent = api.tunnels.agent(&workspace.id).map(|info| Agent {
        version: info.version,
        connected: true,
    });
    let shown = Workspace {
        id: workspace.id.clone(),
        name: workspace.name.clone(),
        owner: workspace.owner_name.clone(),
        state: view::state(&record.state),
        reason: view::failure(&record.state),
        doing: api.workspaces.doing(&workspace.id),
        template: view::template(record, versions).map(|(used, behind)| WorkspaceTemplate {
            name: used.name.clone(),
            version: used.version.clone(),
            behind,
        }),
        out_of_memory: view::killed(&api.workspaces, &workspace.id),
        startup: api.workspaces.startup(&workspace.id).map(Into::into),
        notices: workspace.blueprint.notices().to_vec(),
        created: workspace.created,
        changed: record.changed,
        expires_at: view::expires(record),
        deleted_at: record.deleted.map(|deletion| deletion.at),
        restorable_until: record.deleted.map(|deletion| deletion.until),
        agent,
        home: api.workspaces.home(&workspace.id).display().to_string(),
        ssh: ssh_line(api, record, may_enter),
        urls: Urls {
            editor: apps::address(&api.site, workspace, Opens::Editor),
            application_template: apps::address(&api.site, workspace, Opens::AnyPort),
        },
        may_enter,
    };
    Sight::of(caller, workspace).cut(shown)
}

fn ssh_line(api: &Api, record: &Record, own: bool) -> String {
    let (name, owner) = (&record.workspace.name, &record.workspace.owner_name);
    let (host, port) = &api.ssh;
    let port = if *port == 22 {
        String::new()
    } else {
        format!("-p {port} ")
    };
    if own {
        format!("ssh {port}{name}@{host}")
    } else {
        format!("ssh {port}{name}.{owner}@{host}")
    }
}
