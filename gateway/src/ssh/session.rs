//! Joins a session channel to a `session` stream of the workspace's agent.
//!
//! What a client asks for before its `shell`, `exec` or `subsystem` is gathered,
//! so that the stream is opened once and everything reaches the agent in one
//! write. While the workspace starts, what the client types is kept and a PTY's
//! Ctrl-C still ends the wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::frame::{self, Frame, FrameReader, Kind};
use devgate_protocol::{Open, ReadHalf, SessionOpen, Stream, WriteHalf};
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::{Connection, Listener};
use super::incoming::{Came, Incoming};
use super::{signals, splice};
use crate::refusal::{self, Refused};
use crate::workspaces::Wake;

/// Largest sum of what a client may ask for before its program starts, and of
/// what it may type while the workspace starts, in bytes each.
const MAX_PREFACE: usize = 1024 * 1024;
const MAX_EARLY: usize = 64 * 1024;

/// How long a person waits for a workspace before being told so.
const QUIET: Duration = Duration::from_secs(1);

/// How long a client may take to say what its session is to run.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const UNUSED: &str = "nothing was asked of this session; open a new one";

/// Exit status of `ssh` itself when something other than the program failed.
const FAILED: u32 = 255;

/// Exit status of a program that Ctrl-C ended (128 + SIGINT).
const INTERRUPTED: u32 = 130;

/// What Ctrl-C sends on a PTY.
const ETX: u8 = 3;

/// The code of stderr (RFC 4254 §5.2).
const STDERR: u32 = 1;

/// Whether a client asked for a PTY: its terminal is then raw and needs a
/// carriage return, and somebody sits in front of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terminal {
    Pty,
    None,
}

/// What a client asked for, as frames for the agent.
struct Preface {
    frames: Vec<u8>,
    terminal: Terminal,
    /// Whether a person waits: a shell on a PTY.
    wake: Wake,
}

/// Why nothing is to be started.
enum Unstarted {
    /// The client closed the channel.
    Closed,
    /// The client asked for too much, or for what doesn't fit a frame.
    Refused(io::Error),
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
                closed,
            };
            bridge(connection, client, reader, writer).await;
        }
        Opening::Refused(refused) => {
            tell(tx, terminal, &refusal::explain(&refused), FAILED).await;
        }
        Opening::Interrupted => tell(tx, terminal, "interrupted", INTERRUPTED).await,
        Opening::Closed => {}
    }
}

/// Collects a client's requests up to the one that starts its program.
async fn gather(rx: &mut ChannelReadHalf) -> Result<Preface, Unstarted> {
    let mut frames = Vec::new();
    let mut terminal = Terminal::None;
    let mut wake = Wake::Background;
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let message = timeout_at(deadline, rx.wait())
            .await
            .map_err(|_| Unstarted::Refused(io::Error::other(UNUSED)))?
            .ok_or(Unstarted::Closed)?;
        let starts = matches!(
            message,
            ChannelMsg::RequestShell { .. }
                | ChannelMsg::Exec { .. }
                | ChannelMsg::RequestSubsystem { .. }
        );
        match &message {
            ChannelMsg::Close => return Err(Unstarted::Closed),
            ChannelMsg::RequestPty { .. } => {
                terminal = Terminal::Pty;
                wake = Wake::Interactive;
            }
            _ => {}
        }
        push(&mut frames, message).map_err(Unstarted::Refused)?;
        if frames.len() > MAX_PREFACE {
            let error = "the client set more environment than a session can hold; send less";
            return Err(Unstarted::Refused(io::Error::other(error)));
        }
        if starts {
            return Ok(Preface {
                frames,
                terminal,
                wake,
            });
        }
    }
}

/// How waiting for a stream ended.
enum Opening {
    Opened(Stream, Early),
    Refused(Refused),
    /// Ctrl-C on a PTY.
    Interrupted,
    Closed,
}

/// What a client sent before the stream was there.
#[derive(Default)]
struct Early {
    frames: Vec<u8>,
    eof: ClientEof,
}

async fn open(
    connection: &Arc<Connection>,
    rx: &mut ChannelReadHalf,
    tx: &ChannelWriteHalf<Msg>,
    preface: &Preface,
) -> Opening {
    let request = Open::Session(SessionOpen {
        peer: Some(connection.peer.clone()),
        ..SessionOpen::default()
    });
    let opening = connection.open(&request, preface.wake);
    let quiet = tokio::time::sleep(QUIET);
    tokio::pin!(opening, quiet);
    let mut early = Early::default();
    let mut told = preface.terminal == Terminal::None;
    loop {
        let message = tokio::select! {
            result = &mut opening => return match result {
                Ok((stream, _)) => Opening::Opened(stream, early),
                Err(refused) => Opening::Refused(refused),
            },
            () = &mut quiet, if !told => {
                told = true;
                say(tx, preface.terminal, "waiting for the workspace to start (Ctrl-C ends the wait)").await;
                continue;
            }
            message = rx.wait(), if early.frames.len() < MAX_EARLY => message,
        };
        match message {
            None | Some(ChannelMsg::Close) => return Opening::Closed,
            Some(ChannelMsg::Data { data })
                if preface.terminal == Terminal::Pty && data.contains(&ETX) =>
            {
                return Opening::Interrupted;
            }
            Some(message) => {
                if matches!(message, ChannelMsg::Eof) {
                    early.eof = ClientEof::Sent;
                }
                if let Err(error) = push(&mut early.frames, message) {
                    debug!(%error, "request dropped");
                }
            }
        }
    }
}

/// The client's side of a session.
struct Client<'a> {
    rx: ChannelReadHalf,
    tx: &'a ChannelWriteHalf<Msg>,
    eof: ClientEof,
    terminal: Terminal,
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
        closed,
    } = client;
    let eof_sent = AtomicBool::new(false);
    // Lent, not given: its end would tell the agent that the channel is closed.
    let up = upload(rx, &mut writer, eof);
    let down = download(connection, reader, tx, &eof_sent);
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
            tell(tx, terminal, &refusal::explain(&Refused::AgentLost), FAILED).await;
        }
    }
}

/// How the direction from the client ended.
enum UploadEnd {
    Closed(ClientEof),
    /// The agent takes no more; it may still have something to say.
    Broken,
}

/// Whether a client had sent EOF before its CLOSE.
#[derive(Clone, Copy, Default)]
enum ClientEof {
    Sent,
    #[default]
    NotSent,
}

async fn upload(rx: ChannelReadHalf, writer: &mut WriteHalf, mut eof: ClientEof) -> UploadEnd {
    let mut incoming = Incoming::new(rx);
    while let Some(came) = incoming.next().await {
        let result = match came {
            Came::Data(pieces) => frame::write_pieces(writer, Kind::Data, &pieces).await,
            Came::Message(ChannelMsg::Close) => break,
            Came::Message(message) => {
                if matches!(message, ChannelMsg::Eof) {
                    eof = ClientEof::Sent;
                }
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
    eof_sent: &AtomicBool,
) -> io::Result<Ended> {
    let mut frames = FrameReader::new(reader);
    let mut exited = false;
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
                connection.collect(accepted, Listener::Session).await;
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

/// Appends the frame that a channel's message becomes; none for what has no
/// meaning to an agent.
fn push(frames: &mut Vec<u8>, message: ChannelMsg) -> io::Result<()> {
    match message {
        ChannelMsg::Data { data } => raw(frames, Kind::Data, &data),
        ChannelMsg::Eof => raw(frames, Kind::Eof, &[]),
        ChannelMsg::RequestPty {
            term,
            col_width,
            row_height,
            pix_width,
            pix_height,
            terminal_modes,
            ..
        } => {
            let size = frame::Size {
                columns: col_width,
                rows: row_height,
                width: pix_width,
                height: pix_height,
            };
            let modes = terminal_modes
                .into_iter()
                .map(|(mode, argument)| (mode as u8, argument))
                .collect();
            json(frames, Kind::Pty, &frame::PtyRequest { term, size, modes })
        }
        ChannelMsg::WindowChange {
            col_width,
            row_height,
            pix_width,
            pix_height,
        } => {
            let size = frame::Size {
                columns: col_width,
                rows: row_height,
                width: pix_width,
                height: pix_height,
            };
            json(frames, Kind::WindowChange, &size)
        }
        ChannelMsg::SetEnv {
            variable_name: name,
            variable_value: value,
            ..
        } => json(frames, Kind::Environment, &frame::Variable { name, value }),
        ChannelMsg::RequestShell { .. } => raw(frames, Kind::Shell, &[]),
        ChannelMsg::Exec { command, .. } => raw(frames, Kind::Exec, &command),
        ChannelMsg::RequestSubsystem { name, .. } => raw(frames, Kind::Subsystem, name.as_bytes()),
        ChannelMsg::Signal { signal } => {
            raw(frames, Kind::Signal, signals::name(&signal).as_bytes())
        }
        ChannelMsg::AgentForward { .. } => raw(frames, Kind::AuthAgent, &[]),
        ChannelMsg::RequestX11 {
            single_connection,
            x11_authentication_protocol: protocol,
            x11_authentication_cookie: cookie,
            x11_screen_number: screen,
            ..
        } => json(
            frames,
            Kind::X11,
            &frame::X11Request {
                single_connection,
                protocol,
                cookie,
                screen,
            },
        ),
        _ => Ok(()),
    }
}

fn raw(frames: &mut Vec<u8>, kind: Kind, payload: &[u8]) -> io::Result<()> {
    frames.extend_from_slice(&frame::header(kind, payload.len())?);
    frames.extend_from_slice(payload);
    Ok(())
}

fn json(frames: &mut Vec<u8>, kind: Kind, payload: &impl Serialize) -> io::Result<()> {
    raw(frames, kind, &serde_json::to_vec(payload)?)
}
