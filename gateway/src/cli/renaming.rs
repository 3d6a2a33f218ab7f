//! `devgate rename` and `devgate transfer`.

use clap::Args;

use super::client::{Client, segment};
use super::failure::Failure;
use super::output::Format;
use super::workspaces::show;
use crate::http::admin::wire::{ChangeWorkspace, WorkspaceView};
use crate::http::wire::StateName;
use crate::identity::Target;
use crate::names::{UserName, WorkspaceName};

/// `devgate rename`.
#[derive(Debug, Args)]
pub(super) struct Rename {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// Its name from now on: a-z, 0-9 and hyphens, at most 40
    #[arg(value_name = "NAME")]
    name: WorkspaceName,
    #[command(flatten)]
    format: Format,
}

/// `devgate transfer`.
#[derive(Debug, Args)]
pub(super) struct Transfer {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// Whose it is from now on
    #[arg(value_name = "USER")]
    owner: UserName,
    /// Its name from now on [default: the one that it has]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<WorkspaceName>,
    #[command(flatten)]
    format: Format,
}

/// What a workspace's new owner has to know.
const GOES_ON: &str = "What runs in it goes on with the environment that it has, secrets of its \
                       owner until now included";

/// Gives a workspace another name.
pub(super) async fn rename(client: &mut Client, command: Rename) -> Result<(), Failure> {
    let change = ChangeWorkspace {
        name: Some(command.name),
        owner: None,
    };
    send(client, &command.workspace, &change, &command.format).await
}

/// Gives a workspace to somebody else.
pub(super) async fn transfer(client: &mut Client, command: Transfer) -> Result<(), Failure> {
    let change = ChangeWorkspace {
        name: command.name,
        owner: Some(command.owner),
    };
    send(client, &command.workspace, &change, &command.format).await
}

async fn send(
    client: &mut Client,
    target: &Target,
    change: &ChangeWorkspace,
    format: &Format,
) -> Result<(), Failure> {
    let before = show(client, target).await?;
    let path = format!("/workspaces/{}", segment(before.id.as_str()));
    let after: WorkspaceView = client.patch(&path, change).await?;
    format.print(&after, |after| {
        let (name, owner) = (&after.name, &after.owner);
        let done = format!("{}.{} is {name}.{owner} now\n", before.name, before.owner);
        if before.owner == *owner || after.state != StateName::Running {
            return done;
        }
        format!("{done}{GOES_ON}: devgate restart {name}.{owner} ends it\n")
    })
}
