//! The program `devgate`: server and command line.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use devgate::cli::{self, Cli, Failure, Kind};

/// How long what still blocks a thread may take once a command that is no server is done.
const GOODBYE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    cli::complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let serves = cli.serves();
            let result = runtime.block_on(cli::run(cli));
            if serves {
                // What a server still writes is waited for.
                drop(runtime);
            } else {
                // A read of stdin that nobody waits for any more isn't.
                runtime.shutdown_timeout(GOODBYE);
            }
            result
        }
        Err(error) => Err(Failure::new(Kind::Failed, format!("cannot start: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Says how the command line was misused, or what help was asked for. A value that
/// isn't valid is said in one line, in the words of what checked it.
fn misused(error: &clap::Error) -> ExitCode {
    match error.source() {
        Some(cause) if error.kind() == ErrorKind::ValueValidation => {
            Failure::new(Kind::Usage, cause.to_string()).report()
        }
        _ => error.exit(),
    }
}
