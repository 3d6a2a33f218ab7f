//! Asking before something is done that can't be undone.

use std::io::{self, IsTerminal as _};

use super::client::Client;
use super::failure::{Failure, Kind};
use super::output;

/// Asks on a terminal, and refuses elsewhere.
pub(super) fn confirm(client: &Client, question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Kind::Usage,
            "this asks first: say --yes where nobody can be asked",
        ));
    }
    output::note(&asked(client.elsewhere().as_deref(), question));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, "nothing was done"))
}

/// Returns what is asked: it names the server where that isn't this machine's.
fn asked(elsewhere: Option<&str>, question: &str) -> String {
    match elsewhere {
        None => format!("{question} [y/N]"),
        Some(server) => format!("At {server}: {question} [y/N]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_a_server_elsewhere() {
        let elsewhere = asked(Some("work (https://dev.example.com)"), "Delete it?");
        assert!(elsewhere.contains("https://dev.example.com"), "{elsewhere}");
        assert_eq!(asked(None, "Delete it?"), "Delete it? [y/N]");
    }
}
