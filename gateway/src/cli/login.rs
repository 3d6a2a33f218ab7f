//! `devgate login` and `devgate logout`: signing in to a server elsewhere.

mod approval;
mod first_contact;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use devgate_protocol::Secret;
use http::Method;
use serde::Serialize;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::args::Source;
use super::client::{Remote, Unanswered, explain, read};
use super::contexts::{Context, ContextName, Contexts};
use super::failure::{Failure, Kind};
use super::output::{self, Format};
use super::which::{Which, which};
use crate::config::Period;
use crate::fingerprint::Fingerprint;
use crate::http::Origin;
use crate::http::api::wire::{Me, ScopeName};
use crate::names::{TokenId, UserName};

/// Longest token that is read, in bytes.
const MAX_TOKEN: u64 = 1024;

/// Largest file of an authority, in bytes.
const MAX_CA: u64 = 256 * 1024;

/// `devgate login`.
#[derive(Debug, Args)]
pub(super) struct Login {
    #[arg(
        value_name = "URL",
        help = "Address of the server, as in https://dev.example.com:8443"
    )]
    url: Origin,
    /// What to call it from now on [default: its host]
    #[arg(long, value_name = "NAME")]
    name: Option<ContextName>,
    /// Read an API token from stdin, instead of asking for one in the browser: `--token -`
    #[arg(long, value_name = "-", value_parser = stdin_alone, conflicts_with_all = ["scope", "expires"])]
    token: Option<Stdin>,
    /// What is asked for, within what you may do yourself
    #[arg(long, value_enum, default_value_t = ScopeWord::Admin)]
    scope: ScopeWord,
    /// For how long
    #[arg(long, value_name = "TIME", default_value = "90d")]
    expires: Period,
    /// Authority that the server's certificate is issued by, PEM; `certs/ca.pem` of its data
    /// folder
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Fingerprint of the server's own authority, SHA256:…, as `devgate status` shows it there
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "ca")]
    fingerprint: Option<Fingerprint>,
    /// Open no browser
    #[arg(long)]
    no_browser: bool,
    #[command(flatten)]
    format: Format,
}

/// `devgate logout`.
#[derive(Debug, Args)]
pub(super) struct Logout {
    /// Forget the token here where the server can't be asked to end it
    #[arg(long)]
    forget: bool,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScopeWord {
    /// To see
    Read,
    /// To change workspaces, too
    Write,
    /// All that you may do, your keys and tokens included
    Admin,
}

/// The only place that a token is read from: arguments are everybody's to see.
#[derive(Clone, Copy, Debug)]
struct Stdin;

fn stdin_alone(text: &str) -> Result<Stdin, String> {
    if text == "-" {
        return Ok(Stdin);
    }
    Err(
        "a token is no argument, as all on this machine can see those: write --token - and \
         give it on stdin"
            .to_owned(),
    )
}

impl From<ScopeWord> for ScopeName {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Read => Self::Read,
            ScopeWord::Write => Self::Write,
            ScopeWord::Admin => Self::Admin,
        }
    }
}

/// A token that signs somebody in.
struct Token {
    user: UserName,
    secret: Secret<String>,
    id: Option<TokenId>,
    expires: Option<OffsetDateTime>,
}

#[derive(Debug, Serialize)]
struct SignedIn {
    context: ContextName,
    url: String,
    user: UserName,
    #[serde(with = "rfc3339::option")]
    expires: Option<OffsetDateTime>,
}

/// Signs in to a server.
pub(super) async fn login(command: Login) -> Result<(), Failure> {
    let name = name(&command)?;
    let before = Contexts::read()?.contexts.remove(&name);
    let (mut remote, ca) = first_contact::trusted(&command, before.as_ref()).await?;
    let token = match command.token {
        Some(Stdin) => given(&mut remote, &name).await?,
        None => approval::ask(&mut remote, &command, &name).await?,
    };
    let context = Context {
        url: command.url.to_string(),
        user: Some(token.user.clone()),
        token: Some(token.secret),
        token_id: token.id,
        expires: token.expires,
        ca,
    };
    Contexts::change(|contexts| {
        contexts.contexts.insert(name.clone(), context.clone());
        contexts.current = Some(name.clone());
    })?;
    if let Some(before) = before {
        // Nothing knows it any more.
        let same = before.token == context.token;
        if !same && end(&before, name.as_str()).await.is_err() {
            output::note("devgate: warning: the token of before isn't ended: see your tokens");
        }
    }
    let signed = SignedIn {
        context: name,
        url: command.url.to_string(),
        user: token.user,
        expires: token.expires,
    };
    command.format.print(&signed, |signed| {
        let SignedIn {
            context, url, user, ..
        } = signed;
        format!("{user} is signed in at {url}; commands mean it from now on (context {context})\n")
    })
}

/// Returns what the server will be called: its name isn't taken from another one.
fn name(command: &Login) -> Result<ContextName, Failure> {
    let own = || ContextName::of_host(command.url.host());
    let name = command.name.clone().or_else(own);
    let name = name.ok_or_else(|| Failure::new(Kind::Usage, "say what to call it: --name NAME"))?;
    let contexts = Contexts::read()?;
    match contexts.contexts.get(&name) {
        Some(other) if other.url != command.url.to_string() => {
            let message = format!(
                "{name} is {} already: choose another name with --name",
                other.url
            );
            Err(Failure::new(Kind::Usage, message))
        }
        _ => Ok(name),
    }
}

/// Takes a token from stdin.
async fn given(remote: &mut Remote, name: &ContextName) -> Result<Token, Failure> {
    let mut text = String::new();
    std::io::stdin().take(MAX_TOKEN).read_to_string(&mut text)?;
    let secret = Secret::new(text.trim().to_owned());
    remote.show(secret.clone());
    let answer = remote.ask(Method::GET, "/me", None).await;
    let refused = |error| match error {
        Unanswered::Refused(problem) if problem.code == "signed-out" => Failure::new(
            Kind::Denied,
            format!("{name} doesn't know this token, or no longer: make one at its dashboard"),
        ),
        error => explain(error, name.as_str()),
    };
    let me: Me = read(super::client::parse(&answer.map_err(refused)?)?)?;
    Ok(Token {
        user: me.name,
        secret,
        id: me.token,
        expires: None,
    })
}

/// Ends what somebody is signed in with, here and on the server.
pub(super) async fn logout(source: &Source, command: Logout) -> Result<(), Failure> {
    let Which::Named(name, context) = which(source)? else {
        let message = "nobody is signed in to a server elsewhere: `devgate context list` shows \
                       where, --context says which one is meant";
        return Err(Failure::new(Kind::Usage, message));
    };
    if context.token.is_none() {
        return output::write(&format!("nobody is signed in at {name}\n"));
    }
    let ended = end(&context, name.as_str()).await;
    let how = match ended {
        Ok(()) => "signed out",
        Err(_) if command.forget => "forgotten here; the token goes on until it expires",
        Err(failure) => {
            let message = format!("{failure} (--forget forgets the token here all the same)");
            return Err(Failure::new(failure.kind(), message));
        }
    };
    Contexts::change(|contexts| {
        if let Some(context) = contexts.contexts.get_mut(&name) {
            context.token = None;
            context.token_id = None;
            context.expires = None;
        }
    })?;
    output::write(&format!("{name}: {how}\n"))
}

/// Has a server end a context's token; one that has ended is fine.
async fn end(context: &Context, name: &str) -> Result<(), Failure> {
    let Some(id) = &context.token_id else {
        return Ok(());
    };
    let path = format!("/me/tokens/{id}");
    match context.remote()?.ask(Method::DELETE, &path, None).await {
        Err(Unanswered::Refused(problem)) if matches!(problem.status, 401 | 404) => Ok(()),
        answer => answer.map(|_| ()).map_err(|error| explain(error, name)),
    }
}

/// Reads an authority's certificate.
pub(super) fn read_ca(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::new(Kind::Usage, message)
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_CA)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// Returns the time that a token lasts at most, as it is asked for.
fn seconds(period: Duration) -> u32 {
    u32::try_from(period.as_secs()).unwrap_or(u32::MAX)
}
