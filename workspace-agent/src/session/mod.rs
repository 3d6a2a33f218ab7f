//! Session channels (RFC 4254 §6).
//!
//! One task serves one session: it gathers the requests that precede the program,
//! starts it, and copies between its descriptors and the stream. The end of the
//! stream is the channel's CLOSE: a terminal is hung up, pipes are closed once the program
//! had time to read what was sent before, and a program that goes on without them lives
//! on. Pipes that a program leaves to its children stay open for these. A half-close is a
//! frame of its own.

mod beside;
mod input;
mod output;
mod overtaking;
mod relays;
mod setup;
mod signals;
mod start;

use std::io;
use std::time::Duration;

use devgate_protocol::frame::{FrameReader, Kind};
use devgate_protocol::pipe::Output;
use devgate_protocol::{
    Answer, ReadHalf, Refusal, RefusalReason, SessionOpen, Stream, StreamError, WriteHalf,
    descriptor, handshake,
};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::debug;

use crate::agent::Agent;
use crate::send::{send, send_json};
use crate::sftp;
pub use overtaking::Passing;

use overtaking::Passed;
use setup::{Request, Setup};

/// How long a gateway may take to close a stream whose session ended. Closing it
/// first could discard what the gateway hasn't read yet.
const LINGER: Duration = Duration::from_mins(5);

/// How long a program may take to read what came before the stream's end.
const DELIVERY: Duration = Duration::from_secs(10);

/// How long a gateway may take to give the pipes that it offered.
const PIPES_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves one session channel.
pub(crate) async fn serve(
    agent: &Agent,
    mut stream: Stream,
    open: SessionOpen,
) -> Result<(), StreamError> {
    let mut setup = Setup::default();
    let passed = agent.passing().register(open.number);
    if let (true, Stream::Local(socket)) = (open.pipes, &mut stream) {
        handshake::write_answer(socket, &Answer::TakesPipes).await?;
        setup.pipes = Some(take_pipes(socket).await?);
    } else {
        handshake::write_answer(&mut stream, &Answer::Opened).await?;
    }
    let (reader, writer) = stream.split();
    let mut reader = FrameReader::new(reader);
    let served = match setup.read(&mut reader).await? {
        None => Ok(()),
        Some(Request::Subsystem(name)) => subsystem(agent, &name, reader, writer).await,
        Some(Request::Program(program)) => {
            let started = start::start(agent, &open, setup, program).await;
            self::program(agent, (started, passed), reader, writer).await
        }
    };
    served.map_err(StreamError::Io)
}

/// Takes the pipes that the gateway has made for the program.
async fn take_pipes(socket: &UnixStream) -> io::Result<setup::Pipes> {
    let taken = timeout(PIPES_TIMEOUT, descriptor::take(socket)).await;
    let [stdin, stdout] = taken.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(setup::Pipes { stdin, stdout })
}

/// Serves the subsystem of that name.
async fn subsystem(
    agent: &Agent,
    name: &str,
    mut reader: FrameReader<ReadHalf>,
    mut writer: WriteHalf,
) -> io::Result<()> {
    if name == "sftp" {
        let mut ended = sftp::serve(reader, writer, agent.home().to_owned()).await?;
        let status = ended.status.to_be_bytes();
        send(&mut ended.writer, Kind::ExitStatus, &status).await?;
        return finish(&mut FrameReader::new(ended.reader), &mut ended.writer).await;
    }
    let detail = format!("the subsystem {name:?} is not known here");
    fail(&mut writer, RefusalReason::Unsupported, detail).await?;
    finish(&mut reader, &mut writer).await
}

/// Serves a program that was started, or says why it wasn't.
async fn program(
    agent: &Agent,
    (started, passed): (Result<start::Session, (RefusalReason, String)>, Passed),
    mut reader: FrameReader<ReadHalf>,
    mut writer: WriteHalf,
) -> io::Result<()> {
    let (ran, left) = match started {
        Ok(session) => run(agent, (session, passed), &mut reader, &mut writer).await,
        Err((reason, detail)) => (fail(&mut writer, reason, detail).await, None),
    };
    let ended = match ran {
        Ok(()) => finish(&mut reader, &mut writer).await,
        broken => broken,
    };
    if let Some(left) = left {
        // The gateway reads it until then.
        while let Ok(Some(_)) = reader.next().await {}
        agent.outlived().keep(left);
    }
    ended
}

/// What a session's input has to tell its output.
#[derive(Debug, Default)]
struct Notices {
    /// Nothing is read from the gateway: what is written shows whether it is still there.
    stalled: Notify,
    /// Nobody wants what the program writes to stdout.
    unread: Notify,
}

/// Carries a started program's bytes to its end, or to the stream's. Returns what of its
/// output is the gateway's to read, where children of the program still write to it.
async fn run(
    agent: &Agent,
    (session, passed): (start::Session, Passed),
    reader: &mut FrameReader<ReadHalf>,
    writer: &mut WriteHalf,
) -> (io::Result<()>, Option<Output>) {
    let start::Session {
        child,
        end,
        feed,
        terminal,
        mut outputs,
        relays,
    } = session;
    let has_pipes = terminal.is_none();
    let notices = Notices::default();
    let mut input = input::Input::new(&child, feed, terminal, (&passed, &notices));
    let mut closed = false;
    let ended = tokio::select! {
        ended = output::run(end, &mut outputs, relays, &notices, writer) => ended,
        ended = input.run(reader) => {
            debug!("the channel was closed before its program ended");
            closed = true;
            ended
        }
    };
    if has_pipes && (closed || ended.is_err()) {
        let rest = async {
            if !closed && let Err(error) = input.run(reader).await {
                debug!(%error, "a session's stream broke");
            }
            input.deliver().await;
        };
        tokio::select! {
            delivered = timeout(DELIVERY, rest) => if delivered.is_err() {
                debug!("a program doesn't read what was sent before the channel's end");
            },
            () = outputs.discard() => {}
        }
    }
    if has_pipes && !child.is_running() {
        return (ended, outputs.outlive(agent.outlived()));
    }
    (ended, None)
}

async fn fail(writer: &mut WriteHalf, reason: RefusalReason, detail: String) -> io::Result<()> {
    debug!(?reason, detail, "a program couldn't be started");
    send_json(writer, Kind::Failed, &Refusal { reason, detail }).await
}

/// Ends the written direction, and reads what still comes until the gateway closes.
async fn finish(reader: &mut FrameReader<ReadHalf>, writer: &mut WriteHalf) -> io::Result<()> {
    writer.shutdown().await?;
    let rest = async { while let Ok(Some(_)) = reader.next().await {} };
    if timeout(LINGER, rest).await.is_err() {
        debug!("the gateway doesn't close an ended session");
    }
    Ok(())
}
