//! `/editor`: its state, its log, and what it is asked to do.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use tokio::time::sleep;

use super::problem::Problem;
use super::{KEEP_ALIVE, until_stop, wants_events};
use crate::agent::Agent;
use crate::editor::{Log, Status};

/// Lines of the log where nothing else is asked for.
pub(super) const LINES: usize = 200;

/// Most lines that can be asked for.
const MAX_LINES: usize = 100_000;

/// How often a followed log is looked at.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

/// Longest line of a followed log that is sent as one, in bytes.
const MAX_LINE: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub(super) tail: Option<usize>,
}

impl Asked {
    /// Returns how many of the last lines are asked for.
    pub(super) fn lines(&self) -> Result<usize, Problem> {
        match self.tail.unwrap_or(LINES) {
            lines if lines <= MAX_LINES => Ok(lines),
            _ => Err(Problem::bad_request(format!("tail is at most {MAX_LINES}"))),
        }
    }
}

type Accepted = (StatusCode, Json<Status>);

pub(super) async fn show(State(agent): State<Arc<Agent>>) -> Json<Status> {
    Json(agent.editor().status(&agent))
}

pub(super) async fn start(State(agent): State<Arc<Agent>>) -> Result<Accepted, Problem> {
    agent.editor().start(&agent).await?;
    Ok(accepted(&agent))
}

pub(super) async fn stop(State(agent): State<Arc<Agent>>) -> Accepted {
    agent.editor().stop().await;
    accepted(&agent)
}

pub(super) async fn restart(State(agent): State<Arc<Agent>>) -> Result<Accepted, Problem> {
    agent.editor().restart(&agent).await?;
    Ok(accepted(&agent))
}

fn accepted(agent: &Agent) -> Accepted {
    (StatusCode::ACCEPTED, Json(agent.editor().status(agent)))
}

pub(super) async fn log(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    let log = agent.editor().log();
    let lines = asked.lines()?;
    let (last, end) = log.tail(lines).map_err(|error| Problem::internal(&error))?;
    if wants_events(&headers) {
        return Ok(follow(&agent, log, last, end));
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, last).into_response())
}

/// Sends the last lines and all that follow, an event `log` for each.
fn follow(agent: &Agent, log: Log, last: String, end: u64) -> Response {
    /// What was read and isn't sent, and where the rest begins.
    struct Place(Log, String, u64);
    let events = unfold(Place(log, last, end), async |mut place| {
        loop {
            if let Some(line) = take_line(&mut place.1) {
                let event = Event::default().event("log").data(line);
                return Some((Ok::<_, Infallible>(event), place));
            }
            let (more, end) = place.0.read(place.2).ok()?;
            if more.is_empty() {
                sleep(INTERVAL).await;
            }
            place.1.push_str(&String::from_utf8_lossy(&more));
            place.2 = end;
        }
    });
    Sse::new(until_stop(agent, events))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

/// Takes the first line out of a text, without its end; of one that is too long its
/// beginning, whole characters of it. `None` where there is no whole line yet.
pub(super) fn take_line(text: &mut String) -> Option<String> {
    let end = text.find('\n');
    let line: String = match end {
        Some(end) if end <= MAX_LINE => text.drain(..=end).collect(),
        _ if text.len() > MAX_LINE => {
            let end = text.floor_char_boundary(MAX_LINE);
            text.drain(..end).collect()
        }
        _ => return None,
    };
    // What would end it early is no part of an event's data.
    Some(
        line.trim_end_matches(['\n', '\r'])
            .replace('\r', "\u{240d}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_sent_in_pieces() {
        let mut text = "one\r\ntw\ro\nrest".to_owned();
        assert_eq!(take_line(&mut text).as_deref(), Some("one"));
        assert_eq!(take_line(&mut text).as_deref(), Some("tw\u{240d}o"));
        assert_eq!(take_line(&mut text), None);
        assert_eq!(text, "rest");
        // A character stands across the limit.
        let long = format!(
            "{}ä{}\nnext",
            "x".repeat(MAX_LINE - 1),
            "y".repeat(MAX_LINE)
        );
        let mut text = long.clone();
        let mut sent = String::new();
        while let Some(piece) = take_line(&mut text) {
            assert!(piece.len() <= MAX_LINE);
            sent.push_str(&piece);
        }
        assert_eq!(sent + "\n" + &text, long);
    }
}
