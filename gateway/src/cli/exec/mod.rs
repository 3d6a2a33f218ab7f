//! `devgate exec`: a command in a workspace, with a token alone.
//!
//! It is one WebSocket to the workspace's agent. What is written here is read there and the
//! other way round, byte for byte; who is slow holds up the other.

mod carry;
mod input;
mod signals;
mod terminal;

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal as _};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::args::Source;
use super::client::Client;
use super::failure::{Failure, Kind};
use super::ready::ready;
use super::which::client;
use crate::config::Period;
use crate::http::problem::Problem;
use crate::identity::Target;
use input::Stdin;
use signals::Signals;
use terminal::{Cells, Raw};

/// What it ends with where the connection broke, or nothing was run.
const LOST: u8 = 255;

/// What it ends with where the command can't be started, as in a shell.
const NOT_STARTED: u8 = 127;

/// What it ends with where the command took too long, as timeout(1) does.
const TIMED_OUT: u8 = 124;

/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: u8 = 128;

/// What it ends with where nobody reads what the command still writes: SIGPIPE, 13, as for
/// a program that writes there itself.
const CUT_OFF: u8 = SIGNALLED + 13;

/// What `--help` says of its end.
const ENDS: &str = "\
Exit codes: the command's own; 128 and the signal's number where one ended it, 141 where
nobody reads its output any more; 124 after --timeout; 127 where it can't be started; 255
where devgate itself failed.

Signals go to the command. The same TERM, HUP or QUIT for the second time, or a third INT
within 5 seconds, leaves it, whatever it or the server does; so do, with -t, the end of the
terminal and ~. typed at the beginning of a line (~~ there is one ~). A command that is left
gets SIGHUP.";

/// `devgate exec`.
#[derive(Debug, Args)]
#[command(after_help = ENDS)]
pub(super) struct Exec {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// Have it read what comes on stdin
    #[arg(long, short)]
    interactive: bool,
    /// Run it on a terminal, which takes one here; it reads what is typed
    #[arg(long, short)]
    tty: bool,
    /// Folder that it begins in, a relative one from the home [default: the home]
    #[arg(long, value_name = "PATH")]
    cwd: Option<String>,
    /// Variable that it has; without =VALUE the one of here; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// How long it may take
    #[arg(long, value_name = "TIME")]
    timeout: Option<Period>,
    /// What to run: a program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Serialize)]
struct Request {
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    env: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pty: Option<Pty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Pty {
    #[serde(flatten)]
    cells: Cells,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<String>,
}

/// How a command ended.
#[derive(Debug, Default, Deserialize)]
struct Ended {
    #[serde(default)]
    exit_code: Option<u32>,
    #[serde(default)]
    signal: Option<String>,
    #[serde(default)]
    timed_out: bool,
}

/// What came of it.
#[derive(Debug)]
enum Outcome {
    Ended(Ended),
    Refused(Problem),
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match env::var(text) {
            Ok(value) => (text, value),
            Err(_) => return Err(format!("{text} isn't set here: write {text}=VALUE")),
        },
    };
    if name.is_empty() {
        return Err(format!("{text:?} names no variable: write NAME=VALUE"));
    }
    Ok((name.to_owned(), value))
}

/// Runs a command, and ends as that does.
pub(super) async fn run(source: &Source, command: Exec) -> Result<(), Failure> {
    let run = async { exec(&mut client(source)?, command).await };
    let outcome = match run.await {
        Ok(outcome) => outcome,
        Err(failure) => {
            return Err(match failure.kind() {
                Kind::Usage | Kind::Ended(_) => failure,
                // Who read the output has gone, and the command didn't end.
                Kind::Silent => failure.ending_with(CUT_OFF),
                _ => failure.ending_with(LOST),
            });
        }
    };
    let (code, why) = match outcome {
        Outcome::Ended(ended) => code(&ended),
        Outcome::Refused(problem) if problem.code == "cannot-start" => {
            (NOT_STARTED, Some(problem.detail))
        }
        Outcome::Refused(problem) => (LOST, Some(problem.detail)),
    };
    match (code, why) {
        (0, _) => Ok(()),
        (code, why) => Err(Failure::ended(code, why)),
    }
}

async fn exec(client: &mut Client, command: Exec) -> Result<Outcome, Failure> {
    if command.tty {
        screen()?;
    }
    let target = command.workspace.to_string();
    let mut inside = client.inside(&target, "exec").await?;
    ready(client, &command.workspace).await?;
    let socket = inside.run().await.map_err(|error| inside.explain(error))?;
    // Before its size is taken: it may have another one by now, and changes again.
    let signals = Signals::new()?;
    let screen = command.tty.then(screen).transpose()?;
    let reads = match (screen, command.interactive) {
        (Some(_), _) => Stdin::Typed,
        (None, true) => Stdin::Read,
        (None, false) => Stdin::Left,
    };
    let request = Request {
        command: command.command,
        cwd: command.cwd,
        env: command.env.into_iter().collect(),
        stdin: match reads {
            Stdin::Typed => None,
            Stdin::Read => Some("open"),
            Stdin::Left => Some("none"),
        },
        pty: screen.map(|cells| Pty {
            cells,
            term: env::var("TERM").ok().filter(|term| !term.is_empty()),
        }),
        timeout_seconds: command.timeout.map(|time| time.get().as_secs().max(1)),
    };
    let raw = match screen {
        Some(_) => Some(Raw::begin()?),
        None => None,
    };
    let carried = carry::carry(socket, &request, reads, signals).await;
    // The terminal is as it was before anything is said.
    drop(raw);
    carried
}

/// Returns the size of the terminal here.
fn screen() -> Result<Cells, Failure> {
    terminal::size().ok_or_else(|| {
        let message = "stdin is no terminal, which -t takes: leave it out (-i reads stdin)";
        Failure::new(Kind::Usage, message)
    })
}

/// Returns the exit code that tells how a command ended, and what to say of it.
fn code(ended: &Ended) -> (u8, Option<String>) {
    if ended.timed_out {
        let why = "the command took longer than --timeout, and was ended";
        return (TIMED_OUT, Some(why.to_owned()));
    }
    if let Some(name) = &ended.signal {
        let number = format!("SIG{name}")
            .parse::<nix::sys::signal::Signal>()
            .ok();
        let number = number.and_then(|signal| u8::try_from(signal as i32).ok());
        let code = SIGNALLED.saturating_add(number.unwrap_or_default());
        let told = io::stderr().is_terminal();
        return (code, told.then(|| format!("SIG{name} ended the command")));
    }
    let code = ended.exit_code.unwrap_or(u32::from(LOST));
    (u8::try_from(code).unwrap_or(LOST), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_commands_own_and_those_of_shells() {
        let of = |text: &str| code(&serde_json::from_str(text).unwrap()).0;
        assert_eq!(of("{\"exit_code\":0}"), 0);
        assert_eq!(of("{\"exit_code\":7,\"timed_out\":false}"), 7);
        assert_eq!(of("{\"signal\":\"KILL\",\"exit_code\":null}"), 137);
        assert_eq!(of("{\"signal\":\"TERM\",\"timed_out\":true}"), 124);
        assert_eq!(of("{\"signal\":\"RTMIN+1\"}"), 128);
        assert_eq!(of("{}"), 255);
    }

    #[test]
    fn a_variable_is_given_or_taken_from_here() {
        assert_eq!(
            variable("A=b=c").unwrap(),
            ("A".to_owned(), "b=c".to_owned())
        );
        assert_eq!(variable("A=").unwrap(), ("A".to_owned(), String::new()));
        assert_eq!(variable("PATH").unwrap().1, env::var("PATH").unwrap());
        assert!(variable("=x").is_err());
        assert!(variable("NOT_SET_ANYWHERE").is_err());
    }
}
