//! `/startup`: how far the start-up is, and its log; once or as they change.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use devgate_protocol::startup::Status;
use futures_util::stream::unfold;
use http::{HeaderMap, header};
use tokio::time::sleep;
use tracing::warn;

use super::editor::{Asked, INTERVAL, take_line};
use super::problem::Problem;
use super::{KEEP_ALIVE, until_stop, wants_events};
use crate::agent::Agent;
use crate::startup::{Log, Place};

pub(super) async fn show(State(agent): State<Arc<Agent>>, headers: HeaderMap) -> Response {
    if !wants_events(&headers) {
        return Json(agent.startup().status()).into_response();
    }
    let events = unfold(agent.startup().follow(), async |mut receiver| {
        receiver.changed().await.ok()?;
        let status = receiver.borrow_and_update().clone();
        Some((Ok::<_, Infallible>(event(&status)), receiver))
    });
    Sse::new(until_stop(&agent, events))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn event(status: &Status) -> Event {
    let event = Event::default().event("startup");
    event.json_data(status).unwrap_or_else(|error| {
        warn!(%error, "the start-up's status can't be written");
        Event::default()
    })
}

pub(super) async fn log(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    let log = agent.startup().log();
    let lines = asked.lines()?;
    let (last, end) = log.tail(lines).map_err(|error| Problem::internal(&error))?;
    if wants_events(&headers) {
        return Ok(follow(&agent, log.clone(), last, end));
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, last).into_response())
}

/// Sends the last lines and all that follow, an event `log` for each.
fn follow(agent: &Agent, log: Log, last: String, end: Place) -> Response {
    /// What was read and isn't sent, and where the rest begins.
    struct Reader(Log, String, Place);
    let events = unfold(Reader(log, last, end), async |mut reader| {
        loop {
            if let Some(line) = take_line(&mut reader.1) {
                let event = Event::default().event("log").data(line);
                return Some((Ok::<_, Infallible>(event), reader));
            }
            let (more, end) = reader.0.read(reader.2).ok()?;
            if more.is_empty() {
                sleep(INTERVAL).await;
            }
            reader.1.push_str(&String::from_utf8_lossy(&more));
            reader.2 = end;
        }
    });
    Sse::new(until_stop(agent, events))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}
