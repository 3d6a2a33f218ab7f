//! One terminal: a program on a PTY, and the task that owns both.

mod attachment;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use devgate_protocol::SessionOpen;
use devgate_protocol::frame::{PtyRequest, Size};
use devgate_protocol::pipe::{Aftermath, Descriptor, SMALL_READ, Sort};
use parking_lot::{Mutex, MutexGuard};
use rustix::process::Signal;
use rustix::termios::tcgetpgrp;
use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::emulator::Cells;
use super::screen::Screen;
use crate::agent::Agent;
use crate::process::{Child, End, Environment, Exit, Line, Stdio, shell, terminal};

pub(crate) use attachment::Attachment;

/// Messages that wait for the program to read. Who sends more waits.
const MAX_INPUT: usize = 8;

/// How long a terminal stays after its program's end, for its last output.
const KEEP_EXITED: Duration = Duration::from_hours(1);

/// How long after the program's end its terminal may be silent, and may go on at all:
/// jobs in the background are hung up then.
const SILENCE: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(2);

/// How long a program has to end after it was hung up.
const GRACE: Duration = Duration::from_secs(5);

/// Added to the number of a signal that ended a program, as shells do.
const SIGNALLED: u32 = 128;

/// One terminal, as its clients and its registry see it.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) id: String,
    pub(crate) command: Option<String>,
    pub(crate) created: OffsetDateTime,
    state: Mutex<State>,
    /// Something changed that the owner must look at.
    changed: Notify,
    input: mpsc::Sender<Bytes>,
    ended: CancellationToken,
}

#[derive(Debug)]
struct State {
    screen: Screen,
    /// The agent's side of the PTY, until its program has ended.
    master: Option<Descriptor>,
    /// Since when nobody looks.
    unseen: Option<Moment>,
}

/// A moment, by the clock that waits and by the one that people read.
#[derive(Clone, Copy, Debug)]
struct Moment {
    instant: Instant,
    time: OffsetDateTime,
}

impl Moment {
    fn now() -> Self {
        Self {
            instant: Instant::now(),
            time: OffsetDateTime::now_utc(),
        }
    }
}

/// What a terminal is at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) title: String,
    pub(crate) size: Cells,
    pub(crate) attached: usize,
    /// Name of the program in the foreground.
    pub(crate) process: Option<String>,
    pub(crate) exit_status: Option<u32>,
    pub(crate) ends_at: Option<OffsetDateTime>,
}

/// The part of a terminal that its task owns.
pub(super) struct Owner {
    terminal: Arc<Terminal>,
    master: Descriptor,
    child: Child,
    end: End,
    input: mpsc::Receiver<Bytes>,
    keep: Duration,
}

/// Starts a program on a new terminal.
pub(super) async fn start(
    agent: &Agent,
    id: String,
    size: Cells,
    command: Option<String>,
    ended: CancellationToken,
) -> io::Result<(Arc<Terminal>, Owner)> {
    let pty = terminal::open(&PtyRequest {
        term: terminal::TERM.to_owned(),
        size: wire_size(size),
        // UTF-8 (RFC 8160), for the erasing of characters in the kernel's line editor.
        modes: vec![(42, 1)],
    })?;
    let mut environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
    environment.put("TERM", terminal::TERM);
    environment.put("COLORTERM", "truecolor");
    let line = match &command {
        Some(command) => Line::Command(Bytes::from(command.clone())),
        None => Line::Login,
    };
    let program = shell::prepare(agent, &line, &environment, Stdio::Terminal(pty.slave))?;
    let master = Descriptor::new(pty.master, Sort::Terminal)?;
    let (child, end) = agent.children().spawn(program).await?;
    let (sender, input) = mpsc::channel(MAX_INPUT);
    let config = &agent.config().terminals;
    let terminal = Arc::new(Terminal {
        id,
        command,
        created: OffsetDateTime::now_utc(),
        state: Mutex::new(State {
            screen: Screen::new(size, config.scrollback),
            master: Some(master.clone()),
            unseen: Some(Moment::now()),
        }),
        changed: Notify::new(),
        input: sender,
        ended,
    });
    let owner = Owner {
        terminal: Arc::clone(&terminal),
        master,
        child,
        end,
        input,
        keep: config.keep,
    };
    Ok((terminal, owner))
}

impl Terminal {
    /// Returns what the terminal is now; `keep` is how long it stays without clients.
    pub(crate) fn snapshot(&self, keep: Duration) -> Snapshot {
        let state = self.lock();
        let group = state.master.as_ref().and_then(|pty| tcgetpgrp(pty).ok());
        Snapshot {
            title: state.screen.title().to_owned(),
            size: state.screen.size(),
            attached: state.screen.clients(),
            process: group.and_then(crate::processes::name),
            exit_status: state.screen.exit(),
            ends_at: state.unseen.map(|since| since.time + state.keep(keep)),
        }
    }

    /// Lets a client look; it is forgotten when what is returned is dropped.
    pub(crate) fn attach(self: &Arc<Self>, size: Option<Cells>) -> Attachment {
        let wake = Arc::new(Notify::new());
        let mut state = self.lock();
        let (id, resized) = state.screen.attach(size, Arc::clone(&wake));
        state.unseen = None;
        state.resized(resized);
        drop(state);
        self.changed.notify_one();
        Attachment::new(Arc::clone(self), id, wake)
    }

    /// Ends the terminal: its program is hung up.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn keep(&self, keep: Duration) -> Duration {
        match self.screen.exit() {
            Some(_) => keep.min(KEEP_EXITED),
            None => keep,
        }
    }

    /// Tells the program that its terminal has another size.
    fn resized(&self, size: Option<Cells>) {
        if let (Some(master), Some(size)) = (&self.master, size)
            && let Err(error) = terminal::resize(master, wire_size(size))
        {
            debug!(%error, "a terminal can't be resized");
        }
    }
}

impl Owner {
    /// Serves the terminal until it is ended, by somebody or by time.
    pub(super) async fn run(mut self) {
        match self.serve().await {
            Some(exit) => self.show_end(exit).await,
            None => self.hang_up().await,
        }
    }

    /// Keeps the screen of a program that has ended, for a while.
    async fn show_end(self, exit: Exit) {
        let status = match exit {
            Exit::Status(status) => status,
            Exit::Signal { signal, .. } => {
                SIGNALLED.saturating_add(u32::try_from(signal).unwrap_or_default())
            }
        };
        let Self { terminal, keep, .. } = self;
        terminal.exited(status);
        while !terminal.ended.is_cancelled() {
            tokio::select! {
                () = terminal.ended.cancelled() => {}
                () = terminal.changed.notified() => {}
                () = terminal.overdue(keep) => terminal.end(),
            }
        }
    }

    /// Ends the program.
    async fn hang_up(mut self) {
        self.terminal.end();
        self.terminal.lock().master = None;
        self.child.signal_group(Signal::HUP);
        self.child.signal_group(Signal::CONT);
        // The kernel hangs up the foreground; the shell tells its other jobs.
        drop(self.master);
        if timeout(GRACE, self.end.wait()).await.is_err() {
            self.child.signal_group(Signal::KILL);
        }
    }

    /// Carries bytes until the program has ended and its output was taken; `None`
    /// where the terminal ends before.
    async fn serve(&mut self) -> Option<Exit> {
        let mut buffer = BytesMut::new();
        let mut typed = Bytes::new();
        let mut exit = None;
        let mut aftermath = Aftermath::within(SILENCE, LIMIT);
        let mut readable = true;
        loop {
            // What is left after the end is the emulator's, whoever lags.
            let wanted = readable && (exit.is_some() || self.terminal.lock().screen.wants_output());
            tokio::select! {
                () = self.terminal.ended.cancelled() => return None,
                () = self.terminal.overdue(self.keep) => return None,
                () = self.terminal.changed.notified() => {}
                ended = self.end.wait(), if exit.is_none() => {
                    exit = Some(ended);
                    aftermath = Aftermath::within(SILENCE, LIMIT);
                }
                read = self.master.read(&mut buffer, SMALL_READ), if wanted => {
                    readable = matches!(read, Ok(1..));
                    self.output(&mut buffer, &mut typed);
                    aftermath.heard();
                }
                written = self.master.write(&typed), if !typed.is_empty() => match written {
                    Ok(written) => typed.advance(written),
                    Err(_) => typed.clear(),
                },
                Some(bytes) = self.input.recv(), if typed.is_empty() => typed = bytes,
                () = aftermath.over(), if exit.is_some() && readable => return exit,
            }
            if exit.is_some() && !readable {
                return exit;
            }
        }
    }

    /// Hands on what was read, and the answers to what it asks.
    fn output(&self, buffer: &mut BytesMut, typed: &mut Bytes) {
        let answers = self.terminal.lock().screen.output(buffer);
        if !answers.is_empty() && typed.len() <= SMALL_READ {
            *typed = [typed, &answers[..]].concat().into();
        }
        if buffer.len() < SMALL_READ / 2 {
            *buffer = BytesMut::new();
        } else {
            buffer.clear();
        }
    }
}

impl Terminal {
    /// Takes note of the program's end; its terminal is hung up.
    fn exited(&self, status: u32) {
        info!(terminal = self.id, status, "a terminal's program ended");
        let mut state = self.lock();
        state.master = None;
        state.screen.exited(status);
        if state.screen.clients() == 0 {
            state.unseen = Some(Moment::now());
        }
    }

    /// Waits until nobody has looked for too long. Cancel-safe; whoever waits begins
    /// anew when something changed.
    async fn overdue(&self, keep: Duration) {
        let deadline = {
            let state = self.lock();
            state.unseen.map(|since| since.instant + state.keep(keep))
        };
        match deadline {
            Some(deadline) => {
                sleep_until(deadline).await;
                info!(
                    terminal = self.id,
                    "a terminal that nobody looks at was ended"
                );
            }
            None => std::future::pending().await,
        }
    }
}

fn wire_size(size: Cells) -> Size {
    Size {
        columns: size.columns().into(),
        rows: size.rows().into(),
        width: 0,
        height: 0,
    }
}
