//! Meeting a server for the first time: whose certificate it shows.

use std::io::{self, IsTerminal as _};

use http::Method;

use super::{Login, read_ca};
use crate::cli::client::{Remote, Trust, Unanswered, explain};
use crate::cli::contexts::Context;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::fingerprint::Fingerprint;

/// Returns the way to the server, and the authority that it is known by from now on, where
/// this machine doesn't know one.
pub(super) async fn trusted(
    command: &Login,
    before: Option<&Context>,
) -> Result<(Remote, Option<String>), Failure> {
    let given = match (&command.ca, &command.fingerprint) {
        (Some(path), _) => Some(read_ca(path)?),
        (None, Some(expected)) => Some(compared(command, expected).await?),
        (None, None) => before.and_then(|before| before.ca.clone()),
    };
    if let Some(pem) = given {
        let trust = Trust::Pinned(pem.clone());
        let remote = reached(command, &trust).await.map_err(flat)?;
        return Ok((remote, Some(pem)));
    }
    match reached(command, &Trust::System).await {
        Ok(remote) => Ok((remote, None)),
        Err(Unanswered::Untrusted(_)) => {
            let pem = authority(command).await?;
            confirm(command, &pem)?;
            let trust = Trust::Pinned(pem.clone());
            let remote = reached(command, &trust).await.map_err(flat)?;
            Ok((remote, Some(pem)))
        }
        Err(error) => Err(flat(error)),
    }
}

fn flat(error: Unanswered) -> Failure {
    explain(error, "the server")
}

/// Sees whether a server is trusted, and is devgate.
async fn reached(command: &Login, trust: &Trust) -> Result<Remote, Unanswered> {
    let mut remote = Remote::new(command.url.clone(), trust, None)?;
    match remote.ask(Method::GET, "/openapi.json", None).await {
        Ok(_) => Ok(remote),
        Err(Unanswered::Refused(problem)) if problem.code.is_empty() => {
            let message = format!(
                "{} doesn't answer as devgate does ({}): check the address",
                command.url, problem.detail
            );
            Err(Failure::new(Kind::Unreachable, message).into())
        }
        Err(error) => Err(error),
    }
}

/// Asks a server for its own authority, whoever it is. Nothing secret is sent.
async fn authority(command: &Login) -> Result<String, Failure> {
    let mut remote = Remote::new(command.url.clone(), &Trust::Anybody, None)?;
    match remote.ask(Method::GET, "/ca", None).await {
        Ok(pem) => Ok(String::from_utf8_lossy(&pem).into_owned()),
        Err(Unanswered::Refused(_)) => {
            let message = format!(
                "the certificate of {} is of an authority that this machine doesn't know: name \
                 it with --ca FILE",
                command.url
            );
            Err(Failure::new(Kind::Unreachable, message))
        }
        Err(error) => Err(flat(error)),
    }
}

async fn compared(command: &Login, expected: &Fingerprint) -> Result<String, Failure> {
    let pem = authority(command).await?;
    let found = fingerprint(&pem)?;
    if found == *expected {
        return Ok(pem);
    }
    let message = format!(
        "the authority of {} has the fingerprint {found}, not the one that was given: compare \
         it with `devgate status` on the server; somebody may be in between",
        command.url
    );
    Err(Failure::new(Kind::Unreachable, message))
}

fn fingerprint(pem: &str) -> Result<Fingerprint, Failure> {
    let unreadable = || Failure::new(Kind::Failed, "the server's authority can't be read");
    Fingerprint::of(pem).ok_or_else(unreadable)
}

/// Asks whether it is the right server, on a terminal; refuses elsewhere.
fn confirm(command: &Login, pem: &str) -> Result<(), Failure> {
    let found = fingerprint(pem)?;
    let url = &command.url;
    if !io::stdin().is_terminal() {
        let message = format!(
            "the certificate of {url} is of devgate's own authority, with the fingerprint \
             {found}: compare that with `devgate status` on the server, then say --fingerprint \
             {found}"
        );
        return Err(Failure::new(Kind::Unreachable, message));
    }
    output::note(&format!(
        "The certificate of {url} is of devgate's own authority, with the fingerprint\n\n    \
         {found}\n\nOn the server's machine `devgate status` shows it. Is it the same? [y/N]"
    ));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, "nobody was signed in"))
}
