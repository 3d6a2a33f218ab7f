//! One process, as whoever asks for it sees it.

use bytes::Bytes;
use devgate_protocol::frame::Size;
use devgate_protocol::pipe::Descriptor;
use parking_lot::{Mutex, MutexGuard};
use rustix::process::Signal;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::RunError;
use super::request::What;
use super::ring::Ring;
use super::signals::{by_name, name};
use super::stdin::Stdin;
use crate::process::{Child, Exit, terminal};

/// One of a process's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];
}

/// What a process reads next.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// These bytes.
    Data(Bytes),
    /// The end.
    End,
}

/// Whom a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The process group; on a terminal the one in the foreground.
    Group,
    /// The process alone.
    Process,
}

/// How a process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Its client went.
    HangUp,
    /// Somebody ends it.
    Terminate,
}

impl Asked {
    pub(super) fn signal(self) -> Signal {
        match self {
            Self::HangUp => Signal::HUP,
            Self::Terminate => Signal::TERM,
        }
    }
}

/// One process. Its task owns its descriptors ([`super::owner`]).
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) pid: u32,
    what: What,
    label: Option<String>,
    cwd: String,
    started: OffsetDateTime,
    pub(super) child: Child,
    state: Mutex<State>,
    /// Something was written, or it ended.
    changed: watch::Sender<()>,
    /// A holder has read: there may be room again.
    pub(super) drained: Notify,
    /// It is asked to end.
    pub(super) asked: Notify,
    forgotten: CancellationToken,
}

/// What a process is made of, for [`Run::new`].
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) id: String,
    pub(super) what: What,
    pub(super) label: Option<String>,
    pub(super) cwd: String,
    pub(super) child: Child,
    pub(super) outputs: [Ring; 2],
    pub(super) terminal: Option<Descriptor>,
    pub(super) stdin: Option<mpsc::Sender<Input>>,
}

#[derive(Debug)]
struct State {
    outputs: [Ring; 2],
    /// The agent's side of its terminal, until it has ended.
    terminal: Option<Descriptor>,
    stdin: Stdin,
    timed_out: bool,
    /// Nobody may hold it any more: it is to end.
    released: bool,
    asked: Option<Asked>,
    end: Option<(OffsetDateTime, Exit)>,
}

/// A process as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    id: String,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    cwd: String,
    state: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    started: OffsetDateTime,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    ended: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    timed_out: bool,
    stdout_bytes: u64,
    stderr_bytes: u64,
    dropped_bytes: u64,
}

impl Run {
    pub(super) fn new(parts: Parts) -> Self {
        let pid = parts.child.pid().as_raw_nonzero().get();
        Self {
            id: parts.id,
            pid: u32::try_from(pid).unwrap_or_default(),
            what: parts.what,
            label: parts.label,
            cwd: parts.cwd,
            started: OffsetDateTime::now_utc(),
            child: parts.child,
            state: Mutex::new(State {
                outputs: parts.outputs,
                terminal: parts.terminal,
                stdin: parts.stdin.map_or(Stdin::None, Stdin::Open),
                timed_out: false,
                released: false,
                asked: None,
                end: None,
            }),
            changed: watch::Sender::default(),
            drained: Notify::new(),
            asked: Notify::new(),
            forgotten: CancellationToken::new(),
        }
    }

    /// Returns what it is now.
    pub(crate) fn view(&self) -> View {
        let (command, script) = match &self.what {
            What::Command(words) => (Some(words.clone()), None),
            What::Script(script) => (None, Some(script.clone())),
        };
        let state = self.lock();
        let exit = state.end.map(|(_, exit)| exit);
        let [stdout, stderr] = &state.outputs;
        View {
            id: self.id.clone(),
            pid: self.pid,
            command,
            script,
            label: self.label.clone(),
            cwd: self.cwd.clone(),
            state: if exit.is_some() { "ended" } else { "running" },
            started: self.started,
            ended: state.end.map(|(at, _)| at),
            exit_code: match exit {
                Some(Exit::Status(status)) => Some(status),
                _ => None,
            },
            signal: match exit {
                Some(Exit::Signal { signal, .. }) => Some(name(signal)),
                _ => None,
            },
            timed_out: state.timed_out,
            stdout_bytes: stdout.end(),
            stderr_bytes: stderr.end(),
            dropped_bytes: stdout.start() + stderr.start(),
        }
    }

    /// Returns when it ended, if it did and what it wrote was read.
    pub(crate) fn ended_at(&self) -> Option<OffsetDateTime> {
        self.lock().end.map(|(at, _)| at)
    }

    /// Waits for its end. Cancel-safe.
    pub(crate) async fn ended(&self) {
        let mut changed = self.follow();
        // The sender is here: it can't be gone.
        let _ = changed.wait_for(|()| self.ended_at().is_some()).await;
    }

    /// Returns what tells that something was written, or that it ended.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Copies some of an output behind what is in `target`, from number `from` on, or from
    /// the first byte that is kept; returns that one's number.
    pub(crate) fn read(&self, stream: Stream, from: u64, most: usize, target: &mut Vec<u8>) -> u64 {
        self.lock().ring(stream).read(from, most, target)
    }

    /// Has it read something. Waits where it is slow; cancel-safe but for what was handed
    /// over.
    ///
    /// # Errors
    /// Where it takes none, or has ended.
    pub(crate) async fn write(&self, input: Input) -> Result<(), RunError> {
        let stdin = {
            let state = self.lock();
            if state.end.is_some() {
                return Err(RunError::Ended);
            }
            state.stdin.sender()?
        };
        let sent = stdin.send(input).await;
        sent.map_err(|_| match self.ended_at() {
            Some(_) => RunError::Ended,
            None => RunError::StdinClosed,
        })
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str, target: Target) -> Result<(), RunError> {
        let signal = by_name(name).ok_or(RunError::BadSignal)?;
        if self.ended_at().is_some() || !self.child.is_running() {
            return Err(RunError::Ended);
        }
        match target {
            Target::Process => self.child.signal(signal),
            Target::Group => {
                let terminal = self.lock().terminal.clone();
                let foreground = terminal
                    .is_some_and(|terminal| terminal::signal_foreground(terminal, signal).is_ok());
                if !foreground {
                    self.child.signal_group(signal);
                }
            }
        }
        Ok(())
    }

    /// Sets the size of its terminal.
    pub(crate) fn resize(&self, size: Size) -> Result<(), RunError> {
        let state = self.lock();
        if state.end.is_some() {
            return Err(RunError::Ended);
        }
        let terminal = state.terminal.as_ref().ok_or(RunError::NoTerminal)?;
        if let Err(error) = terminal::resize(terminal, size) {
            debug!(%error, "a terminal can't be resized");
        }
        Ok(())
    }

    /// Hangs it up, and kills it a moment later.
    pub(crate) fn hang_up(&self) {
        self.ask(Asked::HangUp);
    }

    /// Ends it, and kills it a moment later.
    pub(super) fn terminate(&self) {
        self.ask(Asked::Terminate);
    }

    fn ask(&self, asked: Asked) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.asked = Some(asked);
            drop(state);
            self.asked.notify_one();
        }
    }

    /// Forgets it as soon as it has ended.
    pub(super) fn forget(&self) {
        self.forgotten.cancel();
    }

    pub(super) async fn forgotten(&self) {
        self.forgotten.cancelled().await;
    }

    /// Drops much of what it wrote, where all keep too much.
    pub(super) fn trim(&self) {
        self.lock().outputs.iter_mut().for_each(Ring::trim);
    }

    /// Somebody needs an output from there on; `None`: nobody does.
    pub(super) fn hold(&self, stream: Stream, from: Option<u64>) {
        let mut state = self.lock();
        if !state.released {
            state.ring_mut(stream).hold(from);
        }
        drop(state);
        self.drained.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// What its owner tells.
impl Run {
    /// Returns which outputs may be read.
    pub(super) fn room(&self) -> [bool; 2] {
        let state = self.lock();
        [Stream::Stdout, Stream::Stderr].map(|stream| state.ring(stream).has_room())
    }

    pub(super) fn wrote(&self, stream: Stream, bytes: &[u8]) {
        self.lock().ring_mut(stream).push(bytes);
        self.changed.send_replace(());
    }

    pub(super) fn take_asked(&self) -> Option<Asked> {
        self.lock().asked.take()
    }

    pub(super) fn timed_out(&self) {
        self.lock().timed_out = true;
    }

    /// It isn't held any more, whoever does, so that what it writes is read to its end.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        state.released = true;
        state.outputs.iter_mut().for_each(|ring| ring.hold(None));
    }

    /// It takes no input any more.
    pub(super) fn close_stdin(&self) {
        self.lock().stdin = Stdin::Closed;
    }

    pub(super) fn exited(&self, exit: Exit) {
        let mut state = self.lock();
        state.end = Some((OffsetDateTime::now_utc(), exit));
        state.stdin = Stdin::Closed;
        state.terminal = None;
        state.outputs.iter_mut().for_each(Ring::settle);
        drop(state);
        self.changed.send_replace(());
    }
}

impl State {
    fn ring(&self, stream: Stream) -> &Ring {
        let [stdout, stderr] = &self.outputs;
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    fn ring_mut(&mut self, stream: Stream) -> &mut Ring {
        let [stdout, stderr] = &mut self.outputs;
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }
}
