//! `devgate tokens`: what programs sign in with.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, segment};
use super::failure::{Failure, Kind};
use super::keys::default_user;
use super::login::{ScopeWord, seconds};
use super::output::{self, Format, printable, table};
use crate::config::Period;
use crate::http::admin::wire::WorkspaceView;
use crate::http::api::wire::{AddToken, NewToken, Token};
use crate::identity::{Action, Narrowing};
use crate::names::{TokenId, UserName, WorkspaceName};

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token; it is printed once, and nowhere else ever again
    ///
    /// Narrowed to a workspace, to actions or to a folder it can be handed to a program: the
    /// rest of the account stays out of its reach.
    Create(Create),
    /// List the tokens, without what they are
    #[command(visible_alias = "ls")]
    List(List),
    /// Delete tokens; what they have open ends within a second
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// Whose token.
#[derive(Debug, Args)]
struct Whose {
    /// Whose it is [default: the user named like you, else the only one]
    #[arg(long, value_name = "USER")]
    user: Option<UserName>,
}

/// `devgate tokens create`.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// What to call it
    #[arg(value_name = "NAME")]
    name: String,
    /// How much of the account it is
    #[arg(long, value_enum, default_value_t = ScopeWord::Write)]
    scope: ScopeWord,
    /// For how long, as in 2h [default: until it is deleted]
    #[arg(long, value_name = "TIME")]
    expires: Option<Period>,
    /// The one workspace that it reaches: of those of that name, the one of whose token it is
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// What it may do, several separated by commas: view, run, manage, snapshots, files-read,
    /// files-write, processes, terminals, ports, editor, ssh [default: all]
    #[arg(long = "action", value_name = "ACTION", value_delimiter = ',', value_parser = action)]
    actions: Vec<Action>,
    /// The folder whose files it reaches, absolute or from the home; it can do nothing else
    /// then than view, files-read and files-write
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    format: Format,
}

/// `devgate tokens list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    format: Format,
}

/// `devgate tokens delete`.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Their ids, as `devgate tokens list` shows them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    format: Format,
}

/// Runs one of them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(command) => create(client, command).await,
        Command::List(command) => list(client, command).await,
        Command::Delete(command) => delete(client, command).await,
    }
}

async fn create(client: &mut Client, command: Create) -> Result<(), Failure> {
    let user = user(client, &command.whose).await?;
    let workspace = match &command.workspace {
        Some(named) => Some(workspace(client, named, &user).await?.id),
        None => None,
    };
    let actions = match (command.actions.is_empty(), &command.folder) {
        (false, _) => Some(command.actions.into_iter().collect()),
        (true, Some(_)) => Some(BTreeSet::from([
            Action::View,
            Action::FilesRead,
            Action::FilesWrite,
        ])),
        (true, None) => None,
    };
    let narrowing = Narrowing {
        workspace,
        actions,
        folder: command.folder,
    };
    let new = AddToken {
        name: command.name,
        scope: command.scope.into(),
        expires_at: None,
        expires_in_seconds: command.expires.map(|period| seconds(period.get())),
        narrowed_to: (narrowing != Narrowing::default()).then_some(narrowing),
    };
    let made: NewToken = client.post(&path(&user), &new).await?;
    // Alone, so that a script takes it as it is.
    command
        .format
        .print(&made, |made| format!("{}\n", printable(&made.token)))
}

/// Finds the workspace that a token is for: a name alone is that of the token's owner, if they
/// have one of that name.
async fn workspace(
    client: &mut Client,
    named: &str,
    user: &UserName,
) -> Result<WorkspaceView, Failure> {
    let get = |named: &str| format!("/workspaces/{}", segment(named));
    if named.parse::<WorkspaceName>().is_ok() {
        let theirs = client.get(&get(&format!("{named}.{user}"))).await;
        match theirs {
            // It is an id, or a workspace that somebody shares.
            Err(failure) if failure.kind() == Kind::NotFound => {}
            theirs => return theirs,
        }
    }
    client.get(&get(named)).await
}

async fn list(client: &mut Client, command: List) -> Result<(), Failure> {
    let path = path(&user(client, &command.whose).await?);
    let tokens: Vec<Token> = client.get(&path).await?;
    command.format.print(&tokens, |tokens| {
        if tokens.is_empty() {
            return "No tokens. Make one with: devgate tokens create NAME\n".to_owned();
        }
        let moment = |at: Option<_>| at.map_or_else(|| "never".to_owned(), output::time);
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                [
                    token.id.to_string(),
                    printable(&token.name),
                    word(&token.scope),
                    token.narrowed_to.as_ref().map(narrowed).unwrap_or_default(),
                    moment(token.expires_at),
                    moment(token.last_used),
                ]
            })
            .collect();
        let head = ["ID", "NAME", "SCOPE", "NARROWED TO", "EXPIRES", "LAST USED"];
        table(head, &rows)
    })
}

async fn delete(client: &mut Client, command: Delete) -> Result<(), Failure> {
    let path = path(&user(client, &command.whose).await?);
    // Before the first one is deleted.
    let ids: Result<Vec<_>, _> = command.ids.iter().map(|id| token_id(id)).collect();
    let ids = ids?;
    for id in &ids {
        client.delete(&format!("{path}/{id}")).await?;
        command.format.step(&format!("{id} is deleted\n"))?;
    }
    command.format.done("deleted", &ids)
}

/// Reads an id; what can't be one is no token's.
fn token_id(text: &str) -> Result<TokenId, Failure> {
    text.parse().map_err(|_| {
        let text = printable(text);
        let message = format!("there is no such token {text}: `devgate tokens list` shows all");
        Failure::new(Kind::NotFound, message)
    })
}

async fn user(client: &mut Client, whose: &Whose) -> Result<UserName, Failure> {
    match &whose.user {
        Some(user) => Ok(user.clone()),
        None => default_user(client, "whose token is it?").await,
    }
}

fn path(user: &UserName) -> String {
    format!("/users/{}/tokens", segment(user.as_str()))
}

/// Says in a cell what a token is narrowed to.
fn narrowed(to: &Narrowing) -> String {
    let workspace = to.workspace.as_ref().map(|id| format!("workspace {id}"));
    let actions = to.actions.as_ref().map(|actions| {
        let words: Vec<_> = actions.iter().map(word).collect();
        words.join(",")
    });
    let folder = to.folder.as_ref().map(|folder| printable(folder));
    let parts: Vec<String> = [workspace, actions, folder].into_iter().flatten().collect();
    parts.join("; ")
}

/// Returns the word that stands for something in JSON.
fn word(of: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(of).ok();
    word.and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn action(text: &str) -> Result<Action, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}
