//! `/processes/{process}/output`: what a process wrote, and what it will.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderName, header};
use serde::Deserialize;
use tokio::sync::watch;

use super::problem::Problem;
use super::processes::query;
use super::until_stop;
use crate::agent::Agent;
use crate::runs::{Run, Stream};

/// How much of an output is sent at once, in bytes.
pub(super) const PIECE: usize = 64 * 1024;

/// Number of the first byte of an output that is sent.
const OUTPUT_OFFSET: HeaderName = HeaderName::from_static("output-offset");

/// Largest number of a byte that all programs can say: that of JavaScript's integers.
const MAX_FROM: u64 = (1 << 53) - 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputQuery {
    #[serde(default)]
    stream: Which,
    #[serde(default)]
    from: u64,
    #[serde(default)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    #[default]
    Stdout,
    Stderr,
}

pub(super) async fn output(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    asked: Result<Query<OutputQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = query(asked)?;
    if asked.from > MAX_FROM {
        let error = format!("from is more than {MAX_FROM}");
        return Err(Problem::bad_request(error));
    }
    let run = agent.runs().find(&id)?;
    let stream = match asked.stream {
        Which::Stdout => Stream::Stdout,
        Which::Stderr => Stream::Stderr,
    };
    let mut bytes = Vec::new();
    let most = if asked.follow { PIECE } else { usize::MAX };
    let mut first = run.read(stream, asked.from, most, &mut bytes);
    let body = if asked.follow {
        // What isn't written yet is waited for.
        first = first.max(asked.from);
        follow(&agent, run, stream, first, Bytes::from(bytes))
    } else {
        Body::from(bytes)
    };
    let headers = [
        (OUTPUT_OFFSET, first.to_string()),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// Sends an output from number `first` on, of which `bytes` were read already, to its end.
fn follow(agent: &Agent, run: Arc<Run>, stream: Stream, first: u64, bytes: Bytes) -> Body {
    /// What was read and isn't sent, and where the rest begins.
    struct Place {
        run: Arc<Run>,
        stream: Stream,
        changed: watch::Receiver<()>,
        unsent: Bytes,
        /// `None` once something is missing.
        next: Option<u64>,
    }
    let place = Place {
        changed: run.follow(),
        run,
        stream,
        next: Some(after(first, bytes.len())),
        unsent: bytes,
    };
    let pieces = unfold(place, async |mut place| {
        loop {
            if !place.unsent.is_empty() {
                return Some((Ok(std::mem::take(&mut place.unsent)), place));
            }
            let at = place.next?;
            place.changed.borrow_and_update();
            let ended = place.run.ended_at().is_some();
            let mut more = Vec::new();
            let first = place.run.read(place.stream, at, PIECE, &mut more);
            if first > at {
                place.next = None;
                let behind = io::Error::other("what comes next isn't kept any more");
                return Some((Err(behind), place));
            }
            place.next = Some(after(at, more.len()));
            place.unsent = Bytes::from(more);
            if place.unsent.is_empty() && (ended || place.changed.changed().await.is_err()) {
                return None;
            }
        }
    });
    Body::from_stream(until_stop(agent, pieces))
}

/// Returns the number of the byte that follows so many.
pub(super) fn after(first: u64, count: usize) -> u64 {
    first.saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
}
