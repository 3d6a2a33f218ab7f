//! `devgate completions` and `devgate man`: what shells and `man` have to know.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, CommandFactory as _, ValueEnum};
use clap_complete::CompletionCandidate;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, PathCompleter, ValueCompleter as _,
};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::args::{Cli, Source};
use super::failure::{Failure, Kind};
use super::which::client;
use crate::http::admin::wire::{StateName, WorkspaceView};

/// The variable by which a shell asks for completions.
const VARIABLE: &str = "_DEVGATE_COMPLETE";

/// How long somebody who completes a name waits for the server.
const PATIENCE: Duration = Duration::from_secs(2);

/// Arguments that are names of workspaces.
const WORKSPACES: [&str; 2] = ["workspace", "workspaces"];

/// Arguments that are paths here or in a workspace, `WORKSPACE:PATH`.
const PLACES: [&str; 2] = ["place", "places"];

/// `devgate completions`.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Shells that complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// For ~/.local/share/bash-completion/completions/devgate
    Bash,
    /// For _devgate in a folder of $fpath
    Zsh,
    /// For ~/.config/fish/completions/devgate.fish
    Fish,
    /// For rc.elv
    Elvish,
    /// For $PROFILE
    Powershell,
}

/// `devgate man`.
#[derive(Clone, Debug, Args)]
pub(super) struct Man {
    /// Folder to write a page for each command into, instead of the first to stdout
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Answers a shell that completes a line, and ends the program then.
pub fn complete() {
    clap_complete::CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .complete();
}

/// Prints what a shell has to know.
pub(super) fn completions(command: Completions) -> Result<(), Failure> {
    let shell: &dyn EnvCompleter = match command.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Elvish => &Elvish,
        Shell::Powershell => &Powershell,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "devgate", "devgate", "devgate", &mut script)?;
    Ok(io::stdout().write_all(&script)?)
}

/// Prints or writes the pages for `man`.
pub(super) fn man(command: &Man) -> Result<(), Failure> {
    let cli = Cli::command();
    let Some(folder) = &command.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(cli).render(&mut page)?;
        return Ok(io::stdout().write_all(&page)?);
    };
    let written = std::fs::create_dir_all(folder);
    let written = written.and_then(|()| clap_mangen::generate_to(cli, folder));
    written.map_err(|error| {
        let message = format!("cannot write man pages into {}: {error}", folder.display());
        Failure::new(Kind::Failed, message)
    })
}

/// Returns the command line with what completes names of workspaces.
fn command() -> Command {
    with_names(Cli::command())
}

fn with_names(command: Command) -> Command {
    let named = |arg: clap::Arg| match arg.get_id().as_str() {
        name if WORKSPACES.contains(&name) => arg.add(ArgValueCandidates::new(workspaces)),
        name if PLACES.contains(&name) => arg.add(ArgValueCompleter::new(places)),
        _ => arg,
    };
    command.mut_args(named).mut_subcommands(with_names)
}

/// Returns what a path may begin with: files here, and workspaces.
fn places(begun: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = PathCompleter::any().complete(begun);
    let begun = begun.to_string_lossy();
    // Beyond the colon, and in a folder here, there is no workspace's name.
    if !begun.contains([':', '/']) {
        let names = names().into_iter().map(|(name, _)| name);
        let fitting = names.filter(|name| name.starts_with(&*begun));
        all.extend(fitting.map(|name| CompletionCandidate::new(format!("{name}:"))));
    }
    all
}

/// Returns the workspaces of the server that is meant.
fn workspaces() -> Vec<CompletionCandidate> {
    let shown = names().into_iter().map(|(name, state)| {
        let state = super::workspaces::word(state);
        CompletionCandidate::new(name).help(Some(state.into()))
    });
    shown.collect()
}

/// Returns their names and states; none where the server can't be asked.
fn names() -> Vec<(String, StateName)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let asked = runtime.block_on(async {
        let asked = async {
            let mut client = client(&source()).ok()?;
            let own = client.person().await.ok()?;
            let views: Vec<WorkspaceView> = client.get("/workspaces").await.ok()?;
            Some((own, views))
        };
        tokio::time::timeout(PATIENCE, asked).await
    });
    let Ok(Some((own, views))) = asked else {
        return Vec::new();
    };
    let shown = views.into_iter().map(|view| {
        let name = if own.as_ref() == Some(&view.owner) {
            view.name.to_string()
        } else {
            format!("{}.{}", view.name, view.owner)
        };
        (name, view.state)
    });
    shown.collect()
}

/// Returns which server the line means that is completed, as far as it says so.
fn source() -> Source {
    let words: Vec<_> = std::env::args_os().collect();
    let value = |flag: &str| {
        let found = words
            .iter()
            .zip(words.iter().skip(1))
            .find_map(|(word, next)| {
                let word = word.to_str()?;
                let joined = word
                    .strip_prefix(flag)
                    .and_then(|rest| rest.strip_prefix('='));
                match joined {
                    Some(value) => Some(value.into()),
                    None => (word == flag).then(|| next.clone()),
                }
            });
        found.filter(|value: &std::ffi::OsString| !value.is_empty())
    };
    Source {
        data_dir: value("--data-dir").map(PathBuf::from),
        config: value("--config").map(PathBuf::from),
        context: value("--context").and_then(|name| name.into_string().ok()),
    }
}
