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
use http::HeaderMap;
use tracing::warn;

use super::log::{self, Asked};
use super::problem::Problem;
use super::{KEEP_ALIVE, until_stop, wants_events};
use crate::agent::Agent;

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
    log::show(&agent, agent.startup().log().file(), &headers, asked)
}
