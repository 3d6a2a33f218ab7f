//! `devgate login` and `devgate logout`: signing in to a server elsewhere.

mod approval;
mod first_contact;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use devgate_protocol::Secret;
use http::Method;
use serde::Serialize;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::args::Source;
use super::certificate;
use super::client::{Remote, Rest, Unanswered, explain, read};
use super::contexts::{Context, ContextName, Contexts};
use super::failure::{Failure, Kind};
use super::output::{self, Format};
use super::which::{Which, from_now_on, which};
use crate::config::Period;
use crate::fingerprint::Fingerprint;
use crate::http::Origin;
use crate::http::api::wire::{Me, ScopeName};
use crate::names::{TokenId, UserName};

/// Longest token that is read, in bytes.
const MAX_TOKEN: u64 = 1024;

/// `devgate login`.
#[derive(Debug, Args)]
pub(super) struct Login {
    #[arg(
        value_name = "URL",
        help = "Address of the server, as in https://dev.example.com:8443"
    )]
    url: Origin,
    /// What to call it from now on, as --context does [default: its host]
    #[arg(long, value_name = "NAME")]
    name: Option<ContextName>,
    /// Read an API token from stdin, instead of asking for one in the browser: `--token -`
    #[arg(long, value_name = "-", value_parser = stdin_alone, conflicts_with_all = ["scope", "expires"])]
    token: Option<Stdin>,
    /// What is asked for, within what you may do yourself
    #[arg(long, value_enum, default_value_t = ScopeWord::Write)]
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
    /// Get a short-lived certificate for ssh, too, that needs no registered key
    #[arg(long)]
    ssh_certificate: bool,
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
    #[command(flatten)]
    format: Format,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ScopeWord {
    /// To see
    Read,
    /// To change your workspaces, snapshots and secrets, too
    Write,
    /// All that you may do: your keys and tokens, and as an administrator users, templates and
    /// what is others'
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

/// What became of a context's token.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    /// There was none.
    None,
    Ended,
    /// Here; it goes on.
    Forgotten,
}

#[derive(Debug, Serialize)]
struct SignedOut {
    context: ContextName,
    token: Fate,
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
pub(super) async fn login(source: &Source, mut command: Login) -> Result<(), Failure> {
    command.name = said(command.name, source.context.as_deref())?;
    let contexts = Contexts::read()?;
    let name = name(&command, &contexts)?;
    let known = known(&command, &contexts, &name);
    let (mut remote, ca) = first_contact::trusted(&command, known).await?;
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
        ..Context::default()
    };
    let replaced = match Contexts::change(|contexts| put(contexts, &name, &context)) {
        Ok(replaced) => replaced,
        Err(failure) => {
            // Nothing will know it.
            let made = command.token.is_none();
            if made && end(&context, name.as_str()).await.is_err() {
                output::note("devgate: warning: the new token isn't ended: see your tokens");
            }
            return Err(failure);
        }
    };
    if let Some(before) = replaced {
        // Nothing knows it any more.
        let same = before.token == context.token;
        if !same && end(&before, name.as_str()).await.is_err() {
            output::note("devgate: warning: the token of before isn't ended: see your tokens");
        }
    }
    let signed = SignedIn {
        context: name.clone(),
        url: command.url.to_string(),
        user: token.user,
        expires: token.expires,
    };
    command.format.print(&signed, |signed| {
        let SignedIn {
            context, url, user, ..
        } = signed;
        let meant = from_now_on(context.as_str());
        format!("{user} is signed in at {url}; {meant}\n")
    })?;
    let mut rest = Rest::new(name.to_string(), context.remote()?);
    if command.ssh_certificate {
        certificate::get_all(&mut rest).await
    } else {
        certificate::get_again(&mut rest).await
    }
}

/// Returns the name that was said: other commands know a server by its context.
fn said(name: Option<ContextName>, context: Option<&str>) -> Result<Option<ContextName>, Failure> {
    let usage = |message: String| Failure::new(Kind::Usage, message);
    let context = context.map(str::parse::<ContextName>);
    let context = context.transpose().map_err(usage)?;
    match (name, context) {
        (Some(name), Some(context)) if name != context => Err(usage(format!(
            "--name {name} and --context {context} are two names for one server: leave one out"
        ))),
        (name, context) => Ok(name.or(context)),
    }
}

/// Returns what the server will be called.
fn name(command: &Login, contexts: &Contexts) -> Result<ContextName, Failure> {
    let own = || ContextName::of_host(command.url.host());
    let name = command.name.clone().or_else(own);
    let name = name.ok_or_else(|| Failure::new(Kind::Usage, "say what to call it: --name NAME"))?;
    free(contexts, &name, &command.url.to_string())?;
    Ok(name)
}

/// Sees that a name isn't taken from another server.
fn free(contexts: &Contexts, name: &ContextName, url: &str) -> Result<(), Failure> {
    match contexts.named.get(name) {
        Some(other) if other.url != url => {
            let message = format!(
                "{name} is {} already: choose another name with --name",
                other.url
            );
            Err(Failure::new(Kind::Usage, message))
        }
        _ => Ok(()),
    }
}

/// Returns what is known of the server: by its name, or by its address.
fn known<'a>(
    command: &Login,
    contexts: &'a Contexts,
    name: &ContextName,
) -> Option<(&'a ContextName, &'a Context)> {
    let url = command.url.to_string();
    let named = contexts.named.get_key_value(name);
    named.or_else(|| contexts.named.iter().find(|(_, other)| other.url == url))
}

/// Puts a server in its place, and returns what stood there. Whoever signed in meanwhile
/// may have taken the name.
fn put(
    contexts: &mut Contexts,
    name: &ContextName,
    context: &Context,
) -> Result<Option<Context>, Failure> {
    free(contexts, name, &context.url)?;
    contexts.current = Some(name.clone());
    Ok(contexts.named.insert(name.clone(), context.clone()))
}

/// Takes a token from stdin.
async fn given(remote: &mut Remote, name: &ContextName) -> Result<Token, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_TOKEN + 1)
        .read_to_string(&mut text)?;
    if text.len() > MAX_TOKEN.try_into().unwrap_or(usize::MAX) {
        let message = "what comes on stdin is longer than a token";
        return Err(Failure::new(Kind::Usage, message));
    }
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
        return signed_out(name, Fate::None, command.format);
    }
    let token = match end(&context, name.as_str()).await {
        Ok(()) => Fate::Ended,
        Err(_) if command.forget => Fate::Forgotten,
        Err(failure) => {
            let message = format!("{failure} (--forget forgets the token here all the same)");
            return Err(Failure::new(failure.kind(), message));
        }
    };
    Contexts::change(|contexts| {
        // Who signed in anew meanwhile stays so.
        let same = |found: &&mut Context| found.token == context.token;
        if let Some(found) = contexts.named.get_mut(&name).filter(same) {
            found.token = None;
            found.token_id = None;
            found.expires = None;
        }
        Ok(())
    })?;
    certificate::forget(name.as_str())?;
    signed_out(name, token, command.format)
}

fn signed_out(context: ContextName, token: Fate, format: Format) -> Result<(), Failure> {
    format.print(
        &SignedOut { context, token },
        |SignedOut { context, token }| match token {
            Fate::None => format!("nobody is signed in at {context}\n"),
            Fate::Ended => format!("{context}: signed out\n"),
            Fate::Forgotten => {
                format!("{context}: forgotten here; the token goes on until it expires\n")
            }
        },
    )
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

/// Returns the time that a token lasts at most, as it is asked for.
pub(super) fn seconds(period: Duration) -> u32 {
    u32::try_from(period.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_a_name_as_well_and_two_names_are_refused() {
        let name = |text: &str| text.parse::<ContextName>().unwrap();
        assert_eq!(said(None, None).unwrap(), None);
        assert_eq!(said(None, Some("work")).unwrap(), Some(name("work")));
        assert_eq!(said(Some(name("a")), Some("a")).unwrap(), Some(name("a")));
        for (one, other) in [(Some(name("a")), "b"), (None, "local"), (None, "a/b")] {
            let failure = said(one, Some(other)).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage, "{failure}");
            assert!(failure.to_string().contains(other), "{failure}");
        }
    }

    #[test]
    fn who_signs_in_meanwhile_keeps_the_name_or_has_their_token_returned() {
        let name: ContextName = "work".parse().unwrap();
        let context = |url: &str, token: &str| Context {
            url: url.to_owned(),
            token: Some(Secret::new(token.to_owned())),
            ..Context::default()
        };
        let mut contexts = Contexts::default();
        let first = context("https://a", "one");
        assert_eq!(put(&mut contexts, &name, &first).unwrap(), None);
        let second = context("https://a", "two");
        assert_eq!(put(&mut contexts, &name, &second).unwrap(), Some(first));
        let before = contexts.clone();
        let failure = put(&mut contexts, &name, &context("https://b", "three")).unwrap_err();
        assert!(failure.to_string().contains("--name"), "{failure}");
        assert_eq!(contexts, before);
    }
}
