//! `/processes/run` and `/processes/{process}/attach`: a process over a WebSocket.
//!
//! Binary messages are a byte that names a channel, and data. Text messages are JSON. Who
//! runs a process holds it: it is read only as far as the client reads. Who attaches
//! looks, and is told what it missed.

mod input;

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{
    CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::problem::Problem;
use super::processes::{Begun, Bound, Leash, MAX_REQUEST, begin, query};
use super::run_output::{PIECE, after};
use crate::agent::Agent;
use crate::awake::Typed;
use crate::runs::{Hold, Reader, Request, Run, Stream, View};
use input::{Gone, WINDOW, receive};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often something is sent where nothing happens. A client that doesn't read is one
/// that wants the program to wait: it isn't cut off for giving no sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// How long the end of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection is closed where the agent ends.
pub(super) const STOPPING: &str = "the workspace is stopping";

/// The channels.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

/// Where a client that attaches begins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    #[serde(default)]
    stdout_from: u64,
    #[serde(default)]
    stderr_from: u64,
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ToClient<'a> {
    Started(View),
    Attached {
        process: View,
        stdout_from: u64,
        stderr_from: u64,
    },
    Dropped {
        stream: &'static str,
        bytes: u64,
    },
    /// How much of its input the process took so far, in bytes.
    StdinTaken(usize),
    Ended(View),
    Error(&'a Problem),
}

/// What a client is told first.
#[derive(Debug, Serialize)]
struct Greeting<'a> {
    #[serde(flatten)]
    begins: ToClient<'a>,
    /// How much input that isn't taken it may have sent, in bytes, so that what it sends
    /// besides is heard at once.
    stdin_window: usize,
}

type Sink = SplitSink<WebSocket, Message>;

/// A client's view of a process.
struct Client {
    run: Arc<Run>,
    hold: Option<Hold>,
    leash: Option<Leash>,
    /// Where each output goes on.
    at: [u64; 2],
    typed: Typed,
    stopping: CancellationToken,
}

pub(super) async fn run(
    State(agent): State<Arc<Agent>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = bounded(upgrade)?;
    Ok(upgrade.on_upgrade(async move |mut socket| {
        let asked = match timeout(PATIENCE, asked(&mut socket)).await {
            Ok(Some(asked)) => asked,
            Ok(None) => return,
            Err(_) => Err(Problem::bad_request(
                "the first message, which says what to run, didn't come within 30 s",
            )),
        };
        let begun = match asked {
            Ok(request) => {
                let detached = request.detach == Some(true);
                let begun = begin(&agent, request, Reader::Holds, Bound::ToClient).await;
                begun.map(|mut begun| {
                    if detached && let Some(leash) = &mut begun.leash {
                        leash.let_go();
                    }
                    begun
                })
            }
            Err(problem) => Err(problem),
        };
        match begun {
            Ok(Begun { run, hold, leash }) => {
                let client = Client {
                    run,
                    hold,
                    leash,
                    at: [0; 2],
                    typed: agent.awake().typed(),
                    stopping: agent.stopping(),
                };
                // The process needn't the agent, and outlives no agent.
                drop(agent);
                let started = ToClient::Started(client.run.view());
                client.serve(socket, started).await;
            }
            Err(problem) => {
                let (mut sink, _) = socket.split();
                let told = async {
                    tell(&mut sink, &ToClient::Error(&problem)).await?;
                    let close = close(close_code::NORMAL, "it couldn't be started");
                    sink.send(close).await
                };
                let _ = timeout(CLOSE_TIMEOUT, told).await;
            }
        }
    }))
}

pub(super) async fn attach(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    from: Result<Query<Begin>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let from = query(from)?;
    let run = agent.runs().find(&id)?;
    let upgrade = bounded(upgrade)?;
    Ok(upgrade.on_upgrade(async move |socket| {
        // What isn't written yet is waited for.
        let first = |stream, from| run.read(stream, from, 0, &mut Vec::new()).max(from);
        let stdout_from = first(Stream::Stdout, from.stdout_from);
        let stderr_from = first(Stream::Stderr, from.stderr_from);
        let attached = ToClient::Attached {
            process: run.view(),
            stdout_from,
            stderr_from,
        };
        let client = Client {
            run,
            hold: None,
            leash: None,
            at: [stdout_from, stderr_from],
            typed: agent.awake().typed(),
            stopping: agent.stopping(),
        };
        drop(agent);
        client.serve(socket, attached).await;
    }))
}

fn bounded(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Problem> {
    let upgrade = upgrade.map_err(Problem::bad_request)?;
    Ok(upgrade
        .max_message_size(MAX_REQUEST)
        .max_frame_size(MAX_REQUEST))
}

/// Returns what a client wants to run; `None` where it goes.
async fn asked(socket: &mut WebSocket) -> Option<Result<Request, Problem>> {
    loop {
        let message = match socket.next().await? {
            Ok(message) => message,
            Err(error) if is_too_long(&error) => {
                let detail = "the first message has at most 4 MiB";
                return Some(Err(Problem::bad_request(detail)));
            }
            Err(_) => return None,
        };
        match message {
            Message::Text(text) => {
                return Some(serde_json::from_str(&text).map_err(Problem::bad_request));
            }
            Message::Binary(_) => {
                let detail = "the first message is a text that says what to run";
                return Some(Err(Problem::bad_request(detail)));
            }
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return None,
        }
    }
}

impl Client {
    async fn serve(self, socket: WebSocket, begins: ToClient<'_>) {
        let Self {
            run,
            hold,
            mut leash,
            at,
            typed,
            stopping,
        } = self;
        let (mut sink, mut stream) = socket.split();
        let (taken, taking) = watch::channel(0);
        let ended = {
            let mut received = pin!(receive(&mut stream, &run, &mut leash, &typed, &taken));
            let sending = async {
                let stdin_window = WINDOW;
                let greeting = Greeting {
                    begins,
                    stdin_window,
                };
                tell(&mut sink, &greeting).await?;
                send(&mut sink, &run, hold.as_ref(), at, taking).await
            };
            tokio::select! {
                sent = sending => {
                    if sent.is_ok() {
                        // The client answers the end with its own.
                        let _ = timeout(CLOSE_TIMEOUT, received).await;
                    }
                    sent.map(|()| None)
                }
                gone = &mut received => Ok(match gone {
                    Gone::ByItself => None,
                    Gone::SaidTooMuch => {
                        Some(close(close_code::SIZE, "a message has at most 4 MiB"))
                    }
                }),
                () = stopping.cancelled() => Ok(Some(close(close_code::AWAY, STOPPING))),
            }
        };
        // Whether or not the client reads why.
        drop((hold, leash));
        let closed = match ended {
            Ok(Some(close)) => timeout(CLOSE_TIMEOUT, sink.send(close)).await,
            Ok(None) => return,
            Err(error) => Ok(Err(error)),
        };
        if let Ok(Err(error)) = closed {
            debug!(%error, "a process's client is gone");
        }
    }
}

/// Sends what the process writes, and its end; returns then, or where the client is gone.
async fn send(
    sink: &mut Sink,
    run: &Run,
    hold: Option<&Hold>,
    mut at: [u64; 2],
    mut taken: watch::Receiver<usize>,
) -> Result<(), axum::Error> {
    let mut changed = run.follow();
    let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    loop {
        if taken.has_changed().unwrap_or_default() {
            let bytes = *taken.borrow_and_update();
            tell(sink, &ToClient::StdinTaken(bytes)).await?;
        }
        changed.borrow_and_update();
        // Before it is read: what is written comes before the end.
        let ended = run.ended_at().is_some();
        let mut idle = true;
        for (stream, at) in Stream::BOTH.into_iter().zip(&mut at) {
            let (channel, name) = match stream {
                Stream::Stdout => (STDOUT, "stdout"),
                Stream::Stderr => (STDERR, "stderr"),
            };
            let mut message = vec![channel];
            let first = run.read(stream, *at, PIECE, &mut message);
            if first > *at {
                let bytes = first - *at;
                let stream = name;
                tell(sink, &ToClient::Dropped { stream, bytes }).await?;
            }
            // A client may have asked for what isn't written yet.
            *at = after(first, message.len() - 1).max(*at);
            if message.len() > 1 {
                sink.send(Message::Binary(message.into())).await?;
                idle = false;
            }
            if let Some(hold) = hold {
                hold.advance(stream, *at);
            }
        }
        if !idle {
            continue;
        }
        if ended {
            tell(sink, &ToClient::Ended(run.view())).await?;
            let close = close(close_code::NORMAL, "the process has ended");
            return sink.send(close).await;
        }
        tokio::select! {
            // Its sender is there as long as the process is.
            _ = changed.changed() => {}
            _ = taken.changed() => taken.mark_changed(),
            _ = ping.tick() => sink.send(Message::Ping(axum::body::Bytes::new())).await?,
        }
    }
}

async fn tell(sink: &mut Sink, message: &impl Serialize) -> Result<(), axum::Error> {
    let text = serde_json::to_string(message).map_err(axum::Error::new)?;
    sink.send(Message::Text(text.into())).await
}

fn close(code: CloseCode, reason: &'static str) -> Message {
    let reason = Utf8Bytes::from_static(reason);
    Message::Close(Some(CloseFrame { code, reason }))
}

/// Whether a message has more bytes than it may.
fn is_too_long(error: &axum::Error) -> bool {
    let source = error.source();
    let source = source.and_then(|source| source.downcast_ref::<tungstenite::Error>());
    matches!(source, Some(tungstenite::Error::Capacity(_)))
}
