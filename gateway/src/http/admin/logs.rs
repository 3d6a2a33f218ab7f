//! `/workspaces/{workspace}/logs` and `…/startup/log`: what an agent wrote.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::header;

use super::wire::LogQuery;
use super::{Admin, query, workspaces};
use crate::drivers::{Follow, Logs};
use crate::http::problem::Problem;
use crate::workspaces::LogPart;

/// Lines that are sent unless others are asked for.
const LINES: usize = 200;

/// Most lines that are sent.
const MAX_LINES: usize = 100_000;

/// `GET /workspaces/{workspace}/logs?lines=N&follow=BOOL&since=TIME&until=TIME`
pub(super) async fn read(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    asked: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    let record = workspaces::find(&admin, &text).await?;
    let part = wanted(asked);
    let logs = admin.workspaces.logs(&record.workspace.id, part).await?;
    Ok(answer(&admin, logs))
}

/// `GET /workspaces/{workspace}/startup/log?lines=N&follow=BOOL&since=TIME&until=TIME`
pub(super) async fn startup(
    State(admin): State<Arc<Admin>>,
    Path(text): Path<String>,
    asked: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    let record = workspaces::find(&admin, &text).await?;
    let part = wanted(asked);
    let id = &record.workspace.id;
    let logs = admin.workspaces.startup_log(id, part).await?;
    Ok(answer(&admin, logs))
}

fn wanted(asked: LogQuery) -> LogPart {
    LogPart {
        lines: asked.lines.unwrap_or(LINES).min(MAX_LINES),
        since: asked.since,
        until: asked.until,
        follow: if asked.follow {
            Follow::Yes
        } else {
            Follow::No
        },
    }
}

fn answer(admin: &Admin, logs: Logs) -> Response {
    let logs = logs.take_until(admin.stop.clone().cancelled_owned());
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (kind, Body::from_stream(logs)).into_response()
}
