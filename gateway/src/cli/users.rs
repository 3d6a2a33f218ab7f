//! `devgate users`: the people who may connect.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::client::{Client, segment};
use super::confirm::confirm;
use super::failure::Failure;
use super::keys;
use super::output::{self, Format, table};
use crate::http::admin::wire::{NewUser, RoleName, SignInLink, UserView};
use crate::http::problem::Problem;
use crate::names::UserName;
use crate::store::StoreError;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a user
    Add(Add),
    /// List the users
    #[command(visible_alias = "ls")]
    List(List),
    /// Remove users who have no workspaces, with their keys
    #[command(visible_alias = "rm")]
    Remove(Remove),
    /// Print a link that signs a user in once, within a day, at the dashboard
    Link(Link),
}

/// `devgate users link`.
#[derive(Debug, Args)]
pub(super) struct Link {
    /// Name of the user
    name: UserName,
    #[command(flatten)]
    format: Format,
}

/// `devgate users add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name of the user: a-z, 0-9 and hyphens, at most 40
    name: UserName,
    /// What the user may do
    #[arg(long, value_enum, default_value_t = RoleName::Member)]
    role: RoleName,
    /// File with public keys of the user; may be given several times
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    format: Format,
}

/// `devgate users list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: Format,
}

/// `devgate users remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Names of users
    #[arg(required = true, value_name = "USER")]
    names: Vec<UserName>,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

/// Runs one of them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(command) => add(client, command).await,
        Command::List(command) => list(client, command).await,
        Command::Remove(command) => remove(client, command).await,
        Command::Link(command) => link(client, command).await,
    }
}

async fn link(client: &mut Client, command: Link) -> Result<(), Failure> {
    let path = format!("/users/{}/link", segment(command.name.as_str()));
    let link: SignInLink = client.post(&path, &()).await?;
    command.format.print(&link, |link| {
        let until = output::time(link.expires_at);
        format!(
            "{}\nIt signs {} in once, until {until}.\n",
            link.url, command.name
        )
    })
}

async fn add(client: &mut Client, command: Add) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for file in &command.key {
        lines.extend(keys::read(file)?.iter().map(keys::line));
    }
    let request = NewUser {
        name: command.name,
        role: command.role,
        keys: lines,
    };
    let user: UserView = client.post("/users", &request).await?;
    command.format.print(&user, |user| {
        let next = if user.keys == Some(0) {
            format!(
                "; add a key with: devgate keys add --user {} FILE",
                user.name
            )
        } else {
            String::new()
        };
        format!("{} is added{next}\n", user.name)
    })
}

async fn list(client: &mut Client, command: List) -> Result<(), Failure> {
    let users: Vec<UserView> = client.get("/users").await?;
    command.format.print(&users, |users| {
        let rows: Vec<_> = users
            .iter()
            .map(|user| {
                let role = match user.role {
                    RoleName::Admin => "admin",
                    RoleName::Member => "member",
                };
                [
                    user.name.to_string(),
                    role.to_owned(),
                    user.keys
                        .map_or_else(|| "-".to_owned(), |keys| keys.to_string()),
                    user.workspaces.to_string(),
                ]
            })
            .collect();
        table(["NAME", "ROLE", "KEYS", "WORKSPACES"], &rows)
    })
}

async fn remove(client: &mut Client, command: Remove) -> Result<(), Failure> {
    // Before anybody is asked, and before the first one is removed.
    let users: Vec<UserView> = client.get("/users").await?;
    for name in &command.names {
        match users.iter().find(|user| user.name == *name) {
            None => return Err(refused(StoreError::NoSuchUser(name.clone()))),
            Some(user) if user.workspaces > 0 => {
                return Err(refused(StoreError::UserHasWorkspaces(name.clone())));
            }
            Some(_) => {}
        }
    }
    if !command.yes {
        let names: Vec<_> = command.names.iter().map(UserName::as_str).collect();
        let question = format!("Remove {} and their keys?", names.join(", "));
        confirm(client, &question)?;
    }
    for name in &command.names {
        client
            .delete(&format!("/users/{}", segment(name.as_str())))
            .await?;
        command.format.step(&format!("{name} is removed\n"))?;
    }
    command.format.done("removed", &command.names)
}

/// Refuses in the server's own words.
fn refused(error: StoreError) -> Failure {
    Problem::from(error).into()
}
