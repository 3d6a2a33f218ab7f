//! `/files/uploads`: files that come in pieces.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as Pieces;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode};
use serde::Deserialize;

use super::blocking;
use super::call::{self, Call};
use super::conditions;
use super::incoming::Incoming;
use crate::agent::Agent;
use crate::files::{Ask, Digest, Entry, FileError, Upload};
use crate::http::problem::{Body, Problem};

/// Where a piece begins, and how much of an upload there is.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    path: String,
    raw_path: Option<String>,
    size: u64,
    sha256: Option<String>,
    mode: Option<String>,
    parents: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Complete {
    sha256: Option<String>,
    durable: Option<bool>,
}

pub(super) async fn create(
    State(agent): State<Arc<Agent>>,
    call: Call,
    Body(asked): Body<Create>,
) -> Result<Response, Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    if i64::try_from(asked.size).is_err() {
        return Err(Problem::bad_request("no file is as large as size says"));
    }
    let ask = Ask {
        path: call::path(asked.path, asked.raw_path)?,
        size: asked.size,
        sha256: asked.sha256.as_deref().map(digest).transpose()?,
        mode: asked
            .mode
            .map(|mode| call::mode(&mode, 0o777))
            .transpose()?,
        parents: asked.parents.unwrap_or(false),
    };
    let root = call.root(&agent);
    let upload = blocking(move || agent.files().uploads().create(&root()?, &ask)).await?;
    Ok((StatusCode::CREATED, shown(upload)).into_response())
}

pub(super) async fn show(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Problem> {
    call.knows(&[])?;
    let root = call.root(&agent);
    let upload = blocking(move || agent.files().uploads().show(&root()?, &id)).await?;
    Ok(shown(upload).into_response())
}

pub(super) async fn send(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    call: Call,
    body: Pieces,
) -> Result<Response, Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    conditions::whole(&call.headers)?;
    let offset = call.headers.get(UPLOAD_OFFSET);
    let offset = offset.and_then(|offset| offset.to_str().ok()?.parse().ok());
    let offset = offset.ok_or_else(|| {
        Problem::bad_request("the header Upload-Offset says where the piece begins")
    })?;
    let wanted = call.digest()?;
    let root = call.root(&agent);
    let uploads = Arc::clone(&agent);
    let turn = uploads.files().uploads().turn(&id).await;
    let taken = turn.taken.clone();
    // The turn goes along, so that nobody has it while a thread writes, whatever becomes of
    // this request.
    let begun = blocking(move || {
        let piece = agent.files().uploads().piece(&root()?, &id, offset)?;
        Ok((piece, turn))
    });
    let (piece, mut turn) = begun.await?;
    let mut piece = match wanted {
        Some(_) => piece.hashed(),
        None => piece,
    };
    let mut incoming = Incoming::new(body);
    let mut next = incoming.piece_until(&taken).await?;
    while !next.is_empty() {
        let pieces = std::mem::take(&mut next);
        let write = blocking(move || {
            piece.write(&pieces)?;
            Ok((piece, turn))
        });
        let (done, gathered) = tokio::join!(write, incoming.piece_until(&taken));
        ((piece, turn), next) = (done?, gathered?);
    }
    if taken.is_cancelled() {
        return Err(FileError::CutOff.into());
    }
    let finished = blocking(move || {
        let _turn = turn;
        piece.finish(wanted)
    });
    let upload = finished.await?;
    Ok(shown(upload).into_response())
}

pub(super) async fn complete(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    call: Call,
    Body(asked): Body<Complete>,
) -> Result<Json<Entry>, Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    let sha256 = asked.sha256.as_deref().map(digest).transpose()?;
    let durable = asked.durable.unwrap_or(false);
    let root = call.root(&agent);
    let turn = agent.files().uploads().turn(&id).await;
    // A digest is made of all of it.
    let place = agent.files().heavy().await?;
    let entry = blocking({
        let agent = Arc::clone(&agent);
        move || {
            let _held = (turn, place);
            let names = agent.files().names();
            let uploads = agent.files().uploads();
            uploads.complete(&root()?, names, &id, sha256, durable)
        }
    });
    Ok(Json(entry.await?))
}

pub(super) async fn cancel(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    call: Call,
) -> Result<StatusCode, Problem> {
    call.knows(&[])?;
    conditions::none(&call.headers)?;
    let root = call.root(&agent);
    let turn = agent.files().uploads().turn(&id).await;
    blocking({
        let agent = Arc::clone(&agent);
        move || {
            let _turn = turn;
            agent.files().uploads().cancel(&root()?, &id)
        }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(upload: Upload) -> impl IntoResponse {
    let offset = upload.offset.to_string();
    ([(UPLOAD_OFFSET, offset)], Json(upload))
}

/// Reads a SHA-256 in hexadecimal digits.
fn digest(text: &str) -> Result<Digest, Problem> {
    let refuse = || Problem::bad_request("sha256 is 64 hexadecimal digits");
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| refuse())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| refuse())?;
    }
    Ok(digest)
}
