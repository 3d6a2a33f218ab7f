//! Joins a session channel to a `session` stream of the workspace's agent.
//!
//! What a client asks for before its `shell`, `exec` or `subsystem` is gathered,
//! so that the stream is opened once and everything reaches the agent in one
//! write. While the workspace starts, what the client types is kept and a PTY's
//! Ctrl-C still ends the wait.

pub(super) mod answers;
mod aside;
mod asked;
mod download;
pub(super) mod granted;
mod opening;
mod parting;
mod pipes;
mod requests;
mod upload;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bytes::Bytes;
use devgate_protocol::pipe::Feed;
use devgate_protocol::{ReadHalf, WriteHalf};
use russh::server::Msg;
use russh::{Channel, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::Connection;
use super::incoming::Incoming;
use super::splice::{self, DRAIN_TIMEOUT};
use crate::activity::{Notices, Visit};
use aside::Aside;
use asked::Asked;
use download::{Download, Ended};
use opening::{Opening, Unstarted, gather, open};
use parting::Parting;
use pipes::Ends;
use upload::{ClientEof, UploadEnd, upload};

/// Exit status of `ssh` itself when something other than the program failed.
const FAILED: u32 = 255;

/// Exit status of a program that Ctrl-C ended (128 + SIGINT).
const INTERRUPTED: u32 = 130;

/// The code of stderr (RFC 4254 §5.2).
const STDERR: u32 = 1;

const TOO_MUCH_ENVIRONMENT: &str =
    "the client set more environment than a session can hold, 1 MiB and 1024 variables";

/// Whether a client asked for a PTY: its terminal is then raw and needs a
/// carriage return, and somebody sits in front of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terminal {
    Pty,
    None,
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
    let mut preface = match gather(connection, &mut rx).await {
        Ok(preface) => preface,
        Err(Unstarted::Closed) => return,
        Err(Unstarted::Refused(error)) => {
            return tell(tx, Terminal::None, &error.to_string(), FAILED).await;
        }
    };
    let terminal = preface.terminal;
    if let left_out @ 1.. = preface.asked.left_out() {
        // Few clients ask how it went for each.
        let text = format!("{TOO_MUCH_ENVIRONMENT}: {left_out} variables were left out");
        say(tx, terminal, &text).await;
    }
    let opening = open(connection, &mut rx, tx, &mut preface);
    let Some(opening) = closed.run_until_cancelled(opening).await else {
        return;
    };
    match opening {
        Opening::Opened(opened) => {
            let opened = *opened;
            // Whoever starts a program is there.
            opened.visit.used();
            let (reader, mut writer) = opened.stream.split();
            tokio::select! {
                result = splice::write(&mut writer, &preface.frames) => if let Err(error) = result {
                    debug!(%error, "agent took no requests");
                },
                () = closed.cancelled() => return,
            }
            drop(preface.frames);
            let client = Client {
                rx: Incoming::after(opened.early, rx),
                tx,
                terminal,
                asked: preface.asked,
                number: opened.number,
                visit: opened.visit,
                closed,
            };
            bridge(connection, client, (reader, writer), opened.pipes).await;
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
    rx: Incoming,
    tx: &'a ChannelWriteHalf<Msg>,
    terminal: Terminal,
    asked: Asked,
    /// The session's number, where there is a way past its stream.
    number: Option<u64>,
    visit: Visit,
    closed: &'a CancellationToken,
}

/// Carries frames, and what goes past them, both ways until the agent ends the stream
/// or the client closes the channel.
///
/// A client that has sent EOF and got ours closes at once, and still wants to know
/// how the program ends; any other CLOSE ends the session.
async fn bridge(
    connection: &Arc<Connection>,
    client: Client<'_>,
    (reader, mut writer): (ReadHalf, WriteHalf),
    pipes: Option<Ends>,
) {
    let Client {
        rx,
        tx,
        terminal,
        asked,
        number,
        visit,
        closed,
    } = client;
    let (mut feed, stdout) = match pipes {
        Some(ends) => (Some(ends.feed), Some(ends.output)),
        None => (None, None),
    };
    let (eof_sent, unread) = (AtomicBool::new(false), Notify::new());
    let notified = notify(visit.notices(), (tx, terminal), &eof_sent);
    // Lent, not given: its end would tell the agent that the channel is closed.
    let ways = (feed.take(), Aside::to(connection, number, &unread));
    let up = upload(rx, &mut writer, (&asked, &visit), ways);
    let parting = Parting::of(connection);
    let (to, heeded) = ((tx, terminal), (&asked, &parting));
    let from = (stdout, &unread);
    let down = Download::new(connection, to, &eof_sent, heeded, from).run(reader);
    let (drained, gone) = (splice::drained(closed), connection.token());
    let watching = parting.watch();
    tokio::pin!(up, down, notified, drained, watching);
    let (mut uploading, mut awaited) = (true, false);
    let ended = loop {
        tokio::select! {
            end = &mut up, if uploading => {
                uploading = false;
                match end {
                    UploadEnd::Broken => {}
                    UploadEnd::Closed(ClientEof::Sent, rest) if eof_sent.load(Ordering::Relaxed) => {
                        awaited = true;
                        feed = rest;
                    }
                    UploadEnd::Closed(_, rest) => return deliver(rest).await,
                }
            }
            ended = &mut down => break ended,
            // What the client sent before its CLOSE is still the program's.
            flowed = upload::flow(feed.as_mut()) => if flowed.is_err() {
                feed = None;
            },
            never = &mut notified => match never {},
            never = &mut watching => match never {},
            () = closed.cancelled(), if !uploading && !awaited => return,
            () = &mut drained, if !awaited => return,
            () = gone.cancelled(), if awaited => return,
        }
    };
    let why = match ended {
        Ok(Ended::Exited) => return,
        Ok(Ended::Failed(detail)) => detail,
        Err(error) => {
            debug!(%error, "session stream broke");
            if closed.is_cancelled() || is_the_clients(&error) {
                return;
            }
            connection.explain(&parting.lost().await)
        }
    };
    if eof_sent.load(Ordering::Relaxed) {
        // No data may follow EOF (RFC 4254 §5.3). It fails only where the connection has ended.
        let _ = tx.exit_status(FAILED).await;
    } else {
        tell(tx, terminal, &why, FAILED).await;
    }
}

/// Whether it is the client's connection that has ended, and no stream.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(cause) if cause.is::<russh::Error>())
}

/// Passes on what people on terminals are told, until EOF was sent: also where a client
/// without window has let a line wait until then.
async fn notify(
    mut notices: Notices,
    (tx, terminal): (&ChannelWriteHalf<Msg>, Terminal),
    eof_sent: &AtomicBool,
) -> Infallible {
    if terminal == Terminal::None {
        return pending().await;
    }
    loop {
        let notice = notices.next().await;
        // In a line of its own, whatever the program has just written.
        let line = Bytes::from(format!("\r\ndevgate: {notice}\r\n"));
        let mut saying = pin!(tx.extended_data_bytes(STDERR, line));
        poll_fn(|context| {
            if eof_sent.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            // It fails only where the connection has ended.
            saying.as_mut().poll(context).map(drop)
        })
        .await;
    }
}

/// Gives a program what a client sent before its CLOSE.
async fn deliver(rest: Option<Feed>) {
    if let Some(mut rest) = rest
        && timeout(DRAIN_TIMEOUT, rest.drain()).await.is_err()
    {
        debug!("a program doesn't read what was sent before the channel's end");
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
