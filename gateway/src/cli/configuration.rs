//! `devgate config`: what the server would run with.

use clap::{Args, Subcommand};
use time::OffsetDateTime;

use super::args::{Settings, Source};
use super::failure::{Failure, Kind};
use super::output::{self, Format};
use crate::chain::chain;
use crate::config::named;
use crate::server::given;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the configuration as TOML, as the file, the environment and the
    /// flags make it
    Print(Print),
    /// Check the configuration and say nothing if it is good
    Check(Check),
}

/// `devgate config print`.
#[derive(Debug, Args)]
pub(super) struct Print {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    format: Format,
}

/// `devgate config check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    settings: Settings,
}

/// Runs one of them.
pub(super) fn run(source: &Source, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Check(check) => {
            let config = source.load(&check.settings)?;
            let told = named(&config)
                .map_err(|(key, problem)| Failure::new(Kind::Usage, format!("{key}: {problem}")))?;
            if let Some(told) = told {
                output::note(&format!("devgate: warning: {told}"));
            }
            // As the start does.
            let given = given(&config.http);
            let given = given.map_err(|error| Failure::new(Kind::Usage, chain(&error)))?;
            let problem = given.and_then(|given| given.untimely(OffsetDateTime::now_utc()));
            if let Some(problem) = problem {
                output::note(&format!("devgate: warning: {problem}"));
            }
            Ok(())
        }
        Command::Print(print) => {
            let config = source.load(&print.settings)?;
            let toml = config
                .to_toml()
                .map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
            print.format.print(&config, |_| toml)
        }
    }
}
