//! `/terminals/{id}/attach`: a terminal over a WebSocket.
//!
//! Binary messages are output, and keystrokes the other way; the first one paints the
//! whole screen. Text messages are JSON: size, title and exit; the client's size and
//! what it has drawn the other way.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::{interval, timeout};
use tracing::debug;

use super::problem::Problem;
use crate::agent::Agent;
use crate::awake::Typed;
use crate::terminals::{Attachment, Cells, Outgoing};

/// Largest message of a client, in bytes: a paste is one.
const MAX_MESSAGE: usize = 1024 * 1024;

/// How often a client is asked for a sign of life, and how long it may give none.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const DEAD_AFTER: Duration = Duration::from_secs(75);

/// How long the last message may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The size that a client begins with.
#[derive(Debug, Deserialize)]
pub(super) struct Size {
    columns: Option<u16>,
    rows: Option<u16>,
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum FromClient {
    Resize {
        columns: u16,
        rows: u16,
    },
    Ack {
        bytes: u64,
    },
    /// What a later version says.
    #[serde(other)]
    Other,
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ToClient<'a> {
    Size { columns: u16, rows: u16 },
    Title { title: &'a str },
    Exit { status: u32 },
}

type Sink = SplitSink<WebSocket, Message>;

pub(super) async fn attach(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    size: Result<Query<Size>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let terminal = agent
        .terminals()
        .find(&id)
        .ok_or_else(Problem::no_terminal)?;
    let Query(size) = size.map_err(|error| Problem::bad_request(error.body_text()))?;
    let size = match (size.columns, size.rows) {
        (Some(columns), Some(rows)) => {
            Some(Cells::new(columns, rows).map_err(Problem::bad_request)?)
        }
        _ => None,
    };
    Ok(upgrade
        .map_err(Problem::bad_request)?
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(async move |socket| {
            let attachment = terminal.attach(size);
            let typed = agent.awake().typed();
            // The terminal needn't the agent, and outlives no agent.
            drop((agent, terminal));
            serve(socket, &attachment, &typed).await;
        }))
}

async fn serve(socket: WebSocket, attachment: &Attachment, typed: &Typed) {
    let (mut sink, stream) = socket.split();
    let mut received = pin!(receive(stream, attachment, typed));
    let ended = tokio::select! {
        sent = send(&mut sink, attachment) => {
            // What was typed before the client went is still on its way.
            let _ = timeout(CLOSE_TIMEOUT, received).await;
            sent
        }
        () = &mut received => Ok(()),
        () = attachment.ended() => {
            let close = Message::Close(Some(CloseFrame {
                code: close_code::NORMAL,
                reason: Utf8Bytes::from_static("the terminal was ended"),
            }));
            timeout(CLOSE_TIMEOUT, sink.send(close)).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a terminal's client is gone");
    }
}

/// Sends what there is to see, until the client is gone.
async fn send(sink: &mut Sink, attachment: &Attachment) -> Result<(), axum::Error> {
    let mut ping = interval(PING_INTERVAL);
    loop {
        let outgoing = tokio::select! {
            outgoing = attachment.next() => outgoing,
            _ = ping.tick() => {
                sink.send(Message::Ping(axum::body::Bytes::new())).await?;
                continue;
            }
        };
        let Outgoing {
            size,
            bytes,
            title,
            exit,
        } = outgoing;
        if let Some(size) = size {
            let (columns, rows) = (size.columns(), size.rows());
            tell(sink, &ToClient::Size { columns, rows }).await?;
        }
        if !bytes.is_empty() {
            sink.send(Message::Binary(bytes.into())).await?;
        }
        if let Some(title) = title {
            tell(sink, &ToClient::Title { title: &title }).await?;
        }
        if let Some(status) = exit {
            tell(sink, &ToClient::Exit { status }).await?;
        }
    }
}

async fn tell(sink: &mut Sink, message: &ToClient<'_>) -> Result<(), axum::Error> {
    let text = serde_json::to_string(message).map_err(axum::Error::new)?;
    sink.send(Message::Text(text.into())).await
}

/// Takes what the client sends, until it is gone.
async fn receive(mut stream: SplitStream<WebSocket>, attachment: &Attachment, typed: &Typed) {
    while let Ok(Some(Ok(message))) = timeout(DEAD_AFTER, stream.next()).await {
        match message {
            Message::Binary(bytes) if attachment.takes(&bytes) => {
                typed.note();
                attachment.write(bytes).await;
            }
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(FromClient::Resize { columns, rows }) => match Cells::new(columns, rows) {
                    Ok(size) => attachment.resize(size),
                    Err(error) => debug!(%error, "a terminal's client has no size"),
                },
                Ok(FromClient::Ack { bytes }) => attachment.acknowledge(bytes),
                Ok(FromClient::Other) => {}
                Err(error) => debug!(%error, "a terminal's client sent something unreadable"),
            },
            // What a terminal says by itself.
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return,
        }
    }
}
