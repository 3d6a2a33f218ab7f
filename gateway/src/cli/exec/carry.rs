//! What goes over the WebSocket: a byte that names a channel and data, or JSON.

use std::convert::Infallible;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, stderr, stdin, stdout};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Ended, Outcome, Request, note, terminal};
use crate::cli::client::RemoteMessages;
use crate::cli::failure::{Failure, Kind};
use crate::http::problem::Problem;

/// The channels.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

/// How much is read from stdin at once, in bytes.
const PIECE: usize = 32 * 1024;

/// Makes the kind of a signal.
type MakeKind = fn() -> SignalKind;

/// Signals that are handed on.
const SIGNALS: [(&str, MakeKind); 6] = [
    ("INT", SignalKind::interrupt),
    ("TERM", SignalKind::terminate),
    ("HUP", SignalKind::hangup),
    ("QUIT", SignalKind::quit),
    ("USR1", SignalKind::user_defined1),
    ("USR2", SignalKind::user_defined2),
];

/// What becomes of stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdin {
    /// The command reads it.
    Read,
    /// Nobody does.
    Left,
}

/// What the other side says.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    ended: Option<Ended>,
    #[serde(default)]
    error: Option<Problem>,
}

/// Runs what is asked for, to its end.
pub(super) async fn carry(
    socket: RemoteMessages,
    request: &Request,
    reads: Stdin,
    sized: bool,
) -> Result<Outcome, Failure> {
    let (mut sink, mut stream) = socket.split();
    let first = serde_json::to_string(request);
    let first = first.map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
    sink.send(Message::text(first))
        .await
        .map_err(|error| lost(&error))?;
    let signals = Signals::new()?;
    let up = up(&mut sink, reads, signals, sized);
    let down = down(&mut stream);
    tokio::select! {
        outcome = down => outcome,
        never = up => match never {},
    }
}

/// Sends what is typed and what signals come, for as long as it isn't dropped.
async fn up(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    mut reads: Stdin,
    mut signals: Signals,
    sized: bool,
) -> Infallible {
    let mut input = stdin();
    let mut piece = BytesMut::new();
    loop {
        if piece.is_empty() {
            piece.reserve(PIECE + 1);
            piece.put_u8(STDIN);
        }
        let message = tokio::select! {
            read = input.read_buf(&mut piece), if reads == Stdin::Read => {
                // An input that can't be read has no more to say.
                if read.unwrap_or(0) == 0 {
                    reads = Stdin::Left;
                }
                // A channel alone is its end.
                Message::Binary(piece.split().freeze())
            }
            said = signals.next(sized) => Message::text(said.to_string()),
        };
        if sink.send(message).await.is_err() {
            // What is read last tells why.
            std::future::pending::<()>().await;
        }
    }
}

/// Writes what comes, until it has ended.
async fn down(
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
) -> Result<Outcome, Failure> {
    let (mut out, mut err) = (stdout(), stderr());
    while let Some(message) = stream.next().await {
        match message.map_err(|error| lost(&error))? {
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
            }
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    let message = "the connection ended before the command did, which gets SIGHUP there: the \
                   server or the workspace stops, or you aren't signed in any more";
    Err(Failure::new(Kind::Unreachable, message))
}

/// Writes all of it before anything else comes: who reads slowly slows the command.
async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: Bytes) -> Result<(), Failure> {
    to.write_all(&bytes).await?;
    Ok(to.flush().await?)
}

fn lost(error: &Error) -> Failure {
    let message = format!("the connection broke ({error}), and the command gets SIGHUP there");
    Failure::new(Kind::Unreachable, message)
}

/// Signals, and changes of the terminal's size.
struct Signals {
    all: Vec<(&'static str, Signal)>,
    sizes: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let mut all = Vec::new();
        for (name, kind) in SIGNALS {
            all.push((name, signal(kind())?));
        }
        let sizes = signal(SignalKind::window_change())?;
        Ok(Self { all, sizes })
    }

    /// Returns what the next one says. Cancel-safe.
    async fn next(&mut self, sized: bool) -> Value {
        loop {
            let signals = self.all.iter_mut().map(|(name, signal)| {
                let name = *name;
                Box::pin(async move {
                    signal.recv().await;
                    name
                })
            });
            tokio::select! {
                (name, ..) = futures_util::future::select_all(signals) => {
                    return json!({ "signal": name });
                }
                _ = self.sizes.recv(), if sized => {
                    if let Some(cells) = terminal::size() {
                        return json!({ "resize": cells });
                    }
                    note("the terminal has gone");
                }
            }
        }
    }
}
