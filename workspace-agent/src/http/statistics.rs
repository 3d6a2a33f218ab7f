//! `/statistics`: what the workspace used.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::problem::Problem;
use crate::agent::Agent;
use crate::statistics::{Report, Window};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    window: Window,
}

pub(super) async fn report(
    State(agent): State<Arc<Agent>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Report>, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(Json(agent.statistics().report(asked.window)))
}
