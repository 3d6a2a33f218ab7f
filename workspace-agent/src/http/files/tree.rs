//! `/files/tree`: folders as archives.

use std::pin::pin;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::call::Call;
use super::conditions;
use super::incoming::{Digested, Incoming, reading};
use super::{blocking, saved_as};
use crate::agent::Agent;
use crate::files::outgoing;
use crate::files::tree::{Format, Unpacked, Unreadable, pack, source, unpack};
use crate::http::problem::Problem;

/// How many files and folders are left out of an archive.
const LEFT_OUT: HeaderName = HeaderName::from_static("left-out");

/// Returns the archive's format, its media type and how its name ends.
fn format(call: &Call) -> Result<(Format, &'static str, &'static str), Problem> {
    match call.bytes("format")?.as_deref() {
        None | Some(b"tar") => Ok((Format::Tar, "application/x-tar", "tar")),
        Some(b"tar.gz") => Ok((Format::TarGz, "application/gzip", "tar.gz")),
        Some(b"zip") => Ok((Format::Zip, "application/zip", "zip")),
        Some(_) => Err(Problem::bad_request("format is tar, tar.gz or zip")),
    }
}

/// Returns what becomes of what can't be read.
fn unreadable(call: &Call) -> Result<Unreadable, Problem> {
    match call.bytes("unreadable")?.as_deref() {
        None | Some(b"refuse") => Ok(Unreadable::Refused),
        Some(b"skip") => Ok(Unreadable::LeftOut),
        Some(_) => Err(Problem::bad_request("unreadable is refuse or skip")),
    }
}

pub(super) async fn download(
    State(agent): State<Arc<Agent>>,
    call: Call,
) -> Result<Response, Problem> {
    call.knows(&["path", "format", "unreadable"])?;
    let path = call.path()?;
    let (format, kind, end) = format(&call)?;
    let unreadable = unreadable(&call)?;
    let place = agent.files().long()?;
    let name = path
        .rsplit(|byte| *byte == b'/')
        .find(|name| !name.is_empty());
    let name = [name.unwrap_or(b"files"), b".", end.as_bytes()].concat();
    let root = call.root(&agent);
    let stop = CancellationToken::new();
    let gone = stop.clone().drop_guard();
    let looking = blocking({
        let stop = stop.clone();
        move || {
            let source = source(&root()?, &path, format, unreadable, &stop)?;
            Ok((source, place))
        }
    });
    let (source, place) = looking.await?;
    let left_out = source.left_out;
    let (out, pieces) = outgoing();
    let packing = spawn_blocking(move || {
        let _place = place;
        let packed = pack(source, format, out, &stop);
        match &packed {
            Ok(()) => {}
            Err(error) if stop.is_cancelled() => debug!(%error, "nobody waits for a tree"),
            Err(error) => warn!(%error, "a tree wasn't packed to its end"),
        }
        packed
    });
    let body = unfold(
        (pieces, Some(packing), gone),
        async |(mut pieces, packing, gone)| {
            if let Some(piece) = pieces.recv().await {
                return Some((Ok(piece), (pieces, packing, gone)));
            }
            // An archive that isn't whole must not look as if it were.
            match packing?.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((Err(std::io::Error::other(error)), (pieces, None, gone))),
                Err(error) => Some((Err(std::io::Error::other(error)), (pieces, None, gone))),
            }
        },
    );
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_DISPOSITION, saved_as(&name));
    headers.insert(LEFT_OUT, left_out.into());
    Ok((headers, Body::from_stream(body)).into_response())
}

pub(super) async fn upload(
    State(agent): State<Arc<Agent>>,
    call: Call,
    body: Body,
) -> Result<Json<Unpacked>, Problem> {
    call.knows(&["path", "format"])?;
    conditions::none(&call.headers)?;
    conditions::whole(&call.headers)?;
    let wanted = call.digest()?;
    let path = call.path()?;
    let (format, _, _) = format(&call)?;
    let place = agent.files().long()?;
    let root = call.root(&agent);
    let stop = CancellationToken::new();
    let _gone = stop.clone().drop_guard();
    let (to, from) = reading();
    let unpacking = blocking(move || {
        let _place = place;
        let mut from = Digested::new(from, wanted);
        let unpacked = unpack(&root()?, &path, format, &mut from, &stop)?;
        from.finish()?;
        Ok(unpacked)
    });
    let mut unpacking = pin!(unpacking);
    let unpacked = tokio::select! {
        // What fails doesn't wait for the rest.
        unpacked = unpacking.as_mut() => unpacked?,
        () = Incoming::new(body).pour(to) => unpacking.await?,
    };
    Ok(Json(unpacked))
}
