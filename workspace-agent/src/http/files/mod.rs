//! `/files`: what is in the workspace's filesystem, read, written and searched.

mod call;
mod change;
mod conditions;
mod content;
mod incoming;
mod refused;
mod search;
mod tree;
mod uploads;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio::task::{JoinError, spawn_blocking};

use super::problem::Problem;
use crate::agent::Agent;
use crate::files::{self, Entry, FileError, Page};
use call::Call;

pub(super) use call::path;

/// Entries of a page unless others are asked for.
const LIMIT: u64 = 200;

/// Most entries of a page.
const MAX_LIMIT: u64 = 1000;

/// What of a name isn't percent-encoded, besides letters and digits (RFC 8187 §3.2.1).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Returns the routes.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/files", delete(change::delete))
        .route("/files/stat", get(stat))
        .route("/files/list", get(list))
        .route("/files/content", get(content::read).put(content::write))
        .route("/files/append", post(content::append))
        .route("/files/folder", post(change::folder))
        .route("/files/move", post(change::move_to))
        .route("/files/copy", post(change::copy))
        .route("/files/mode", post(change::mode))
        .route("/files/link", post(change::link))
        .route("/files/tree", get(tree::download).put(tree::upload))
        .route("/files/uploads", post(uploads::create))
        .route(
            "/files/uploads/{upload}",
            get(uploads::show)
                .patch(uploads::send)
                .delete(uploads::cancel),
        )
        .route("/files/uploads/{upload}/complete", post(uploads::complete))
        .route("/files/find", get(search::find))
        .route("/files/grep", get(search::grep))
}

async fn stat(State(agent): State<Arc<Agent>>, call: Call) -> Result<Json<Entry>, Problem> {
    call.knows(&["path", "follow"])?;
    let (path, follow) = (call.path()?, call.flag("follow", true)?);
    let root = call.root(&agent);
    let entry = blocking(move || files::stat(&root()?, agent.files().names(), &path, follow));
    Ok(Json(entry.await?))
}

async fn list(State(agent): State<Arc<Agent>>, call: Call) -> Result<Json<Page>, Problem> {
    call.knows(&["path", "limit", "cursor"])?;
    let path = call.path()?;
    let limit = call.number("limit", LIMIT, 1..=MAX_LIMIT)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let cursor = call.bytes("cursor")?;
    let root = call.root(&agent);
    let page = blocking(move || {
        let names = agent.files().names();
        files::list(&root()?, names, &path, limit, cursor.as_deref())
    });
    Ok(Json(page.await?))
}

/// Has a browser save what comes, under this name.
fn saved_as(name: &[u8]) -> HeaderValue {
    let name = percent_encode(name, NAME);
    let value = HeaderValue::try_from(format!("attachment; filename*=UTF-8''{name}"));
    value.unwrap_or(HeaderValue::from_static("attachment"))
}

/// Does something that blocks.
async fn blocking<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, FileError> + Send + 'static,
{
    let done = spawn_blocking(work).await;
    Ok(done.map_err(|error: JoinError| Problem::internal(&error))??)
}
