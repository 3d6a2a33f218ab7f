//! From the program to the stream.
//!
//! The one writer of a session's stream: output, announcements and the end are written
//! by one task in turn, so that a stream that isn't read stops all of it, and with it
//! the program.
//! What the gateway reads itself isn't there: stdout has then ended from the first.

use std::io;
use std::time::Duration;

use devgate_protocol::WriteHalf;
use devgate_protocol::frame::{ExitSignal, Kind};
use devgate_protocol::pipe::{Aftermath, Output, Sort};

use tokio::time::timeout;

use super::beside::Beside;
use super::relays::Relays;
use super::{Notices, signals};
use crate::outlived::Outlived;
use crate::process::{End, Exit};
use crate::send::{send, send_json};

/// What is said to whoever's program was killed.
const OUT_OF_MEMORY: &[u8] =
    b"devgate: the workspace's memory is used up, and the program was killed for it\r\n";

/// How long the end of a program may come after that of its output, for there to be
/// something to say of it: nothing is said after EOF.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What a program writes to.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    /// stdout where the gateway reads it.
    pub(super) beside: Option<Beside>,
    pub(super) sort: Sort,
}

impl Outputs {
    /// Takes note of the program's end, before the gateway is told of it.
    fn program_ended(&mut self) {
        self.stdout.owe();
        self.stderr.owe();
        self.beside.iter_mut().for_each(Beside::program_ended);
    }

    /// Reads what nobody wants; for ever. Cancel-safe.
    pub(super) async fn discard(&mut self) {
        let (stdout, stderr) = (&mut self.stdout, &mut self.stderr);
        tokio::join!(
            stdout.discard(Duration::ZERO),
            stderr.discard(Duration::ZERO)
        );
        std::future::pending::<()>().await;
    }

    /// Has the pipes of a program that has ended read on, for those of its children that
    /// hold them. Returns the one that the gateway may still read.
    pub(super) fn outlive(self, outlived: &Outlived) -> Option<Output> {
        outlived.keep(self.stdout);
        outlived.keep(self.stderr);
        self.beside.and_then(Beside::left)
    }
}

/// Delivers what was read of an output.
async fn deliver(
    output: &mut Output,
    read: io::Result<usize>,
    (writer, kind): (&mut WriteHalf, Kind),
) -> io::Result<()> {
    match output.take(&read) {
        Some(bytes) => send(writer, kind, &bytes).await,
        None => Ok(()),
    }
}

/// Carries the program's output, its EOF, and how it ended.
pub(super) async fn run(
    mut end: End,
    outputs: &mut Outputs,
    mut relays: Relays,
    notices: &Notices,
    writer: &mut WriteHalf,
) -> io::Result<()> {
    let mut exit = None;
    let sort = outputs.sort;
    let mut aftermath = Aftermath::begin(sort);
    // Whoever reads stdout past us has to know at once when the program ends.
    let (is_awaited, mut told) = (!outputs.stdout.is_open(), false);
    while outputs.stdout.is_open() || outputs.stderr.is_open() {
        let Outputs { stdout, stderr, .. } = &mut *outputs;
        tokio::select! {
            ended = end.wait(), if exit.is_none() => {
                exit = Some(ended);
                outputs.program_ended();
                last_words(writer, ended).await?;
                if is_awaited {
                    tell(writer, ended).await?;
                    told = true;
                }
                aftermath = Aftermath::begin(sort);
            }
            read = stdout.fill() => {
                deliver(stdout, read, (writer, Kind::Data)).await?;
                aftermath.heard();
            }
            read = stderr.fill() => {
                deliver(stderr, read, (writer, Kind::Stderr)).await?;
                aftermath.heard();
            }
            accepted = relays.next() => send_json(writer, Kind::Accepted, &accepted).await?,
            () = notices.stalled.notified() => send(writer, Kind::Data, &[]).await?,
            () = notices.unread.notified() => stdout.close(),
            () = aftermath.over(), if exit.is_some() => {
                if !aftermath.goes_on(&[stdout, stderr]) {
                    break;
                }
            }
        }
    }
    if exit.is_none()
        && let Ok(ended) = timeout(LAST_WORDS, end.wait()).await
    {
        exit = Some(ended);
        outputs.program_ended();
        last_words(writer, ended).await?;
    }
    send(writer, Kind::Eof, &[]).await?;
    let exit = loop {
        if let Some(exit) = exit {
            break exit;
        }
        // The program goes on without its descriptors.
        tokio::select! {
            ended = end.wait() => {
                exit = Some(ended);
                outputs.program_ended();
            }
            accepted = relays.next() => send_json(writer, Kind::Accepted, &accepted).await?,
            () = notices.stalled.notified() => send(writer, Kind::Data, &[]).await?,
        }
    };
    if told {
        return Ok(());
    }
    tell(writer, exit).await
}

/// Says why the program was killed, where that is known.
async fn last_words(writer: &mut WriteHalf, exit: Exit) -> io::Result<()> {
    match exit {
        Exit::Signal {
            out_of_memory: true,
            ..
        } => send(writer, Kind::Stderr, OUT_OF_MEMORY).await,
        Exit::Signal { .. } | Exit::Status(_) => Ok(()),
    }
}

/// Says how the program ended.
async fn tell(writer: &mut WriteHalf, exit: Exit) -> io::Result<()> {
    match exit {
        Exit::Status(status) => send(writer, Kind::ExitStatus, &status.to_be_bytes()).await,
        Exit::Signal {
            signal,
            core_dumped,
            ..
        } => {
            let signal = ExitSignal {
                signal: signals::name(signal).to_owned(),
                core_dumped,
            };
            send_json(writer, Kind::ExitSignal, &signal).await
        }
    }
}
