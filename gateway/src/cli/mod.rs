//! The command line: the server's own commands, and those that ask a running server,
//! through the socket in its data folder or from elsewhere.

mod args;
mod certificate;
mod client;
mod completions;
mod config_ssh;
mod configuration;
mod confirm;
mod context;
mod contexts;
mod cp;
mod deleted;
mod desktop;
mod doctor;
mod exec;
mod failure;
mod forward;
mod greeting;
mod history;
mod inside;
mod keys;
mod lifetime;
mod limits;
mod login;
mod logs;
mod open;
mod output;
mod proxy;
mod ready;
mod renaming;
mod secrets;
mod serve;
mod sleep;
mod snapshots;
mod ssh;
mod status;
mod templates;
mod there;
mod tokens;
mod users;
mod which;
mod workspaces;

pub use args::Cli;
pub use completions::complete;
pub use failure::{Failure, Kind};

use args::Command;
use which::client;

/// Runs one command to its end.
///
/// # Errors
/// With the one line that the person reads.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let source = cli.source;
    match cli.command {
        Command::Up(command) => Box::pin(serve::up(&source, command)).await,
        Command::Serve(command) => Box::pin(serve::serve(&source, command)).await,
        Command::Config(command) => configuration::run(&source, &command),
        Command::Login(command) => Box::pin(login::login(&source, command)).await,
        Command::Logout(command) => login::logout(&source, command).await,
        Command::Context(command) => context::run(&source, command),
        Command::Ssh(command) => ssh::run(&mut client(&source)?, command).await,
        Command::SshCertificate(command) => certificate::run(&mut client(&source)?, command).await,
        Command::ConfigSsh(command) => config_ssh::run(&source, command).await,
        Command::Proxy(command) => proxy::run(&mut client(&source)?, command).await,
        Command::Exec(command) => Box::pin(exec::run(&source, command)).await,
        Command::Cp(command) => Box::pin(cp::run(&mut client(&source)?, command)).await,
        Command::PortForward(command) => {
            Box::pin(forward::run(&mut client(&source)?, command)).await
        }
        Command::Open(command) => Box::pin(open::run(&mut client(&source)?, command)).await,
        Command::Doctor(command) => Box::pin(doctor::run(&source, command)).await,
        Command::Completions(command) => completions::completions(command),
        Command::Man(command) => completions::man(&command),
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
        Command::Delete(command) => deleted::delete(&mut client(&source)?, command).await,
        Command::Restore(command) => deleted::restore(&mut client(&source)?, command).await,
        Command::Purge(command) => deleted::purge(&mut client(&source)?, command).await,
        Command::Extend(command) => lifetime::extend(&mut client(&source)?, command).await,
        Command::Rename(command) => renaming::rename(&mut client(&source)?, command).await,
        Command::Transfer(command) => renaming::transfer(&mut client(&source)?, command).await,
        Command::Sleep(command) => {
            workspaces::act(&mut client(&source)?, workspaces::Action::Sleep, command).await
        }
        Command::Why(command) => sleep::why(&mut client(&source)?, command).await,
        Command::KeepAwake(command) => {
            let command = inside::hand_over(&source, command)?;
            sleep::keep_awake(&mut client(&source)?, command).await
        }
        Command::Schedule(command) => sleep::schedule(&mut client(&source)?, command).await,
        Command::Status(command) => status::run(&mut client(&source)?, command).await,
        Command::Limits(command) => limits::run(&mut client(&source)?, command).await,
        Command::Logs(command) => logs::logs(&mut client(&source)?, command).await,
        Command::Snapshots(command) => snapshots::run(&mut client(&source)?, command).await,
        Command::Clone(command) => snapshots::clone(&mut client(&source)?, command).await,
        Command::History(command) => history::history(&mut client(&source)?, command).await,
        Command::Templates(command) => templates::run(&mut client(&source)?, command).await,
        Command::Users(command) => users::run(&mut client(&source)?, command).await,
        Command::Keys(command) => keys::run(&mut client(&source)?, command).await,
        Command::Tokens(command) => tokens::run(&mut client(&source)?, command).await,
        Command::Secrets(command) => secrets::run(&mut client(&source)?, command).await,
    }
}
