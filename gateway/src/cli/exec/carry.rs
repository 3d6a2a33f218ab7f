//! What goes over the WebSocket: a byte that names a channel and data, or JSON.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, stderr, stdout};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::input::{Allowed, Stdin, read};
use super::signals::{Control, Screen, Signals};
use super::{Ended, Outcome, Request, terminal};
use crate::cli::client::RemoteMessages;
use crate::cli::failure::{Failure, Kind};
use crate::http::problem::Problem;
use crate::http::proxy::GATEWAY_ENDS;

/// The channels that come.
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

/// Signals and sizes that wait to be sent.
const WAITING: usize = 16;

/// How long nothing comes until the connection is taken for lost. The agent says something
/// every 15 s, but for a workspace that is paused, as while a snapshot is made.
const PATIENCE: Patience = Patience {
    usual: Duration::from_mins(5),
    ending: Duration::from_secs(40),
};

/// How long nothing may come.
#[derive(Clone, Copy, Debug)]
struct Patience {
    usual: Duration,
    /// Once somebody wants it to end, until something comes.
    ending: Duration,
}

/// What the other side says.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    started: Option<serde::de::IgnoredAny>,
    /// How much of stdin may be under way; an agent that is older takes any.
    #[serde(default)]
    stdin_window: Option<u64>,
    /// How much of it was taken.
    #[serde(default)]
    stdin_taken: Option<u64>,
    #[serde(default)]
    ended: Option<Ended>,
    #[serde(default)]
    error: Option<Problem>,
}

/// Runs what is asked for, to its end, or until somebody leaves it.
pub(super) async fn carry(
    socket: RemoteMessages,
    request: &Request,
    reads: Stdin,
    signals: Signals,
) -> Result<Outcome, Failure> {
    let first = serde_json::to_string(request);
    let first = first.map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
    let (mut sink, mut stream) = socket.split();
    let (control, controls) = mpsc::channel(WAITING);
    let (piece, pieces) = mpsc::channel(1);
    let (limit, allowed) = watch::channel(0);
    let ending = Notify::new();
    let screen = match reads {
        Stdin::Typed => Screen::Its,
        Stdin::Read | Stdin::Left => Screen::None,
    };
    let input = Allowed::new(pieces, allowed);
    // None waits for another: whoever wants to leave can, whatever the server does.
    tokio::select! {
        outcome = down(&mut stream, &limit, &ending, PATIENCE) => outcome,
        left = signals.hand_on(screen, control, &ending) => Err(left),
        left = read(reads, piece) => Err(left),
        never = up(&mut sink, first, controls, input) => match never {},
    }
}

/// Sends what is asked for, what is read and what signals come, for as long as it isn't
/// dropped.
async fn up(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    first: String,
    mut controls: mpsc::Receiver<Control>,
    mut input: Allowed,
) -> Infallible {
    let mut sent = sink.send(Message::text(first)).await;
    while sent.is_ok() {
        let message = tokio::select! {
            biased;
            Some(control) = controls.recv() => told(control),
            data = input.next() => Some(Message::Binary(data)),
        };
        if let Some(message) = message {
            sent = sink.send(message).await;
        }
    }
    // What is read last tells why.
    std::future::pending().await
}

fn told(control: Control) -> Option<Message> {
    let text = match control {
        Control::Signal(signal) => {
            let name = signal.as_str().trim_start_matches("SIG");
            json!({ "signal": name })
        }
        // One that has gone is noticed elsewhere.
        Control::Resize => json!({ "resize": terminal::size()? }),
    };
    Some(Message::text(text.to_string()))
}

/// Writes what comes, until it has ended; sets how much of stdin may be sent.
async fn down(
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    limit: &watch::Sender<u64>,
    ending: &Notify,
    patience: Patience,
) -> Result<Outcome, Failure> {
    let (mut out, mut err) = (stdout(), stderr());
    let (mut window, mut patient) = (0, patience.usual);
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = ending.notified() => {
                patient = patience.ending;
                continue;
            }
            () = sleep(patient) => return Err(silent()),
        };
        let Some(message) = message else {
            return Err(cut_off());
        };
        patient = patience.usual;
        match message.map_err(|_| lost())? {
            Message::Binary(bytes) => match bytes.first() {
                Some(&STDOUT) => write(&mut out, bytes.slice(1..)).await?,
                Some(&STDERR) => write(&mut err, bytes.slice(1..)).await?,
                _ => {}
            },
            Message::Text(text) => {
                // What isn't known is news for others.
                let said: Said = serde_json::from_str(&text).unwrap_or_default();
                if let Some(problem) = said.error {
                    return Ok(Outcome::Refused(problem));
                }
                if let Some(ended) = said.ended {
                    return Ok(Outcome::Ended(ended));
                }
                if said.started.is_some() {
                    window = said.stdin_window.unwrap_or(u64::MAX);
                    limit.send_replace(window);
                }
                if let Some(taken) = said.stdin_taken {
                    limit.send_replace(window.saturating_add(taken));
                }
            }
            Message::Close(Some(frame)) if frame.reason.as_str() == GATEWAY_ENDS => {
                return Err(server_ended());
            }
            Message::Close(_) => return Err(cut_off()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// Writes all of it before anything else comes: who reads slowly slows the command.
async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: Bytes) -> Result<(), Failure> {
    to.write_all(&bytes).await?;
    Ok(to.flush().await?)
}

fn cut_off() -> Failure {
    let message = "the connection ended before the command did, which gets SIGHUP there: the \
                   server or the workspace stops, or you aren't signed in any more";
    Failure::new(Kind::Unreachable, message)
}

fn server_ended() -> Failure {
    let message = "the server ended before the command did, which gets SIGHUP there: run it again \
                   once the server is back";
    Failure::new(Kind::Unreachable, message)
}

fn lost() -> Failure {
    let message = "the connection broke before the command ended, here or between the server and \
                   the workspace; the command gets SIGHUP there once that is noticed: see what \
                   `devgate status` says of the workspace, and run it again";
    Failure::new(Kind::Unreachable, message)
}

fn silent() -> Failure {
    let message = "the connection is lost: nothing comes from the workspace any more, not even \
                   a sign of life; the command gets SIGHUP there once that is noticed";
    Failure::new(Kind::Unreachable, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream::{iter, pending};

    /// Returns how it ends where so much is said, and nothing after it; and how much of stdin
    /// may be sent then.
    async fn after(texts: &[&str], ending: &Notify, patience: Patience) -> (String, u64) {
        let texts = texts.iter().map(|text| Ok(Message::text(*text)));
        let mut stream = iter(texts).chain(pending());
        let (limit, allowed) = watch::channel(0);
        let failure = down(&mut stream, &limit, ending, patience).await;
        let failure = failure.unwrap_err().to_string();
        (failure, *allowed.borrow())
    }

    #[tokio::test]
    async fn a_silent_server_is_left_sooner_where_somebody_wants_an_end() {
        let (soon, never) = (Duration::from_millis(10), Duration::from_hours(1));
        for (usual, wanted) in [(soon, false), (never, true)] {
            let ending = Notify::new();
            if wanted {
                ending.notify_one();
            }
            let patience = Patience {
                usual,
                ending: soon,
            };
            let (failure, _) = after(&[], &ending, patience).await;
            assert!(failure.contains("lost"), "{failure}");
        }
    }

    #[tokio::test]
    async fn stdin_goes_as_far_as_the_window_and_an_older_agent_takes_any() {
        let soon = Duration::from_millis(10);
        let patience = Patience {
            usual: soon,
            ending: soon,
        };
        for (texts, allowed) in [
            (&[][..], 0),
            (&["{\"started\":{}}"], u64::MAX),
            (&["{\"started\":{},\"stdin_window\":100}"], 100),
            (
                &[
                    "{\"started\":{\"id\":\"a\"},\"stdin_window\":100}",
                    "{\"stdin_taken\":70}",
                    "{\"unknown\":1}",
                ],
                170,
            ),
        ] {
            let (_, may) = after(texts, &Notify::new(), patience).await;
            assert_eq!(may, allowed, "{texts:?}");
        }
    }
}
