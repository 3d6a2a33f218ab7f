//! Joins a session channel to a `session` stream of the workspace's agent.
//!
//! What a client asks for before its `shell`, `exec` or `subsystem` is gathered,
//! so that the stream is opened once and everything reaches the agent in one
//! write. While the workspace starts, what the client types is kept and a PTY's
//! Ctrl-C still ends the wait.

mod asked;
mod opening;
mod requests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use devgate_protocol::frame::{self, Frame, FrameReader, Kind};
use devgate_protocol::{ReadHalf, WriteHalf};
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::connection::{Connection, Listener};
use super::incoming::{Came, Incoming};
use super::splice;
use crate::refusal::Refused;
use asked::Asked;
use opening::{Opening, Unstarted, gather, open};
use requests::push;

/// Exit status of `ssh` itself when something other than the program failed.
const FAILED: u32 = 255;

/// Exit status of a program that Ctrl-C ended (128 + SIGINT).
const INTERRUPTED: u32 = 130;

/// The code of stderr (RFC 4254 §5.2).
const STDERR: u32 = 1;

/// Whether a client asked for a PTY: its terminal is then raw and needs a
/// carriage return, and somebody sits in front of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terminal {
    Pty,
    None,
}

/// Whether a client had sent EOF before its CLOSE.
#[derive(Clone, Copy, Default)]
enum ClientEof {
    Sent,
    #[default]
    NotSent,
}

/// Serves one session channel to its end, and closes it.
///
/// `closed` is cancelled when the client closed the channel or its connection ended.
pub(super) async fn run(
    connection: &Arc<Connection>,
    channel: Channel<Msg>,
    closed: &CancellationToken,
) {
    let (rx, tx) = channel.split();
    serve(connection, rx, &tx, closed).await;
    // It fails only where the connection has ended.
    let _ = tx.close().await;
}

async fn serve(
    connection: &Arc<Connection>,
    mut rx: ChannelReadHalf,
    tx: &ChannelWriteHalf<Msg>,
    closed: &CancellationToken,
) {
    let preface = match gather(&mut rx).await {
        Ok(preface) => preface,
        Err(Unstarted::Closed) => return,
        Err(Unstarted::Refused(error)) => {
            return tell(tx, Terminal::None, &error.to_string(), FAILED).await;
        }
    };
    let terminal = preface.terminal;
    let opening = open(connection, &mut rx, tx, &preface);
    let Some(opening) = closed.run_until_cancelled(opening).await else {
        return;
    };
    match opening {
        Opening::Opened(stream, early) => {
            let (reader, mut writer) = stream.split();
            let mut first = preface.frames;
            first.extend_from_slice(&early.frames);
            tokio::select! {
                result = splice::write(&mut writer, &first) => if let Err(error) = result {
                    debug!(%error, "agent took no requests");
                },
                () = closed.cancelled() => return,
            }
            drop(first);
            let client = Client {
                rx,
                tx,
                eof: early.eof,
                terminal,
                asked: preface.asked,
                closed,
            };
            bridge(connection, client, reader, writer).await;
        }
        Opening::Refused(refused) => {
            tell(tx, terminal, &connection.explain(&refused), FAILED).await;
        }
        Opening::Interrupted => tell(tx, terminal, "interrupted", INTERRUPTED).await,
        Opening::Closed => {}
    }
}

/// The client's side of a session.
struct Client<'a> {
    rx: ChannelReadHalf,
    tx: &'a ChannelWriteHalf<Msg>,
    eof: ClientEof,
    terminal: Terminal,
    asked: Asked,
    closed: &'a CancellationToken,
}

/// Carries frames both ways until the agent ends the stream or the client
/// closes the channel.
///
/// A client that has sent EOF and got ours closes at once, and still wants to know
/// how the program ends; any other CLOSE ends the session.
async fn bridge(
    connection: &Arc<Connection>,
    client: Client<'_>,
    reader: ReadHalf,
    mut writer: WriteHalf,
) {
    let Client {
        rx,
        tx,
        eof,
        terminal,
        asked,
        closed,
    } = client;
    let eof_sent = AtomicBool::new(false);
    // Lent, not given: its end would tell the agent that the channel is closed.
    let up = upload(rx, &mut writer, (eof, &asked));
    let down = download(connection, reader, tx, (&eof_sent, &asked));
    let (drained, gone) = (splice::drained(closed), connection.token());
    tokio::pin!(up, down, drained);
    let (mut uploading, mut awaited) = (true, false);
    let ended = loop {
        tokio::select! {
            end = &mut up, if uploading => {
                uploading = false;
                match end {
                    UploadEnd::Broken => {}
                    UploadEnd::Closed(ClientEof::Sent) if eof_sent.load(Ordering::Relaxed) => {
                        awaited = true;
                    }
                    UploadEnd::Closed(_) => return,
                }
            }
            ended = &mut down => break ended,
            () = closed.cancelled(), if !uploading && !awaited => return,
            () = &mut drained, if !awaited => return,
            () = gone.cancelled(), if awaited => return,
        }
    };
    match ended {
        Ok(Ended::Exited) if eof_sent.load(Ordering::Relaxed) => {}
        // It fails only where the connection has ended.
        Ok(Ended::Exited) => drop(tx.eof().await),
        Ok(Ended::Failed(detail)) => tell(tx, terminal, &detail, FAILED).await,
        Err(error) if closed.is_cancelled() => debug!(%error, "session stream broke"),
        Err(error) => {
            debug!(%error, "session stream broke");
            tell(
                tx,
                terminal,
                &connection.explain(&Refused::AgentLost),
                FAILED,
            )
            .await;
        }
    }
}

/// How the direction from the client ended.
enum UploadEnd {
    Closed(ClientEof),
    /// The agent takes no more; it may still have something to say.
    Broken,
}

async fn upload(
    rx: ChannelReadHalf,
    writer: &mut WriteHalf,
    (mut eof, asked): (ClientEof, &Asked),
) -> UploadEnd {
    let mut incoming = Incoming::new(rx);
    while let Some(came) = incoming.next().await {
        let result = match came {
            Came::Data(pieces) => frame::write_pieces(writer, Kind::Data, &pieces).await,
            Came::Message(ChannelMsg::Close) => break,
            Came::Message(message) => {
                if matches!(message, ChannelMsg::Eof) {
                    eof = ClientEof::Sent;
                }
                asked.note(&message);
                let mut frames = Vec::new();
                match push(&mut frames, message) {
                    Ok(()) => writer.write_all(&frames).await,
                    Err(error) => Err(error),
                }
            }
        };
        // TLS keeps what it hasn't sent.
        let result = match result {
            Ok(()) => writer.flush().await,
            error => error,
        };
        if let Err(error) = result {
            debug!(%error, "session stream takes no more");
            return UploadEnd::Broken;
        }
    }
    UploadEnd::Closed(eof)
}

/// How a session that the agent served ended.
enum Ended {
    /// The program ended, and the client knows how.
    Exited,
    /// The program couldn't be started.
    Failed(String),
}

/// # Errors
/// Where the stream broke, or ended before it said how the program had.
async fn download(
    connection: &Arc<Connection>,
    reader: ReadHalf,
    tx: &ChannelWriteHalf<Msg>,
    (eof_sent, asked): (&AtomicBool, &Asked),
) -> io::Result<Ended> {
    let mut frames = FrameReader::new(reader);
    let mut exited = false;
    let mut warned = false;
    loop {
        let frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            // What mattered has come.
            Err(_) if exited => break,
            Err(error) => return Err(error),
        };
        match frame {
            // An empty one is the agent's probe; nothing is sent for it.
            Frame::Data(data) => splice::send(tx, data).await,
            Frame::Stderr(data) => tx.extended_data_bytes(STDERR, data).await,
            Frame::Eof => {
                eof_sent.store(true, Ordering::Relaxed);
                tx.eof().await
            }
            Frame::ExitStatus(status) => {
                exited = true;
                tx.exit_status(status).await
            }
            Frame::ExitSignal(signal) => {
                exited = true;
                connection.exit_signal(tx.id(), signal).await
            }
            Frame::Failed(refusal) => return Ok(Ended::Failed(refusal.detail)),
            Frame::Accepted(accepted) => {
                if asked.takes(&accepted.originator) {
                    connection.collect(accepted, Listener::Session).await;
                } else if !warned {
                    // Once: the workspace could fill the log with it.
                    warned = true;
                    let originator = accepted.originator;
                    warn!(
                        ?originator,
                        "refused a connection that the client didn't ask for"
                    );
                }
                Ok(())
            }
            _ => Ok(()),
        }
        .map_err(io::Error::other)?;
    }
    if exited {
        Ok(Ended::Exited)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Tells the person on stderr why there is no program.
async fn tell(tx: &ChannelWriteHalf<Msg>, terminal: Terminal, text: &str, status: u32) {
    say(tx, terminal, text).await;
    // Both fail only where the connection has ended.
    let _ = tx.exit_status(status).await;
    let _ = tx.eof().await;
}

async fn say(tx: &ChannelWriteHalf<Msg>, terminal: Terminal, text: &str) {
    let end = if terminal == Terminal::Pty {
        "\r\n"
    } else {
        "\n"
    };
    let line = Bytes::from(format!("devgate: {text}{end}"));
    // It fails only where the connection has ended.
    let _ = tx.extended_data_bytes(STDERR, line).await;
}
