//! A log as the API shows it: its last lines, and what follows them.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, header};
use serde::Deserialize;
use tokio::time::sleep;

use super::problem::Problem;
use super::{KEEP_ALIVE, until_stop, wants_events};
use crate::agent::Agent;
use crate::log::{Follower, LogFile};

/// Lines of a log where nothing else is asked for.
const LINES: usize = 200;

/// Most lines that can be asked for.
const MAX_LINES: usize = 100_000;

/// How often a followed log is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    tail: Option<usize>,
}

impl Asked {
    /// Returns how many of the last lines are asked for.
    fn lines(&self) -> Result<usize, Problem> {
        match self.tail.unwrap_or(LINES) {
            lines if lines <= MAX_LINES => Ok(lines),
            _ => Err(Problem::bad_request(format!("tail is at most {MAX_LINES}"))),
        }
    }
}

/// Shows a log's last lines; where events are asked for, also all that follow.
pub(super) fn show(
    agent: &Agent,
    log: &LogFile,
    headers: &HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    let lines = asked.lines()?;
    let unreadable = |error| Problem::internal(&error);
    if wants_events(headers) {
        let follower = log.follow(lines).map_err(unreadable)?;
        return Ok(follow(agent, follower));
    }
    let last = log.last(lines).map_err(unreadable)?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, last).into_response())
}

/// Sends an event `log` for each line.
fn follow(agent: &Agent, follower: Follower) -> Response {
    let events = unfold(follower, async |mut follower| {
        loop {
            if let Some(line) = follower.next_line().ok()? {
                return Some((Ok::<_, Infallible>(event(&line)), follower));
            }
            sleep(INTERVAL).await;
        }
    });
    Sse::new(until_stop(agent, events))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn event(line: &str) -> Event {
    // What would end a line early is no part of an event's data.
    let line = line.replace('\r', "\u{240d}");
    Event::default().event("log").data(line)
}
