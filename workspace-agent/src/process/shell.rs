//! Programs as the workspace's user would start them: through the log-in shell.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;

use bytes::Bytes;

use super::{Environment, Program, Stdio, script};
use crate::agent::Agent;

/// What a shell is started for.
#[derive(Debug)]
pub(crate) enum Line {
    /// To be used: a log-in shell.
    Login,
    /// A command line.
    Command(Bytes),
}

/// Prepares the log-in shell, in the home directory.
pub(crate) fn prepare(
    agent: &Agent,
    line: &Line,
    environment: &Environment,
    stdio: Stdio,
) -> io::Result<Program> {
    let shell = agent.shell();
    let name = shell.file_name().unwrap_or(shell.as_os_str()).as_bytes();
    let mut inherited = None;
    let arguments = match line {
        // The dash makes it a log-in shell.
        Line::Login => vec![CString::new([b"-", name].concat())?],
        Line::Command(line) => {
            let script = script::prepare(line, shell)?;
            inherited = script.inherited;
            let argument = CString::new(script.argument)?;
            vec![CString::new(name)?, c"-c".into(), argument]
        }
    };
    let path = |path: &OsStr| CString::new(path.as_bytes());
    Ok(Program {
        file: path(shell.as_os_str())?,
        arguments,
        environment: environment.to_c(),
        folder: path(agent.home().as_os_str())?,
        stdio,
        inherited,
    })
}
