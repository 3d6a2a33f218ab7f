//! Changes of what there is, each with a small body that says which.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::blocking;
use super::call::{self, Call};
use super::conditions;
use crate::agent::Agent;
use crate::files::{self, Depth, Entry, Made, Replace};
use crate::http::problem::{Body, Problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Folder {
    path: String,
    raw_path: Option<String>,
    mode: Option<String>,
    parents: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Way {
    from: String,
    raw_from: Option<String>,
    to: String,
    raw_to: Option<String>,
    overwrite: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Permissions {
    path: String,
    raw_path: Option<String>,
    mode: String,
    recursive: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    path: String,
    raw_path: Option<String>,
    target: String,
}

pub(super) async fn folder(
    State(agent): State<Arc<Agent>>,
    call: Call,
    Body(asked): Body<Folder>,
) -> Result<(StatusCode, Json<Entry>), Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    let mode = asked
        .mode
        .map(|mode| call::mode(&mode, 0o777))
        .transpose()?;
    let root = call.root(&agent);
    let path = call::path(asked.path, asked.raw_path)?;
    let parents = asked.parents.unwrap_or(false);
    let done =
        blocking(move || files::make_folder(&root()?, agent.files().names(), &path, mode, parents));
    Ok(match done.await? {
        (entry, Made::New) => (StatusCode::CREATED, Json(entry)),
        (entry, Made::ThereAlready) => (StatusCode::OK, Json(entry)),
    })
}

pub(super) async fn move_to(
    state: State<Arc<Agent>>,
    call: Call,
    body: Body<Way>,
) -> Result<Json<Entry>, Problem> {
    bring(state, call, body, files::move_to).await
}

pub(super) async fn copy(
    state: State<Arc<Agent>>,
    call: Call,
    body: Body<Way>,
) -> Result<Json<Entry>, Problem> {
    bring(state, call, body, files::copy).await
}

/// What brings something to another path.
type Bring = fn(
    &files::Root,
    &files::Names,
    (&[u8], &[u8]),
    Replace,
    &CancellationToken,
) -> Result<Entry, files::FileError>;

async fn bring(
    State(agent): State<Arc<Agent>>,
    call: Call,
    Body(asked): Body<Way>,
    bring: Bring,
) -> Result<Json<Entry>, Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    let root = call.root(&agent);
    // A client that goes needs no copy any more.
    let stop = CancellationToken::new();
    let _gone = stop.clone().drop_guard();
    let place = agent.files().heavy().await?;
    let from = call::path(asked.from, asked.raw_from)?;
    let to = call::path(asked.to, asked.raw_to)?;
    let replace = Replace::when(asked.overwrite.unwrap_or(false));
    let entry = blocking(move || {
        let _place = place;
        let way = (&from[..], &to[..]);
        bring(&root()?, agent.files().names(), way, replace, &stop)
    });
    Ok(Json(entry.await?))
}

pub(super) async fn mode(
    State(agent): State<Arc<Agent>>,
    call: Call,
    Body(asked): Body<Permissions>,
) -> Result<Json<Entry>, Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    let mode = call::mode(&asked.mode, 0o7777)?;
    let depth = depth(asked.recursive);
    let root = call.root(&agent);
    let stop = CancellationToken::new();
    let _gone = stop.clone().drop_guard();
    let place = place(&agent, depth).await?;
    let path = call::path(asked.path, asked.raw_path)?;
    let entry = blocking(move || {
        let _place = place;
        files::set_mode(&root()?, agent.files().names(), &path, mode, depth, &stop)
    });
    Ok(Json(entry.await?))
}

pub(super) async fn link(
    State(agent): State<Arc<Agent>>,
    call: Call,
    Body(asked): Body<Link>,
) -> Result<(StatusCode, Json<Entry>), Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    let root = call.root(&agent);
    let path = call::path(asked.path, asked.raw_path)?;
    let entry = blocking(move || {
        let target = asked.target.as_bytes();
        files::link(&root()?, agent.files().names(), &path, target)
    });
    Ok((StatusCode::CREATED, Json(entry.await?)))
}

pub(super) async fn delete(
    State(agent): State<Arc<Agent>>,
    call: Call,
) -> Result<StatusCode, Problem> {
    call.knows(&["path", "recursive"])?;
    let (path, depth) = (call.path()?, depth(Some(call.flag("recursive", false)?)));
    let condition = conditions::changing(&call.headers)?;
    let root = call.root(&agent);
    let stop = CancellationToken::new();
    let _gone = stop.clone().drop_guard();
    let place = place(&agent, depth).await?;
    blocking(move || {
        let _place = place;
        files::delete(&root()?, &path, depth, &condition, &stop)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Waits for a place for what goes through a tree.
async fn place(agent: &Agent, depth: Depth) -> Result<Option<OwnedSemaphorePermit>, Problem> {
    match depth {
        Depth::Itself => Ok(None),
        Depth::All => Ok(Some(agent.files().heavy().await?)),
    }
}

fn depth(recursive: Option<bool>) -> Depth {
    match recursive {
        Some(true) => Depth::All,
        Some(false) | None => Depth::Itself,
    }
}
