//! `/workspaces/{id}`: why it runs, what keeps it awake, when it sleeps.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Api;
use super::extract::{Asked, Body, Named, NamedTwice, Signed};
use super::page::page;
use super::wire::{KeepAwake, Lease, Page, Paging, SetSchedule, WhyRunning};
use super::workspaces::administers;
use crate::http::problem::Problem;
use crate::identity::Denied;
use crate::names::{LeaseId, WorkspaceId};

/// `GET /workspaces/{id}/why-running`
pub(super) async fn why(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
) -> Result<Json<WhyRunning>, Problem> {
    api.identity.oversee(&caller.user, &id).await?;
    answer(&api, &id).await
}

/// `GET /workspaces/{id}/keep-awake`
pub(super) async fn leases(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Lease>>, Problem> {
    api.identity.oversee(&caller.user, &id).await?;
    let leases = api.sleep.leases(&id).await?;
    let leases = leases.into_iter().map(Lease::from).collect();
    let key = |lease: &Lease| {
        let since = lease.since.unix_timestamp_nanos() / 1_000_000;
        format!("{since:020}.{}", lease.id)
    };
    let cursor = paging.cursor.as_deref();
    Ok(Json(page(leases, key, paging.limit, cursor)?))
}

/// `POST /workspaces/{id}/keep-awake`
pub(super) async fn keep_awake(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Body(asked): Body<KeepAwake>,
) -> Result<(StatusCode, Json<Lease>), Problem> {
    administers(&api, &caller, &id).await?;
    let length = Duration::from_secs(asked.seconds);
    let user = Some(&caller.user);
    let lease = api.sleep.keep_awake(&id, length, &asked.reason, user);
    Ok((StatusCode::CREATED, Json(lease.await?.into())))
}

/// `DELETE /workspaces/{id}/keep-awake/{lease}`
pub(super) async fn end_lease(
    State(api): State<Api>,
    Signed(caller): Signed,
    NamedTwice(id, lease): NamedTwice<WorkspaceId, LeaseId>,
) -> Result<StatusCode, Problem> {
    administers(&api, &caller, &id).await?;
    api.sleep.end_lease(&id, &lease).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /workspaces/{id}/schedule`
pub(super) async fn set_schedule(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
    Body(asked): Body<SetSchedule>,
) -> Result<Json<WhyRunning>, Problem> {
    administers(&api, &caller, &id).await?;
    api.sleep.set_schedule(&id, Some(asked.into())).await?;
    answer(&api, &id).await
}

/// `DELETE /workspaces/{id}/schedule`
pub(super) async fn remove_schedule(
    State(api): State<Api>,
    Signed(caller): Signed,
    Named(id): Named<WorkspaceId>,
) -> Result<StatusCode, Problem> {
    administers(&api, &caller, &id).await?;
    api.sleep.set_schedule(&id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn answer(api: &Api, id: &WorkspaceId) -> Result<Json<WhyRunning>, Problem> {
    let record = api.workspaces.get(id).await?.ok_or(Denied::NoSuchId)?;
    Ok(Json(api.sleep.why(&record).await?.into()))
}
