//! `devgate keep-awake` inside a workspace that finds this program before the workspace's own:
//! on the server's machine both are called `devgate`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::args::Source;
use super::failure::{Failure, Kind};
use super::sleep::Keep;

/// Variable that programs in a workspace find; the socket beside the workspace's own programs.
const VARIABLE: &str = "DEVGATE_KEEP_AWAKE";

/// The workspace's own program, from that socket's folder on.
const PROGRAM: &str = "bin/devgate";

/// Has the workspace's own program do what is asked for, in place of this one, where it is
/// meant: with a command, or a time alone and no word of a server. Returns what is left to do
/// here.
///
/// # Errors
/// Where that program is meant and can't be run.
pub(super) fn hand_over(source: &Source, asked: Keep) -> Result<Keep, Failure> {
    let names_server =
        source.data_dir.is_some() || source.config.is_some() || source.context.is_some();
    let runs = !asked.command.is_empty();
    if !runs && (names_server || !asked.is_time_alone()) {
        return Ok(asked);
    }
    let Some(program) = program() else {
        if runs {
            let message = format!(
                "only a program in a workspace keeps it awake while a command runs: run this \
                 there, where {VARIABLE} is set, or say a workspace and a time"
            );
            return Err(Failure::new(Kind::Usage, message));
        }
        return Ok(asked);
    };
    let error = Command::new(&program).args(arguments(asked)).exec();
    let message = format!(
        "can't run the workspace's own {}: {error}",
        program.display()
    );
    Err(Failure::new(Kind::Failed, message))
}

/// Returns the workspace's own program, inside one.
fn program() -> Option<PathBuf> {
    let socket = PathBuf::from(std::env::var_os(VARIABLE)?);
    Some(socket.parent()?.join(PROGRAM))
}

/// Returns what to tell it: the same.
fn arguments(asked: Keep) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["keep-awake".into()];
    if let Some(reason) = asked.reason {
        // In one, as it may begin with a hyphen.
        arguments.push(format!("--reason={reason}").into());
    }
    arguments.extend(asked.words.into_iter().map(OsString::from));
    if !asked.command.is_empty() {
        arguments.push("--".into());
        arguments.extend(asked.command);
    }
    arguments
}
