//! Meeting a server for the first time: whose certificate it shows.

use std::io::{self, IsTerminal as _};

use http::Method;

use super::Login;
use crate::cli::client::{Remote, Trust, Unanswered, explain, only, read_authority};
use crate::cli::contexts::{Context, ContextName};
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::fingerprint::Fingerprint;

/// Returns the way to the server, and the authority that it is known by from now on, where
/// this machine doesn't know one. A server that is `known` keeps its authority, unless the
/// command names another.
pub(super) async fn trusted(
    command: &Login,
    known: Option<(&ContextName, &Context)>,
) -> Result<(Remote, Option<String>), Failure> {
    let named = match (&command.ca, &command.fingerprint) {
        (Some(path), _) => Some(read_authority(path)?),
        (None, Some(expected)) => Some(compared(command, expected).await?),
        (None, None) => None,
    };
    if let Some(pem) = named {
        return pinned(command, pem).await;
    }
    let kept = known.and_then(|(_, context)| context.ca.clone());
    let trust = kept.clone().map_or(Trust::System, Trust::Pinned);
    match reached(command, &trust).await {
        Ok(remote) => Ok((remote, kept)),
        Err(error) => {
            use Unanswered::{Mistaken, Untrusted};
            match (&error, known) {
                (Untrusted(_) | Mistaken(_), Some((name, _))) => {
                    return Err(another(command, name));
                }
                (Untrusted(_), None) => {}
                // What else is wrong no person can judge.
                _ => return Err(flat(error)),
            }
            let pem = authority(command).await?;
            confirm(command, &pem)?;
            pinned(command, pem).await
        }
    }
}

/// Returns the way to a server whose authority is that one.
async fn pinned(command: &Login, pem: String) -> Result<(Remote, Option<String>), Failure> {
    let trust = Trust::Pinned(pem.clone());
    let remote = reached(command, &trust).await.map_err(flat)?;
    Ok((remote, Some(pem)))
}

fn another(command: &Login, name: &ContextName) -> Failure {
    let message = format!(
        "{} is known (context {name}), and its certificate is from another authority than \
         before: somebody may be in between. Where it was replaced, say --fingerprint as \
         `devgate status` shows it on the server, or --ca FILE",
        command.url
    );
    Failure::new(Kind::Unreachable, message)
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
        Ok(answer) => only(&answer),
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
