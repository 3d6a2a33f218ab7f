//! What a client sends to a process over its WebSocket.
//!
//! What the process doesn't take yet waits, up to some: signals and the client's end pass it.

use std::collections::VecDeque;
use std::future::pending;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use serde::Deserialize;
use tracing::debug;

use super::{Leash, STDIN, is_too_long};
use crate::awake::Typed;
use crate::runs::{Cells, Input, Run, RunError, Target};

/// How much input may wait for a process before its client isn't listened to, in bytes:
/// signals pass what waits.
const MAX_WAITING: usize = 1024 * 1024;

/// What a piece of it costs besides its bytes.
const PIECE_COST: usize = 64;

/// What a client says.
#[derive(Debug, Default, Deserialize)]
struct FromClient {
    #[serde(default)]
    signal: Option<String>,
    #[serde(default)]
    resize: Option<Cells>,
    #[serde(default)]
    detach: Option<bool>,
}

/// Why nothing more comes from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// It went.
    ByItself,
    /// It sent a message that is too long.
    SaidTooMuch,
}

/// Takes what the client sends, until it is gone.
pub(super) async fn receive(
    stream: &mut SplitStream<WebSocket>,
    run: &Run,
    leash: &mut Option<Leash>,
    typed: &Typed,
) -> Gone {
    let mut waiting = Waiting::default();
    let gone = loop {
        let done = tokio::select! {
            written = waiting.write(run) => written,
            message = stream.next(), if waiting.has_room() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&STDIN) => {
                    typed.note();
                    waiting.push(if bytes.len() == 1 {
                        Input::End
                    } else {
                        Input::Data(bytes.slice(1..))
                    });
                    Ok(())
                }
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(said) => act(said, run, leash),
                    Err(error) => {
                        debug!(%error, "a process's client sent something unreadable");
                        Ok(())
                    }
                },
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Ok(()),
                Some(Err(error)) if is_too_long(&error) => break Gone::SaidTooMuch,
                Some(Ok(Message::Close(_)) | Err(_)) | None => break Gone::ByItself,
            },
        };
        if let Err(error) = done {
            debug!(%error, "a process didn't take what its client sent");
        }
    };
    // One that goes on gets what was sent to it.
    if !leash.as_ref().is_some_and(Leash::holds) {
        while !waiting.inputs.is_empty() && waiting.write(run).await.is_ok() {}
    }
    gone
}

/// Input that a process hasn't taken yet.
#[derive(Default)]
struct Waiting {
    inputs: VecDeque<Input>,
    cost: usize,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.cost < MAX_WAITING
    }

    fn push(&mut self, input: Input) {
        self.cost += cost(&input);
        self.inputs.push_back(input);
    }

    /// Hands over the first piece; waits for ever where there is none. Cancel-safe.
    async fn write(&mut self, run: &Run) -> Result<(), RunError> {
        let Some(first) = self.inputs.front().cloned() else {
            return pending().await;
        };
        let written = run.write(first).await;
        self.cost -= self.inputs.pop_front().as_ref().map_or(0, cost);
        written
    }
}

fn cost(input: &Input) -> usize {
    match input {
        Input::Data(bytes) => PIECE_COST + bytes.len(),
        Input::End => PIECE_COST,
    }
}

fn act(said: FromClient, run: &Run, leash: &mut Option<Leash>) -> Result<(), RunError> {
    if said.detach == Some(true)
        && let Some(leash) = leash
    {
        leash.let_go();
    }
    if let Some(size) = said.resize {
        run.resize(size.checked()?)?;
    }
    match said.signal {
        Some(signal) => run.signal(&signal, Target::Group),
        None => Ok(()),
    }
}
