//! `/users` and `/server`, for administrators.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use time::OffsetDateTime;

use super::Api;
use super::extract::{Administrator, Asked, Body, Named, Signed};
use super::page::page;
use super::wire::{AddUser, ChangeUser, Page, Paging, Server, User};
use crate::events::{Kind, NewEvent};
use crate::http::problem::Problem;
use crate::http::view;
use crate::http::wire::SignInLink;
use crate::identity::Role;
use crate::names::UserName;
use crate::store::{Account, StoreError};

/// `GET /users`
pub(super) async fn list(
    State(api): State<Api>,
    _: Administrator,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<User>>, Problem> {
    let users = api.store.accounts().await?.into_iter().map(shown).collect();
    let by = |user: &User| user.name.to_string();
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(users, by, paging.limit, cursor)?))
}

/// `POST /users`
pub(super) async fn add(
    State(api): State<Api>,
    _: Administrator,
    Body(new): Body<AddUser>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let user = api.store.add_user(&new.name, new.role.into()).await?;
    api.events
        .record(NewEvent::of_user(Kind::UserCreated, &user).saying("role", user.role.as_str()));
    let user = named(&api, &user.name).await?;
    Ok((StatusCode::CREATED, Json(shown(user))))
}

/// `GET /users/{name}`
pub(super) async fn show(
    State(api): State<Api>,
    _: Administrator,
    Named(name): Named<UserName>,
) -> Result<Json<User>, Problem> {
    Ok(Json(shown(named(&api, &name).await?)))
}

/// `PATCH /users/{name}`
pub(super) async fn change(
    State(api): State<Api>,
    _: Administrator,
    Named(name): Named<UserName>,
    Body(change): Body<ChangeUser>,
) -> Result<Json<User>, Problem> {
    let role: Role = change.role.into();
    let user = api.accounts.set_role(&name, role).await?;
    api.events
        .record(NewEvent::of_user(Kind::UserChanged, &user).saying("role", role.as_str()));
    Ok(Json(shown(named(&api, &name).await?)))
}

/// `DELETE /users/{name}`
pub(super) async fn remove(
    State(api): State<Api>,
    _: Administrator,
    Named(name): Named<UserName>,
) -> Result<StatusCode, Problem> {
    let account = named(&api, &name).await?;
    api.accounts.remove_user(&name).await?;
    api.events
        .record(NewEvent::of_user(Kind::UserDeleted, &account.user));
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /users/{name}/link`
pub(super) async fn link(
    State(api): State<Api>,
    _: Administrator,
    Signed(caller): Signed,
    Named(name): Named<UserName>,
) -> Result<(StatusCode, Json<SignInLink>), Problem> {
    let account = named(&api, &name).await?;
    let link = view::link(&api.accounts, &api.site, &account.user).await?;
    // Whose account it is sees who may be in it.
    let about = NewEvent::of_user(Kind::LinkCreated, &account.user);
    api.events
        .record(about.saying("by", caller.user.name.as_str()));
    Ok((StatusCode::CREATED, Json(link)))
}

/// `GET /server`
pub(super) async fn server(
    State(api): State<Api>,
    _: Administrator,
) -> Result<Json<Server>, Problem> {
    let records = api.workspaces.list().await?;
    let uptime = OffsetDateTime::now_utc() - api.server.started;
    Ok(Json(Server {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: api.server.started,
        uptime_seconds: u64::try_from(uptime.whole_seconds()).unwrap_or_default(),
        ssh_address: api.server.ssh.to_string(),
        http_url: api.site.dashboard().to_string(),
        host_keys: api.server.host_keys.clone(),
        users: count(api.store.users().await?.len()),
        workspaces: count(records.len()),
        running: count(view::running(&records)),
        agents: count(api.tunnels.count()),
        memory_bytes: memory().unwrap_or_default(),
    }))
}

async fn named(api: &Api, name: &UserName) -> Result<Account, Problem> {
    let account = api.store.account(name).await?;
    account.ok_or_else(|| StoreError::NoSuchUser(name.clone()).into())
}

fn shown(account: Account) -> User {
    User {
        id: account.user.id,
        name: account.user.name,
        role: view::role(account.user.role),
        has_password: account.has_password,
        created: account.created,
        workspaces: account.workspaces,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns the memory that this process holds, in bytes (`proc_pid_status`(5)).
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let resident = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
