//! What a client sends to a process over its WebSocket.
//!
//! What the process doesn't take yet waits, up to some: signals and the client's end pass it.

use std::collections::VecDeque;
use std::future::pending;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use serde::Deserialize;
use tokio::sync::watch;
use tracing::debug;

use super::{Leash, STDIN, is_too_long};
use crate::awake::Typed;
use crate::runs::{Cells, Input, Run, RunError, Target};

/// How much input may wait for a process, in bytes: signals pass what waits. A client that
/// has no more under way is always listened to.
pub(super) const WINDOW: usize = 1024 * 1024;

/// How much has to be taken before the client is told again, in bytes.
const STEP: usize = WINDOW / 4;

/// How much it costs before its client isn't listened to: some ends of input are no data.
const MAX_COST: usize = WINDOW + 64 * 1024;

/// What an end costs.
const END_COST: usize = 64;

/// Smaller pieces become one up to this, in bytes: what they cost is their bytes.
const PIECE: usize = 4096;

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

/// Takes what the client sends, until it is gone, and tells how many bytes of input the
/// process took.
pub(super) async fn receive(
    stream: &mut SplitStream<WebSocket>,
    run: &Run,
    leash: &mut Option<Leash>,
    typed: &Typed,
    taken: &watch::Sender<usize>,
) -> Gone {
    let mut waiting = Waiting::default();
    let gone = loop {
        let done = tokio::select! {
            written = waiting.write(run) => {
                if waiting.taken - *taken.borrow() >= STEP {
                    taken.send_replace(waiting.taken);
                }
                written
            }
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
    /// How much it took, or doesn't want, in bytes.
    taken: usize,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.cost < MAX_COST
    }

    fn push(&mut self, input: Input) {
        self.cost += cost(&input);
        match (self.inputs.back_mut(), input) {
            (Some(Input::Data(last)), Input::Data(more)) if last.len() + more.len() <= PIECE => {
                *last = [&last[..], &more].concat().into();
            }
            (_, input) => self.inputs.push_back(input),
        }
    }

    /// Hands over the first piece; waits for ever where there is none. Cancel-safe.
    async fn write(&mut self, run: &Run) -> Result<(), RunError> {
        let Some(first) = self.inputs.front().cloned() else {
            return pending().await;
        };
        let written = run.write(first).await;
        if let Some(first) = self.inputs.pop_front() {
            self.cost -= cost(&first);
            if let Input::Data(bytes) = first {
                self.taken += bytes.len();
            }
        }
        written
    }
}

fn cost(input: &Input) -> usize {
    match input {
        Input::Data(bytes) => bytes.len(),
        Input::End => END_COST,
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_whole_window_has_room_however_small_its_pieces_are() {
        let mut waiting = Waiting::default();
        for _ in 0..WINDOW {
            assert!(waiting.has_room());
            waiting.push(Input::Data(Bytes::from_static(b"x")));
        }
        waiting.push(Input::End);
        assert!(waiting.has_room(), "a signal isn't heard");
        assert_eq!(waiting.inputs.len(), WINDOW / PIECE + 1);
        // What is typed after an end comes after it.
        waiting.push(Input::Data(Bytes::from_static(b"y")));
        assert!(matches!(waiting.inputs.back(), Some(Input::Data(y)) if y == "y"));
        // A client that doesn't count waits.
        waiting.push(Input::Data(Bytes::from(vec![0; MAX_COST - WINDOW])));
        assert!(!waiting.has_room());
    }
}
