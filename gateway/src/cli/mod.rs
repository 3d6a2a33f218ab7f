//! The command line: the server's own commands, and those that ask a running
//! server through the socket in its data folder.

mod args;
mod client;
mod configuration;
mod failure;
mod greeting;
mod keys;
mod output;
mod serve;
mod snapshots;
mod templates;
mod users;
mod workspaces;

pub use args::Cli;
pub use failure::{Failure, Kind};

use args::Command;
use client::Client;

/// Runs one command to its end.
///
/// # Errors
/// With the one line that the person reads.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let source = cli.source;
    match cli.command {
        Command::Up(command) => serve::up(&source, command).await,
        Command::Serve(command) => serve::serve(&source, command).await,
        Command::Config(command) => configuration::run(&source, &command),
        Command::List(command) => workspaces::list(&mut client(&source)?, command).await,
        Command::Create(command) => workspaces::create(&mut client(&source)?, command).await,
        Command::Start(command) => {
            workspaces::act(&mut client(&source)?, workspaces::Action::Start, command).await
        }
        Command::Stop(command) => {
            workspaces::act(&mut client(&source)?, workspaces::Action::Stop, command).await
        }
        Command::Restart(command) => {
            workspaces::act(&mut client(&source)?, workspaces::Action::Restart, command).await
        }
        Command::Rebuild(command) => workspaces::rebuild(&mut client(&source)?, command).await,
        Command::Delete(command) => workspaces::delete(&mut client(&source)?, command).await,
        Command::Status(command) => workspaces::status(&mut client(&source)?, command).await,
        Command::Logs(command) => workspaces::logs(&mut client(&source)?, command).await,
        Command::Snapshots(command) => snapshots::run(&mut client(&source)?, command).await,
        Command::Clone(command) => snapshots::clone(&mut client(&source)?, command).await,
        Command::History(command) => snapshots::history(&mut client(&source)?, command).await,
        Command::Templates(command) => templates::run(&mut client(&source)?, command).await,
        Command::Users(command) => users::run(&mut client(&source)?, command).await,
        Command::Keys(command) => keys::run(&mut client(&source)?, command).await,
    }
}

/// Returns a client of the server that the flags, the environment or the
/// configuration file name.
fn client(source: &args::Source) -> Result<Client, Failure> {
    Ok(Client::new(
        &source.load(&args::Settings::default())?.data_dir,
    ))
}
