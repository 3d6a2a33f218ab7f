//! From the program to the client.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::ReadHalf;
use devgate_protocol::frame::{ExitSignal, Frame, FrameReader};
use devgate_protocol::pipe::{Aftermath, Output, Sort};
use russh::ChannelWriteHalf;
use russh::server::Msg;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;

use super::asked::Asked;
use super::parting::Parting;
use super::{STDERR, Terminal, say};
use crate::ssh::connection::{Connection, Listener};
use crate::ssh::pace::Pace;

/// How long a client that throws away stdout may return no window for what comes to stderr:
/// one that has thrown away a full window never does.
const LAST_WINDOW: Duration = Duration::from_secs(1);

/// How a session that the agent served ended.
pub(super) enum Ended {
    /// The program ended, and the client knows how.
    Exited,
    /// The program couldn't be started.
    Failed(String),
}

/// How a program ended.
enum Exit {
    Status(u32),
    Signal(ExitSignal),
}

/// What goes from one program to its client: frames of the agent, and what the program
/// writes to a pipe of ours.
pub(super) struct Download<'a> {
    connection: &'a Arc<Connection>,
    tx: &'a ChannelWriteHalf<Msg>,
    terminal: Terminal,
    eof_sent: &'a AtomicBool,
    asked: &'a Asked,
    parting: &'a Parting<'a>,
    stdout: Output,
    pace: Pace<'a>,
    /// Notified when the client throws away what it gets.
    unread: &'a Notify,
    /// Whether it does.
    is_unread: bool,
    /// Whether the agent has said that it has no more output.
    eof_came: bool,
    exit: Option<Exit>,
    aftermath: Option<Aftermath>,
    warned: bool,
}

impl<'a> Download<'a> {
    /// `stdout` is what doesn't come in frames.
    pub(super) fn new(
        connection: &'a Arc<Connection>,
        (tx, terminal): (&'a ChannelWriteHalf<Msg>, Terminal),
        eof_sent: &'a AtomicBool,
        (asked, parting): (&'a Asked, &'a Parting<'a>),
        (stdout, unread): (Option<Output>, &'a Notify),
    ) -> Self {
        Self {
            connection,
            tx,
            terminal,
            eof_sent,
            asked,
            parting,
            pace: Pace::new(connection, tx),
            stdout: stdout.unwrap_or_else(|| Output::new(None)),
            unread,
            is_unread: false,
            eof_came: false,
            exit: None,
            aftermath: None,
            warned: false,
        }
    }

    /// Carries everything up to and with the program's exit, but for what it writes once
    /// the client throws it away.
    ///
    /// # Errors
    /// Where the stream broke, or ended before it said how the program had.
    pub(super) async fn run(mut self, reader: ReadHalf) -> io::Result<Ended> {
        let mut frames = FrameReader::new(reader);
        let mut ended = false;
        while !ended || self.stdout.is_open() {
            tokio::select! {
                frame = frames.next(), if !ended => match frame {
                    Ok(Some(Frame::Failed(refusal))) => return Ok(Ended::Failed(refusal.detail)),
                    Ok(Some(frame)) => self.act(frame).await?,
                    // What mattered has come.
                    Ok(None) | Err(_) if self.aftermath.is_some() => {
                        ended = true;
                        self.eof_came = true;
                    }
                    Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(error) => return Err(error),
                },
                read = self.stdout.fill() => {
                    if let Some(data) = self.stdout.take(&read) {
                        self.send(data).await?;
                    }
                    self.aftermath.iter_mut().for_each(Aftermath::heard);
                }
                () = self.unread.notified(), if self.may_discard() => self.discard(),
                () = over(self.aftermath.as_ref()), if self.stdout.is_open() => self.give_up(),
            }
            self.tell().await?;
        }
        Ok(Ended::Exited)
    }

    async fn act(&mut self, frame: Frame) -> io::Result<()> {
        match frame {
            // An empty one is the agent's probe; nothing is sent for it.
            Frame::Data(data) => self.send(data).await?,
            Frame::Stderr(data) => self.complain(data).await?,
            Frame::Eof => self.eof_came = true,
            Frame::ExitStatus(status) => self.exited(Exit::Status(status)),
            Frame::ExitSignal(signal) => self.exited(Exit::Signal(signal)),
            Frame::Accepted(accepted) => {
                if self.asked.takes(&accepted.originator) {
                    self.connection.collect(accepted, Listener::Session).await;
                } else if !self.warned {
                    // Once: the workspace could fill the log with it.
                    self.warned = true;
                    let originator = accepted.originator;
                    warn!(
                        ?originator,
                        "refused a connection that the client didn't ask for"
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends what the program writes to stdout. A client that throws it away may have no
    /// window any more.
    async fn send(&mut self, data: Bytes) -> io::Result<()> {
        if self.is_unread {
            return Ok(());
        }
        tokio::select! {
            sent = self.pace.send(data) => return sent.map_err(io::Error::other),
            () = self.unread.notified(), if self.may_discard() => {}
        }
        self.discard();
        Ok(())
    }

    /// Sends what the program writes to stderr. Where stdout is thrown away there may never
    /// be a window for it.
    async fn complain(&mut self, data: Bytes) -> io::Result<()> {
        let mut sending = pin!(self.tx.extended_data_bytes(STDERR, data));
        loop {
            tokio::select! {
                sent = &mut sending => return sent.map_err(io::Error::other),
                () = self.unread.notified(), if self.may_discard() => self.discard(),
                () = sleep(LAST_WINDOW), if self.is_unread => return Ok(()),
            }
        }
    }

    /// Has what the program writes to stdout be thrown away from now on; where it has a
    /// pipe of ours it learns of that.
    fn discard(&mut self) {
        self.is_unread = true;
        self.stdout.close();
    }

    /// Whether it matters that the client throws away what it gets: a program that has a
    /// terminal waits until it is hung up.
    fn may_discard(&self) -> bool {
        self.terminal == Terminal::None && !self.is_unread
    }

    fn exited(&mut self, exit: Exit) {
        self.exit = Some(exit);
        self.stdout.owe();
        self.aftermath = Some(Aftermath::begin(Sort::Pipe));
    }

    /// Stops reading what only a child of the program holds open, once what the program
    /// itself wrote is delivered.
    fn give_up(&mut self) {
        if let Some(aftermath) = &mut self.aftermath
            && !aftermath.goes_on(&[&self.stdout])
        {
            self.stdout.close();
        }
    }

    /// Tells the client that the output, and how the program, has ended: once, and only
    /// when nothing more can come before.
    async fn tell(&mut self) -> io::Result<()> {
        if !self.eof_came || self.stdout.is_open() {
            return Ok(());
        }
        if !self.eof_sent.load(Ordering::Relaxed) {
            if self.parting.is_ordered() && !self.part().await {
                return Ok(());
            }
            self.eof_sent.store(true, Ordering::Relaxed);
            self.tx.eof().await.map_err(io::Error::other)?;
        }
        let told = match self.exit.take() {
            Some(Exit::Status(status)) => self.tx.exit_status(status).await,
            Some(Exit::Signal(signal)) => self.connection.exit_signal(self.tx.id(), signal).await,
            None => Ok(()),
        };
        told.map_err(io::Error::other)
    }

    /// Tells the client, whose workspace was ended, why its program has; returns whether
    /// all is said, as nothing is after EOF.
    async fn part(&self) -> bool {
        match &self.exit {
            // It comes, or the stream's end.
            None => return false,
            // It came to its own end.
            Some(Exit::Status(0)) if self.terminal == Terminal::None => {}
            Some(_) => {
                if let Some(why) = self.parting.why().await {
                    let why = self.connection.explain(&why.into());
                    say(self.tx, self.terminal, &why).await;
                }
            }
        }
        true
    }
}

async fn over(aftermath: Option<&Aftermath>) {
    match aftermath {
        Some(aftermath) => aftermath.over().await,
        None => std::future::pending().await,
    }
}
