//! `/files/find` and `/files/grep`: what is found goes out as it is found.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::header;
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinHandle, spawn_blocking};

use super::blocking;
use super::call::Call;
use crate::agent::Agent;
use crate::files::search::{self, Find, Glob, Grep, Matching, Scope};
use crate::files::{FileError, Kind, outgoing};
use crate::http::problem::Problem;

/// Most results that can be asked for, by name and by content.
const MAX_FOUND: u64 = 1_000_000;
const MAX_LINES: u64 = 100_000;

/// Most lines of context.
const MAX_CONTEXT: u64 = 100;

pub(super) async fn find(State(agent): State<Arc<Agent>>, call: Call) -> Result<Response, Problem> {
    call.knows(&["path", "name", "kind", "hidden", "ignored", "limit"])?;
    let path = call.path()?;
    let kind = match call.bytes("kind")? {
        None => None,
        Some(name) => {
            let why = "kind is file, folder, symlink, fifo, socket or device";
            Some(Kind::of_name(&name).ok_or_else(|| Problem::bad_request(why))?)
        }
    };
    let find = Find {
        name: glob(&call, "name")?,
        kind,
        scope: scope(&call)?,
        limit: call.number("limit", 10_000, 1..=MAX_FOUND)?,
    };
    let place = agent.files().long()?;
    let root = call.root(&agent);
    let (root, folder) = blocking(move || {
        let root = root()?;
        let folder = search::folder(&root, &path)?;
        Ok((root, folder))
    })
    .await?;
    let (mut out, lines) = outgoing();
    let searching = spawn_blocking(move || {
        let _place = place;
        search::find(&root, agent.files().names(), folder, &find, &mut out)?;
        io::Write::flush(&mut out).map_err(|_| FileError::CutOff)
    });
    Ok(answer(lines, searching))
}

pub(super) async fn grep(State(agent): State<Arc<Agent>>, call: Call) -> Result<Response, Problem> {
    call.knows(&[
        "path",
        "pattern",
        "glob",
        "ignore_case",
        "fixed",
        "hidden",
        "ignored",
        "context",
        "limit",
    ])?;
    let path = call.path()?;
    let pattern = call.bytes("pattern")?.unwrap_or_default();
    if pattern.is_empty() {
        return Err(Problem::bad_request("the query has no pattern"));
    }
    let how = Matching {
        ignore_case: call.flag("ignore_case", false)?,
        fixed: call.flag("fixed", false)?,
    };
    let mut grep = Grep::new(&pattern, how)?;
    grep.glob = glob(&call, "glob")?;
    grep.scope = scope(&call)?;
    let context = call.number("context", 0, 0..=MAX_CONTEXT)?;
    grep.context = usize::try_from(context).unwrap_or_default();
    grep.limit = call.number("limit", 1000, 1..=MAX_LINES)?;
    let place = agent.files().long()?;
    let root = call.root(&agent);
    let (root, from) = blocking(move || {
        let root = root()?;
        let from = search::start(&root, &path)?;
        Ok((root, from))
    })
    .await?;
    let (mut out, lines) = outgoing();
    let searching = spawn_blocking(move || {
        let _place = place;
        search::grep(&root, from, &grep, &mut out)?;
        io::Write::flush(&mut out).map_err(|_| FileError::CutOff)
    });
    Ok(answer(lines, searching))
}

fn glob(call: &Call, name: &str) -> Result<Option<Glob>, Problem> {
    let glob = call.bytes(name)?.map(|text| Glob::new(&text));
    Ok(glob.transpose()?)
}

fn scope(call: &Call) -> Result<Scope, Problem> {
    Ok(Scope {
        hidden: call.flag("hidden", false)?,
        ignored: call.flag("ignored", false)?,
    })
}

/// Sends the lines; a search that failed breaks off.
fn answer(lines: Receiver<Bytes>, searching: JoinHandle<Result<(), FileError>>) -> Response {
    let body = unfold((lines, Some(searching)), async |(mut lines, searching)| {
        if let Some(piece) = lines.recv().await {
            return Some((Ok(piece), (lines, searching)));
        }
        match searching?.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some((Err(io::Error::other(error)), (lines, None))),
            Err(error) => Some((Err(io::Error::other(error)), (lines, None))),
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(body)).into_response()
}
