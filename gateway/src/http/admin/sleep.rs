//! `/workspaces/{workspace}`: why it runs, what keeps it awake, when it sleeps.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;

use super::wire::sleep::{KeepAwake, Lease, SetSchedule, WhyRunning};
use super::workspaces::{Accepted, accepted, find};
use super::{Admin, body};
use crate::http::problem::Problem;
use crate::names::LeaseId;
use crate::sleep::SleepError;

/// `POST /workspaces/{workspace}/sleep`
pub(super) async fn sleep(State(admin): State<Arc<Admin>>, Path(text): Path<String>) -> Accepted {
    let id = find(&admin, &text).await?.workspace.id;
    admin.workspaces.sleep(&id).await?;
    accepted(&admin, &id).await
}

/// `GET /workspaces/{workspace}/why-running`
pub(super) async fn why(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
) -> Result<Json<WhyRunning>, Problem> {
    let record = find(&admin, &text).await?;
    Ok(Json(admin.sleep.why(&record).await?.into()))
}

/// `GET /workspaces/{workspace}/keep-awake`
pub(super) async fn leases(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
) -> Result<Json<Vec<Lease>>, Problem> {
    let id = find(&admin, &text).await?.workspace.id;
    let leases = admin.sleep.leases(&id).await?;
    Ok(Json(leases.into_iter().map(Lease::from).collect()))
}

/// `POST /workspaces/{workspace}/keep-awake`
pub(super) async fn keep_awake(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Lease>), Problem> {
    let asked: KeepAwake = body(&bytes)?;
    let id = find(&admin, &text).await?.workspace.id;
    let length = Duration::from_secs(asked.seconds);
    let lease = admin.sleep.keep_awake(&id, length, &asked.reason, None);
    Ok((StatusCode::CREATED, Json(lease.await?.into())))
}

/// `DELETE /workspaces/{workspace}/keep-awake/{lease}`
pub(super) async fn end_lease(
    State(admin): State<Arc<Admin>>,
    Path((text, lease)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = find(&admin, &text).await?.workspace.id;
    let lease: LeaseId = lease.parse().map_err(|_| SleepError::NoLease)?;
    admin.sleep.end_lease(&id, &lease).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /workspaces/{workspace}/schedule`
pub(super) async fn set_schedule(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    bytes: Bytes,
) -> Result<Json<WhyRunning>, Problem> {
    let asked: SetSchedule = body(&bytes)?;
    let record = find(&admin, &text).await?;
    let id = &record.workspace.id;
    admin.sleep.set_schedule(id, Some(asked.into())).await?;
    Ok(Json(admin.sleep.why(&record).await?.into()))
}

/// `DELETE /workspaces/{workspace}/schedule`
pub(super) async fn remove_schedule(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = find(&admin, &text).await?.workspace.id;
    admin.sleep.set_schedule(&id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
