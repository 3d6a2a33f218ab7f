//! How a command fails, and what its exit code says.

use std::fmt;
use std::io;
use std::process::ExitCode;

use nix::sys::signal::Signal;
use signal_hook::low_level::emulate_default_handler;

use super::output;
use crate::config::ConfigError;
use crate::http::problem::Problem;
use crate::refusal;

/// What `--help` says of exit codes.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  3  no such workspace, snapshot, template, user, key or token
  4  the server can't be reached
  5  it took too long; what was asked for goes on
  6  a limit is reached
  7  nobody is signed in, or it isn't allowed";

/// What a signal's number is added to, as shells show it.
const SIGNALLED: u8 = 128;

/// Kinds of failure, as far as scripts tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for didn't work.
    Failed,
    /// It was asked for in the wrong way.
    Usage,
    /// It doesn't exist.
    NotFound,
    /// There is no server to ask.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// There would be more than there may be.
    Limit,
    /// Nobody is signed in, or they may not.
    Denied,
    /// Whoever read the output has gone; nothing is to be said.
    Silent,
    /// What was run ended so.
    Ended(u8),
    /// A signal ended it.
    Signalled(Signal),
}

/// A command that failed.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// Returns a failure with one line that says what to do next.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Returns that what was run ended with `code`, and why, where it doesn't say so itself.
    pub(super) fn ended(code: u8, why: Option<String>) -> Self {
        Self::new(Kind::Ended(code), why.unwrap_or_default())
    }

    /// Returns that a signal ended the command, and what of it is left.
    pub(super) fn signalled(signal: Signal, message: &str) -> Self {
        Self::new(Kind::Signalled(signal), message)
    }

    /// Returns the same with another exit code.
    pub(super) fn ending_with(mut self, code: u8) -> Self {
        self.kind = Kind::Ended(code);
        self
    }

    /// Returns what kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Says it on stderr and returns the exit code. Where a signal ended the command it doesn't
    /// return: a shell goes on with its loop after a program that took Ctrl-C for itself.
    pub fn report(&self) -> ExitCode {
        let code = match self.kind {
            Kind::Silent => return ExitCode::SUCCESS,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Unreachable => 4,
            Kind::TimedOut => 5,
            Kind::Limit => 6,
            Kind::Denied => 7,
            Kind::Ended(code) => code,
            Kind::Signalled(signal) => {
                u8::try_from(signal as i32).map_or(1, |number| SIGNALLED + number)
            }
        };
        if !self.message.is_empty() {
            output::note(&format!("devgate: {}", self.message));
        }
        if let Kind::Signalled(signal) = self.kind {
            // Where that doesn't end it, its exit code says the same.
            let _ = emulate_default_handler(signal as i32);
        }
        ExitCode::from(code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Kind::Usage, error.to_string())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let kind = match refusal::kind(&problem) {
            refusal::Kind::Request => Kind::Usage,
            refusal::Kind::Missing => Kind::NotFound,
            refusal::Kind::Late => Kind::TimedOut,
            refusal::Kind::Limit => Kind::Limit,
            refusal::Kind::Denied => Kind::Denied,
            refusal::Kind::Other => Kind::Failed,
        };
        Self::new(kind, problem.detail)
    }
}

/// For reading and writing standard streams.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::Silent, ""),
            _ => Self::new(Kind::Failed, error.to_string()),
        }
    }
}
