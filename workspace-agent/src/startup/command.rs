//! Runs one command to its end, with what it writes in the log.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::SessionOpen;
use devgate_protocol::config::{Command, Single};
use futures_util::future::join_all;
use parking_lot::Mutex;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::left::Note;
use super::log::Log;
use crate::agent::Agent;
use crate::init;
use crate::process::{Child, End, Environment, Exit, Line, Program, Stdio, shell};
use crate::secrets::Secrets;

/// How long a command that took too long has to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// How long a command's last output is waited for once it has ended. What goes on in the
/// background keeps its pipe, and its output goes to the log as well.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// Longest line of the log, in bytes; a longer one is cut.
const MAX_LINE: usize = 8 * 1024;

/// Size of the buffer that is read into, in bytes.
const READ: usize = 16 * 1024;

/// Added to the number of a signal that ended a command, as shells do.
const SIGNALLED: i32 = 128;

/// What a command is run with.
pub(super) struct Place<'a> {
    /// What its lines in the log are marked with.
    pub(super) label: &'a str,
    pub(super) directory: PathBuf,
    /// What it finds beside the workspace's environment.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// How long it may take; 0 is for ever.
    pub(super) timeout: Duration,
}

/// How a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(super) struct Failed {
    /// Its exit status, where it had one.
    pub(super) exit: Option<i32>,
    /// What happened.
    pub(super) detail: String,
    /// The last line that it wrote.
    pub(super) last_line: String,
}

impl Failed {
    /// Says why a command didn't even run.
    pub(super) fn before(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            exit: None,
            last_line: detail.clone(),
            detail,
        }
    }
}

/// Runs a step's command; several at one time where it is more than one. The first that
/// failed is told, once all have ended.
pub(super) async fn run(agent: &Agent, command: &Command, place: &Place<'_>) -> Result<(), Failed> {
    match command {
        Command::Shell(line) => one(agent, &Single::Shell(line.clone()), place).await,
        Command::Argv(words) => one(agent, &Single::Argv(words.clone()), place).await,
        Command::Parallel(several) => {
            let running = several.iter().map(async |(name, single)| {
                let place = Place {
                    label: &format!("{}/{name}", place.label),
                    directory: place.directory.clone(),
                    ..*place
                };
                one(agent, single, &place).await
            });
            join_all(running).await.into_iter().collect()
        }
    }
}

/// Runs one command.
pub(super) async fn one(agent: &Agent, command: &Single, place: &Place<'_>) -> Result<(), Failed> {
    let folder = place.directory.display();
    if !place.directory.is_dir() {
        return Err(Failed::before(format!("the folder {folder} is not there")));
    }
    let (program, output) = prepare(agent, command, place)?;
    let started = agent.children().spawn(program).await;
    let (child, end) = started.map_err(|error| cannot_run(command, &error))?;
    let _note = Note::of(&agent.config().runtime, child.pid());
    let last = Arc::new(Mutex::new(String::new()));
    let mut copying = agent.tasks().spawn(copy(
        output,
        Writer {
            log: agent.startup().log().clone(),
            secrets: agent.secrets().clone(),
            label: place.label.to_owned(),
            last: Arc::clone(&last),
        },
        agent.stopping(),
    ));
    let exit = wait(agent, &child, end, place.timeout).await;
    // The rest may be long in coming, and isn't waited for.
    let _ = timeout(LAST_OUTPUT, &mut copying).await;
    let last_line = last.lock().clone();
    outcome(exit, place.timeout, last_line)
}

/// Waits for a command's end; one that takes too long is ended, with all that it started:
/// `None`.
async fn wait(agent: &Agent, child: &Child, mut end: End, limit: Duration) -> Option<Exit> {
    if limit.is_zero() {
        return Some(end.wait().await);
    }
    if let Ok(exit) = timeout(limit, end.wait()).await {
        return Some(exit);
    }
    child.signal_group(Signal::TERM);
    if timeout(GRACE, end.wait()).await.is_err() {
        child.signal_group(Signal::KILL);
        end.wait().await;
    }
    let (mark, leader) = (agent.config().mark(), child.pid());
    // A panic in there is no reason to stop here.
    let _ = spawn_blocking(move || init::kill_session(&mark, leader)).await;
    None
}

fn outcome(exit: Option<Exit>, limit: Duration, last_line: String) -> Result<(), Failed> {
    let (exit, detail) = match exit {
        Some(Exit::Status(0)) => return Ok(()),
        Some(Exit::Status(status)) => (
            i32::try_from(status).ok(),
            format!("it ended with exit status {status}"),
        ),
        Some(Exit::Signal { signal, .. }) => (
            Some(SIGNALLED + signal),
            format!("it was ended by signal {signal}"),
        ),
        None => (None, format!("it took longer than {} s", limit.as_secs())),
    };
    Err(Failed {
        exit,
        detail,
        last_line,
    })
}

fn prepare(
    agent: &Agent,
    command: &Single,
    place: &Place<'_>,
) -> Result<(Program, Receiver), Failed> {
    let mut environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
    for (name, value) in place.environment {
        environment.put(name, value);
    }
    let made = pipes().and_then(|(stdio, output)| {
        let mut program = match command {
            Single::Shell(line) => {
                let line = Line::Command(Bytes::copy_from_slice(line.as_bytes()));
                shell::prepare(agent, &line, &environment, stdio)?
            }
            Single::Argv(words) => direct(words, &environment, stdio)?,
        };
        program.folder = text(&place.directory)?;
        Ok((program, output))
    });
    made.map_err(|error| cannot_run(command, &error))
}

/// Prepares a program that is found by its name.
fn direct(words: &[String], environment: &Environment, stdio: Stdio) -> io::Result<Program> {
    let name = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let file = environment.find(Path::new(name));
    let arguments: Result<_, _> = words
        .iter()
        .map(|word| CString::new(word.as_str()))
        .collect();
    Ok(Program {
        file: text(&file.ok_or(io::ErrorKind::NotFound)?)?,
        arguments: arguments?,
        environment: environment.to_c(),
        folder: c"/".into(),
        stdio,
        inherited: None,
    })
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Makes what a command reads and writes: nothing, and one pipe for both of its outputs,
/// so that their lines stay in order.
fn pipes() -> io::Result<(Stdio, Receiver)> {
    let (output, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let stdio = Stdio::Pipes {
        stdin: File::open("/dev/null")?.into(),
        stderr: stdout.try_clone()?,
        stdout,
    };
    Ok((stdio, Receiver::from_owned_fd(output)?))
}

fn cannot_run(command: &Single, error: &io::Error) -> Failed {
    let name = match command {
        Single::Shell(_) => "the shell",
        Single::Argv(words) => words.first().map_or("nothing", String::as_str),
    };
    Failed::before(match error.kind() {
        io::ErrorKind::NotFound => format!("{name} is not there: put it into the image"),
        _ => format!("{name} can't be run: {error}"),
    })
}

/// Where a command's lines go.
struct Writer {
    log: Log,
    secrets: Secrets,
    label: String,
    last: Arc<Mutex<String>>,
}

impl Writer {
    fn write(&self, lines: Vec<String>) {
        let masked = lines.into_iter().map(|line| self.secrets.mask(line));
        let lines: Vec<_> = masked.filter(|line| !line.is_empty()).collect();
        if let Some(last) = lines.last() {
            let mut kept = self.last.lock();
            kept.clone_from(last);
        }
        self.log.add(&self.label, &lines);
    }
}

/// Copies what a command writes to the log, to its end or the agent's.
async fn copy(mut output: Receiver, writer: Writer, stop: tokio_util::sync::CancellationToken) {
    let mut buffer = vec![0; READ];
    let mut rest = Vec::new();
    while let Some(Ok(count)) = stop.run_until_cancelled(output.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        rest.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let lines = split(&mut rest);
        if !lines.is_empty() {
            writer.write(lines);
        }
    }
    if !rest.is_empty() {
        writer.write(vec![plain(&rest)]);
    }
}

/// Takes whole lines out of what was read; of one that is too long its beginning.
fn split(rest: &mut Vec<u8>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        // Programs that show their progress end lines with a return alone.
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let line: Vec<u8> = match end {
            Some(end) if end <= MAX_LINE => rest.drain(..=end).collect(),
            _ if rest.len() > MAX_LINE => rest.drain(..MAX_LINE).collect(),
            _ => return lines,
        };
        lines.push(plain(&line));
    }
}

/// Returns a line as text, without what would move a terminal's cursor or colour it.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            if characters.next_if_eq(&'[').is_some() {
                // A control sequence ends with a letter or its like (ECMA-48 §5.4).
                while characters
                    .next_if(|next| !('@'..='~').contains(next))
                    .is_some()
                {}
                characters.next();
            }
        } else if character == '\t' || !character.is_control() {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_and_stripped_of_colours() {
        let mut rest = b"\x1b[1;32mgreen\x1b[0m\r\n10%\r20%\rhalf".to_vec();
        assert_eq!(split(&mut rest), ["green", "", "10%", "20%"]);
        assert_eq!(rest, b"half");
        let mut long = vec![b'x'; MAX_LINE + 3];
        assert_eq!(split(&mut long).concat().len(), MAX_LINE);
        assert_eq!(long, b"xxx");
    }
}
