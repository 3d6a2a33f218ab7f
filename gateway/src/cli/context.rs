//! `devgate context`: the servers elsewhere.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::args::Source;
use super::contexts::{ContextName, Contexts, LOCAL};
use super::failure::{Failure, Kind};
use super::output::{self, Format, printable, table};
use super::which::{Which, from_now_on, which};

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the servers that somebody signed in to from here
    #[command(visible_alias = "ls")]
    List(List),
    /// Choose the server that commands mean from now on
    Use(Use),
    /// Forget a server, once nobody is signed in there any more
    #[command(visible_alias = "rm")]
    Remove(Remove),
}

/// `devgate context list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: Format,
}

/// `devgate context use`.
#[derive(Debug, Args)]
pub(super) struct Use {
    /// Name of the context; `local` is the data folder on this machine
    name: String,
    #[command(flatten)]
    format: Format,
}

/// `devgate context remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Names of contexts
    #[arg(required = true, value_name = "NAME")]
    names: Vec<ContextName>,
    /// Also where somebody is signed in: the token goes on until it expires or is ended at
    /// the dashboard
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires: Option<OffsetDateTime>,
    /// Whether it is the one that commands mean.
    current: bool,
}

/// Runs one of them.
pub(super) fn run(source: &Source, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(command) => list(source, &command),
        Command::Use(command) => choose(&command),
        Command::Remove(command) => remove(&command),
    }
}

fn list(source: &Source, command: &List) -> Result<(), Failure> {
    let contexts = Contexts::read()?;
    let meant = match which(source)? {
        Which::Here => Some(LOCAL.to_owned()),
        Which::Named(name, _) => Some(name.to_string()),
        Which::Environment(_) => None,
    };
    let is_current = |name: &str| meant.as_deref() == Some(name);
    let mut shown = vec![Shown {
        name: LOCAL.to_owned(),
        url: None,
        user: None,
        expires: None,
        current: is_current(LOCAL),
    }];
    for (name, context) in &contexts.named {
        let signed_in = context.token.is_some();
        let user = context.user.as_ref().filter(|_| signed_in);
        shown.push(Shown {
            name: name.to_string(),
            url: Some(context.url.clone()),
            user: user.map(ToString::to_string),
            expires: context.expires.filter(|_| signed_in),
            current: is_current(name.as_str()),
        });
    }
    command.format.print(&shown, |shown| {
        let rows: Vec<_> = shown.iter().map(row).collect();
        table(["", "NAME", "SERVER", "USER", "EXPIRES"], &rows)
    })
}

fn row(shown: &Shown) -> [String; 5] {
    let here = || "(the data folder on this machine)".to_owned();
    [
        if shown.current { "*" } else { "" }.to_owned(),
        shown.name.clone(),
        shown.url.as_deref().map_or_else(here, printable),
        shown.user.clone().unwrap_or_else(|| "-".to_owned()),
        shown.expires.map_or_else(|| "-".to_owned(), output::time),
    ]
}

fn choose(command: &Use) -> Result<(), Failure> {
    let name = command.name.as_str();
    let current = if name == LOCAL {
        None
    } else {
        let name = name.parse::<ContextName>();
        let name = name.map_err(|why| Failure::new(Kind::Usage, why))?;
        Contexts::read()?.named(&name)?;
        Some(name)
    };
    Contexts::change(|contexts| {
        contexts.current = current;
        Ok(())
    })?;
    command.format.print(&json!({ "current": name }), |_| {
        format!("{}\n", from_now_on(name))
    })
}

fn remove(command: &Remove) -> Result<(), Failure> {
    let contexts = Contexts::read()?;
    for name in &command.names {
        if contexts.named(name)?.token.is_some() && !command.force {
            let message = format!(
                "somebody is signed in at {name}: end that with `devgate logout --context \
                 {name}`, or say --force"
            );
            return Err(Failure::new(Kind::Failed, message));
        }
    }
    let was_current = Contexts::change(|contexts| {
        let mut was_current = false;
        for name in &command.names {
            contexts.named.remove(name);
            let current = contexts.current.take_if(|current| current == name);
            was_current |= current.is_some();
        }
        Ok(was_current)
    })?;
    for name in &command.names {
        command.format.step(&format!("{name} is removed\n"))?;
    }
    if was_current {
        command.format.step(&format!("{}\n", from_now_on(LOCAL)))?;
    }
    command.format.done("removed", &command.names)
}
