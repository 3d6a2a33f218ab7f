//! Before a session's program runs: what the client asks for, and the wait for its
//! workspace.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::{Answer, Open, SessionOpen, Stream, environment};
use russh::server::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tracing::debug;

use super::asked::Asked;
use super::pipes::{Ends, Pipes};
use super::requests::push;
use super::{Terminal, say};
use crate::activity::Visit;
use crate::refusal::Refused;
use crate::ssh::connection::{self, Connection};
use crate::workspaces::Wake;

/// Largest sum of what a client may ask for before its program starts, and of
/// what it may type while the workspace starts, in bytes each.
///
/// The environment, which has a limit of its own, is most of the first.
const MAX_PREFACE: usize = 2 * environment::MAX_BYTES;
const MAX_EARLY: usize = 64 * 1024;

const TOO_MUCH: &str = "the client sent more than a session can hold before its program; send less";

/// How long a person waits for a workspace before being told so, and before each further
/// word of how far it is.
const QUIET: Duration = Duration::from_secs(1);
const WAITING: &str = "waiting for the workspace to start";

/// How long a client may take to say what its session is to run.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const UNUSED: &str = "nothing was asked of this session; open a new one";

/// What Ctrl-C sends, which interrupts where a client has no other idea.
const ETX: u8 = 3;

/// What a client asked for, as frames for the agent.
pub(super) struct Preface {
    pub(super) frames: Vec<u8>,
    pub(super) terminal: Terminal,
    pub(super) asked: Asked,
    /// What a person ends the wait with; `None` where it is the program's, as any other.
    interrupt: Option<u8>,
    /// Whether a person waits: a shell on a PTY.
    wake: Wake,
    /// What stands for the program that is asked for.
    errand: Option<u64>,
    /// Whether it ends in a program with pipes.
    has_pipes: bool,
    /// Names the session of a program to the agent.
    number: Option<u64>,
    early: Early,
}

/// Why nothing is to be started.
pub(super) enum Unstarted {
    /// The client closed the channel.
    Closed,
    /// The client asked for too much, or for what doesn't fit a frame.
    Refused(io::Error),
}

/// Collects a client's requests up to the one that starts its program.
///
/// What the client may not have is left out; it was told.
pub(super) async fn gather(
    connection: &Connection,
    rx: &mut ChannelReadHalf,
) -> Result<Preface, Unstarted> {
    let mut frames = Vec::new();
    let mut terminal = Terminal::None;
    let mut interrupt = None;
    let mut wake = Wake::Background;
    let mut early = Early::default();
    let mut is_too_much = false;
    let asked = Asked::within(connection.actions().clone());
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
        if !asked.note(&message) {
            continue;
        }
        match &message {
            ChannelMsg::Close => return Err(Unstarted::Closed),
            ChannelMsg::RequestPty { terminal_modes, .. } => {
                terminal = Terminal::Pty;
                interrupt = interrupt_character(terminal_modes);
                wake = Wake::Interactive;
            }
            _ => {}
        }
        let errand = (starts && terminal == Terminal::None).then(|| program(&message));
        let is_program = !matches!(message, ChannelMsg::RequestSubsystem { .. });
        if matches!(message, ChannelMsg::Data { .. } | ChannelMsg::Eof) {
            // They are the program's, whatever comes before it.
            early.push(message);
        } else {
            push(&mut frames, message).map_err(Unstarted::Refused)?;
        }
        if frames.len() + early.bytes > MAX_PREFACE {
            (frames, early) = (Vec::new(), Early::default());
            is_too_much = true;
        }
        if starts && is_too_much {
            // Only now: some clients wait for an answer to this request, whatever comes.
            return Err(Unstarted::Refused(io::Error::other(TOO_MUCH)));
        }
        if starts {
            return Ok(Preface {
                frames,
                terminal,
                asked,
                interrupt,
                wake,
                errand,
                has_pipes: is_program && terminal == Terminal::None,
                number: is_program.then(rand::random),
                early,
            });
        }
    }
}

/// How waiting for a stream ended.
pub(super) enum Opening {
    Opened(Box<Opened>),
    Refused(Refused),
    /// The person was told of the wait, and didn't want it.
    Interrupted,
    Closed,
}

/// A session's stream.
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// Counts what the client does with it.
    pub(super) visit: Visit,
    /// What leads past it.
    pub(super) pipes: Option<Ends>,
    /// The session's number, where its data is in the stream.
    pub(super) number: Option<u64>,
    /// What the client sent before it was there.
    pub(super) early: VecDeque<ChannelMsg>,
}

/// What a client sends before the stream is there.
#[derive(Default)]
struct Early {
    messages: VecDeque<ChannelMsg>,
    bytes: usize,
}

impl Early {
    /// Keeps what means something to a program that runs; of that only data is large.
    fn push(&mut self, message: ChannelMsg) {
        let data = match &message {
            ChannelMsg::Data { data } => data.len(),
            ChannelMsg::Eof
            | ChannelMsg::EndOfWrite
            | ChannelMsg::Signal { .. }
            | ChannelMsg::WindowChange { .. } => 0,
            _ => return,
        };
        self.bytes += data + size_of::<ChannelMsg>();
        self.messages.push_back(message);
    }
}

/// Waits for the workspace, and opens the session's stream.
pub(super) async fn open(
    connection: &Arc<Connection>,
    rx: &mut ChannelReadHalf,
    tx: &ChannelWriteHalf<Msg>,
    preface: &mut Preface,
) -> Opening {
    // Where there is no room for pipes the stream does as well.
    let pipes = preface.has_pipes.then(Pipes::make).and_then(Result::ok);
    let request = Open::Session(SessionOpen {
        peer: Some(connection.peer.clone()),
        pipes: pipes.is_some(),
        number: preface.number,
        ..SessionOpen::default()
    });
    let errand = preface.errand.map(|errand| connection.errand(&errand));
    let opening = async {
        // Its program may use at once what was to listen before.
        connection.asked().settled().await;
        connection.open(&request, preface.wake, errand).await
    };
    let mut quiet = interval_at(Instant::now() + QUIET, QUIET);
    quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(opening);
    let mut early = std::mem::take(&mut preface.early);
    let mut told = String::new();
    loop {
        let message = tokio::select! {
            result = &mut opening => return match result {
                Ok(opened) => begin(opened, pipes, (preface.number, early)).await,
                Err(refused) => Opening::Refused(refused),
            },
            _ = quiet.tick(), if preface.terminal != Terminal::None => {
                if told.is_empty() {
                    told = waiting(preface.interrupt);
                    say(tx, preface.terminal, &told).await;
                }
                if let Some(doing) = connection.doing().await && doing != told {
                    say(tx, preface.terminal, &doing).await;
                    told = doing;
                }
                continue;
            }
            message = rx.wait(), if early.bytes < MAX_EARLY => message,
        };
        match message {
            None | Some(ChannelMsg::Close) => return Opening::Closed,
            // Whoever hasn't been told of a wait means the program.
            Some(ChannelMsg::Data { data })
                if !told.is_empty() && preface.interrupt.is_some_and(|it| data.contains(&it)) =>
            {
                return Opening::Interrupted;
            }
            Some(message) => {
                early.push(message);
            }
        }
    }
}

/// Returns what a PTY with these modes takes for an interrupt (RFC 4254 §8); `None` where
/// it passes on all that is typed.
fn interrupt_character(modes: &[(Pty, u32)]) -> Option<u8> {
    let last = |wanted| modes.iter().rev().find(|(mode, _)| *mode == wanted);
    if let Some((_, 0)) = last(Pty::ISIG) {
        return None;
    }
    match last(Pty::VINTR) {
        None => Some(ETX),
        // 255 stands for no character, and so does 0 in a terminal.
        Some((_, character @ 1..=254)) => u8::try_from(*character).ok(),
        Some(_) => None,
    }
}

/// Returns what a person on a PTY is told of the wait: also how to end it, where a key with
/// Ctrl does.
fn waiting(interrupt: Option<u8>) -> String {
    match interrupt {
        Some(control @ 1..=31) => {
            let key = char::from(control + b'@');
            format!("{WAITING} (Ctrl-{key} ends the wait)")
        }
        _ => WAITING.to_owned(),
    }
}

/// Returns what stands for the program that a request starts.
fn program(request: &ChannelMsg) -> u64 {
    let mut hasher = DefaultHasher::new();
    match request {
        ChannelMsg::Exec { command, .. } => ("exec", command).hash(&mut hasher),
        ChannelMsg::RequestSubsystem { name, .. } => ("subsystem", name).hash(&mut hasher),
        _ => "shell".hash(&mut hasher),
    }
    hasher.finish()
}

/// Gives an agent that takes them the program's ends of the pipes.
async fn begin(
    opened: connection::Opened,
    pipes: Option<Pipes>,
    (number, early): (Option<u64>, Early),
) -> Opening {
    let connection::Opened {
        stream,
        answer,
        visit,
    } = opened;
    let pipes = match (&answer, &stream, pipes) {
        (Answer::TakesPipes, Stream::Local(socket), Some(pipes)) => {
            match pipes.give(socket).await {
                Ok(ends) => Some(ends),
                Err(error) => {
                    debug!(%error, "an agent can't be given its pipes");
                    return Opening::Refused(Refused::StreamLost);
                }
            }
        }
        _ => None,
    };
    Opening::Opened(Box::new(Opened {
        stream,
        visit,
        number: number.filter(|_| pipes.is_none()),
        pipes,
        early: early.messages,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminals_modes_tell_what_interrupts() {
        let intr = |character| [(Pty::ISIG, 1), (Pty::VINTR, character)];
        assert_eq!(interrupt_character(&[]), Some(ETX));
        assert_eq!(interrupt_character(&[(Pty::ISIG, 1)]), Some(ETX));
        assert_eq!(interrupt_character(&intr(24)), Some(24));
        for none in [0, 255, 256, u32::MAX] {
            assert_eq!(interrupt_character(&intr(none)), None, "{none}");
        }
        let raw = [(Pty::VINTR, 3), (Pty::ISIG, 1), (Pty::ISIG, 0)];
        assert_eq!(interrupt_character(&raw), None);
    }

    #[test]
    fn a_wait_names_the_key_that_ends_it() {
        assert!(waiting(Some(ETX)).ends_with("(Ctrl-C ends the wait)"));
        assert!(waiting(Some(24)).ends_with("(Ctrl-X ends the wait)"));
        assert_eq!(waiting(None), WAITING);
        assert_eq!(waiting(Some(127)), WAITING);
    }
}
