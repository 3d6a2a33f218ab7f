//! `/ports`: the ports that the workspace's programs listen on, once or as they change.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::HeaderMap;
use tracing::warn;

use super::{KEEP_ALIVE, List, until_stop, wants_events};
use crate::agent::Agent;
use crate::ports::Port;

pub(super) async fn list(State(agent): State<Arc<Agent>>, headers: HeaderMap) -> Response {
    if !wants_events(&headers) {
        let items = agent.ports().list().await;
        return Json(List { items: &*items }).into_response();
    }
    let receiver = agent.ports().follow().await;
    let events = unfold(receiver, async |mut receiver| {
        receiver.changed().await.ok()?;
        let list = receiver.borrow_and_update().clone();
        Some((Ok::<_, Infallible>(event(&list)), receiver))
    });
    Sse::new(until_stop(&agent, events))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn event(list: &[Port]) -> Event {
    let event = Event::default().event("ports");
    event
        .json_data(List { items: list })
        .unwrap_or_else(|error| {
            warn!(%error, "the ports can't be written");
            Event::default()
        })
}
