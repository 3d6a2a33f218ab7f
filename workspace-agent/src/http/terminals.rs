//! `/terminals`: lists, starts and ends them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::List;
use super::problem::{Body, Problem};
use crate::agent::Agent;
use crate::process::terminal::{COLUMNS, ROWS};
use crate::terminals::{Cells, Terminal};

/// A terminal as the API shows it.
#[derive(Debug, Serialize)]
pub(super) struct View {
    id: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    columns: u16,
    rows: u16,
    attached: usize,
    process: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<u32>,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    ends_at: Option<OffsetDateTime>,
}

impl View {
    fn of(agent: &Agent, terminal: &Terminal) -> Self {
        let now = terminal.snapshot(agent.config().terminals.keep);
        Self {
            id: terminal.id.clone(),
            title: now.title,
            command: terminal.command.clone(),
            created: terminal.created,
            columns: now.size.columns(),
            rows: now.size.rows(),
            attached: now.attached,
            process: now.process,
            state: match now.exit_status {
                Some(_) => "exited",
                None => "running",
            },
            exit_status: now.exit_status,
            ends_at: now.ends_at,
        }
    }
}

/// What a new terminal is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    columns: Option<u16>,
    rows: Option<u16>,
    command: Option<String>,
}

pub(super) async fn list(State(agent): State<Arc<Agent>>) -> Json<List<Vec<View>>> {
    let all = agent.terminals().all();
    let items = all.iter().map(|one| View::of(&agent, one)).collect();
    Json(List { items })
}

pub(super) async fn start(
    State(agent): State<Arc<Agent>>,
    Body(request): Body<Request>,
) -> Result<(StatusCode, Json<View>), Problem> {
    let size = Cells::new(
        request.columns.unwrap_or(COLUMNS),
        request.rows.unwrap_or(ROWS),
    )
    .map_err(Problem::bad_request)?;
    let terminal = agent
        .terminals()
        .start(&agent, size, request.command)
        .await?;
    Ok((StatusCode::CREATED, Json(View::of(&agent, &terminal))))
}

pub(super) async fn show(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let terminal = agent
        .terminals()
        .find(&id)
        .ok_or_else(Problem::no_terminal)?;
    Ok(Json(View::of(&agent, &terminal)))
}

pub(super) async fn end(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    agent
        .terminals()
        .end(&id)
        .ok_or_else(Problem::no_terminal)?;
    Ok(StatusCode::NO_CONTENT)
}
