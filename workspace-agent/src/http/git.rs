//! `/git`: how a repository is, and clones of others.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;

use super::confined;
use super::problem::{Body, Problem};
use super::processes::{StartQuery, begin_and_wait, query};
use crate::agent::Agent;
use crate::git::{self, GitError, Status, Wanted};

/// Returns the routes, to be merged with others. A repository's own configuration names
/// programs that git runs for a status (filters): whoever may only use a folder can't have
/// it, as they could write that.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/git/status", get(status))
        .route("/git/clone", post(clone))
        .route_layer(from_fn(confined::refuse))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    #[serde(default)]
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clone {
    url: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    branch: Option<String>,
    #[serde(default)]
    depth: Option<u32>,
}

async fn status(
    State(agent): State<Arc<Agent>>,
    asked: Result<Query<StatusQuery>, QueryRejection>,
) -> Result<Json<Status>, Problem> {
    let asked = query(asked)?;
    if asked.path.contains('\0') {
        let detail = "`path` can't have a NUL in it";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-path", detail));
    }
    let folder: PathBuf = agent.path(&asked.path).components().collect();
    Ok(Json(git::status(&agent, &folder).await?))
}

async fn clone(
    State(agent): State<Arc<Agent>>,
    asked: Result<Query<StartQuery>, QueryRejection>,
    Body(wanted): Body<Clone>,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    let wanted = Wanted {
        url: wanted.url,
        path: wanted.path,
        branch: wanted.branch,
        depth: wanted.depth,
    };
    let request = git::clone(&agent, wanted).await?;
    begin_and_wait(&agent, asked, request).await
}

impl From<GitError> for Problem {
    fn from(error: GitError) -> Self {
        let (status, code) = match error {
            GitError::Run(error) => return error.into(),
            GitError::NoGit => (StatusCode::UNPROCESSABLE_ENTITY, "no-git"),
            GitError::NoRepository { .. } => (StatusCode::NOT_FOUND, "no-repository"),
            GitError::BadClone(_) => (StatusCode::BAD_REQUEST, "bad-request"),
            GitError::Failed(_) => (StatusCode::UNPROCESSABLE_ENTITY, "git-failed"),
        };
        Self::new(status, code, error.to_string())
    }
}
