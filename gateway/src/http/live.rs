//! Answers that go on: what happens is told as it happens, as Server-Sent Events or over a
//! WebSocket, where each event is a text message.
//!
//! Browsers keep six connections of HTTP/1.1 to a host for all their pages together, and a
//! stream of Server-Sent Events holds one of them; `WebSockets` aren't counted among the six.
//!
//! Nothing is queued for a client: an event is asked for once the one before was taken.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::{
    CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::api::wire::LiveEvent;
use super::proxy::GATEWAY_ENDS;
use crate::workspaces::OpenError;

/// The media type of Server-Sent Events.
pub(super) const EVENTS: &str = "text/event-stream";

/// How often a stream that has nothing to say shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Largest message of a client that is read, in bytes: it has nothing to say.
const MAX_HEARD: usize = 4096;

/// How long a client has to hear why its WebSocket ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a client has to ask with once more, as after a 401 (IANA, WebSocket Close Code Number
/// Registry).
const UNAUTHORIZED: CloseCode = 3000;

/// What isn't a client's any more, as after a 403 (the same).
const FORBIDDEN: CloseCode = 3003;

/// How a client is told what happens.
#[derive(Debug)]
pub(super) enum Way {
    /// As Server-Sent Events.
    Events,
    /// Over a WebSocket.
    Socket(Box<WebSocketUpgrade>),
}

/// How a client asks to be told what happens, where it does: else it wants what there is. An
/// upgrade to anything else than a WebSocket is ignored (RFC 9110 §7.8).
#[derive(Debug)]
pub(super) struct Asked(pub(super) Option<Way>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        Ok(Self(match upgrade {
            Ok(upgrade) => Some(Way::Socket(Box::new(upgrade))),
            Err(_) => wants_events(&parts.headers).then_some(Way::Events),
        }))
    }
}

/// Tells whether a client asks for Server-Sent Events.
fn wants_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    let mut types = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next());
    types.any(|media_type| media_type.trim().eq_ignore_ascii_case(EVENTS))
}

/// What ends a stream early.
#[derive(Debug)]
pub(super) struct Until {
    /// The end of what signs the caller in, or of their role.
    pub(super) signed_in: CancellationToken,
    /// The time for which the workspace belongs to whom it does; one that never ends where
    /// that doesn't matter.
    pub(super) tenure: CancellationToken,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// There is no more.
    Over,
    /// The gateway ends.
    Gateway,
    SignedOut,
    Tenure,
}

impl End {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Over => (close_code::NORMAL, "there is no more"),
            Self::Gateway => (close_code::AWAY, GATEWAY_ENDS),
            Self::SignedOut => (
                UNAUTHORIZED,
                "the login or token has ended, or the role is another: connect again",
            ),
            Self::Tenure => (FORBIDDEN, "the workspace is somebody else's"),
        };
        let reason = Utf8Bytes::from_static(reason);
        CloseFrame { code, reason }
    }
}

/// The streams that are open. Clones share them.
#[derive(Clone, Debug)]
pub struct Live {
    /// Counts `WebSockets`, which outlive their requests.
    sockets: TaskTracker,
    stop: CancellationToken,
    keep_alive: Duration,
}

impl Live {
    /// Returns none yet; at `stop` all of them end.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            sockets: TaskTracker::new(),
            stop,
            keep_alive: KEEP_ALIVE,
        }
    }

    /// Returns after the stop, once all `WebSockets` are closed.
    pub async fn run(self) {
        self.stop.cancelled().await;
        self.sockets.close();
        self.sockets.wait().await;
    }

    /// Answers with what happens, until there is no more, or what `until` says.
    ///
    /// # Errors
    /// Where the gateway is to end already.
    pub(super) fn answer(
        &self,
        way: Way,
        until: Until,
        events: impl Stream<Item = LiveEvent> + Send + 'static,
    ) -> Result<Response, OpenError> {
        let open = self.sockets.token();
        if self.stop.is_cancelled() {
            return Err(OpenError::ShuttingDown);
        }
        let (stop, keep_alive) = (self.stop.clone(), self.keep_alive);
        let ended = async move {
            tokio::select! {
                () = until.signed_in.cancelled() => End::SignedOut,
                () = until.tenure.cancelled() => End::Tenure,
                () = stop.cancelled() => End::Gateway,
            }
        };
        Ok(match way {
            Way::Events => as_events(events.take_until(Box::pin(ended)), keep_alive),
            Way::Socket(upgrade) => upgrade
                .max_message_size(MAX_HEARD)
                .max_frame_size(MAX_HEARD)
                .read_buffer_size(MAX_HEARD)
                .write_buffer_size(0)
                .on_upgrade(async move |socket| {
                    tell(socket, (events, keep_alive), ended).await;
                    drop(open);
                }),
        })
    }
}

/// Answers with Server-Sent Events.
fn as_events(
    events: impl Stream<Item = LiveEvent> + Send + 'static,
    keep_alive: Duration,
) -> Response {
    let events = events.map(|event| {
        let sent = sse::Event::default().event(event.event);
        let sent = match event.id {
            Some(id) => sent.id(id),
            None => sent,
        };
        Ok::<_, Infallible>(match event.data {
            Value::String(text) => sent.data(text),
            data => sent.data(data.to_string()),
        })
    });
    let keep_alive = KeepAlive::new().interval(keep_alive);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    // nginx holds answers back unless it is told not to.
    let headers = response.headers_mut();
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Sends events over a WebSocket until they or the client end, or `ended` does. One that takes
/// nothing is cut by its connection, whose peers have a time for that.
async fn tell(
    socket: WebSocket,
    (events, keep_alive): (impl Stream<Item = LiveEvent>, Duration),
    ended: impl Future<Output = End>,
) {
    let (mut sink, mut heard) = socket.split();
    let telling = async {
        let mut events = pin!(events);
        let mut ping = interval_at(Instant::now() + keep_alive, keep_alive);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                event = events.next() => match event {
                    Some(event) => {
                        let text = serde_json::to_string(&event).map_err(axum::Error::new)?;
                        Message::Text(text.into())
                    }
                    None => return Ok(End::Over),
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            sink.send(message).await?;
        }
    };
    let end: Result<End, axum::Error> = tokio::select! {
        end = ended => Ok(end),
        end = telling => end,
        () = gone(&mut heard) => return,
    };
    match end {
        Ok(end) => {
            let close = Message::Close(Some(end.frame()));
            let closing = async {
                if sink.send(close).await.is_ok() {
                    // What comes meanwhile would reset the connection, and the word be lost.
                    gone(&mut heard).await;
                }
            };
            // Whoever doesn't answer in time isn't waited for.
            let _ = timeout(CLOSE_TIMEOUT, closing).await;
        }
        Err(error) => debug!(%error, "a client that was told what happens is gone"),
    }
}

/// Waits until a client is gone; what it says is of no interest. Cancel-safe.
async fn gone(heard: &mut SplitStream<WebSocket>) {
    while let Some(Ok(_)) = heard.next().await {}
}

#[cfg(test)]
mod tests;
