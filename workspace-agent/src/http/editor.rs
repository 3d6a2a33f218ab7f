//! `/editor`: its state, its log, and what it is asked to do.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::log::{self, Asked};
use super::problem::Problem;
use crate::agent::Agent;
use crate::editor::Status;

type Accepted = (StatusCode, Json<Status>);

pub(super) async fn show(State(agent): State<Arc<Agent>>) -> Json<Status> {
    Json(agent.editor().status(&agent))
}

pub(super) async fn start(State(agent): State<Arc<Agent>>) -> Result<Accepted, Problem> {
    agent.editor().start(&agent).await?;
    Ok(accepted(&agent))
}

pub(super) async fn stop(State(agent): State<Arc<Agent>>) -> Accepted {
    agent.editor().stop().await;
    accepted(&agent)
}

pub(super) async fn restart(State(agent): State<Arc<Agent>>) -> Result<Accepted, Problem> {
    agent.editor().restart(&agent).await?;
    Ok(accepted(&agent))
}

fn accepted(agent: &Agent) -> Accepted {
    (StatusCode::ACCEPTED, Json(agent.editor().status(agent)))
}

pub(super) async fn log(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    log::show(&agent, agent.editor().log(), &headers, asked)
}
