//! The commands about deleted workspaces: deleting, restoring, removing for good.

use clap::Args;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::client::{Client, segment};
use super::confirm::confirm;
use super::failure::{Failure, Kind};
use super::output::{self, Format, Progress, printable, table};
use super::workspaces::{Waiting, deleted_meanwhile, sentence, show, wait, word};
use crate::http::admin::wire::{Restore as Request, StateName, WorkspaceView};
use crate::identity::Target;
use crate::names::{UserName, WorkspaceId, WorkspaceName};

/// `devgate delete`.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// WORKSPACE, or WORKSPACE.OWNER
    #[arg(required = true, value_name = "WORKSPACE")]
    workspaces: Vec<Target>,
    /// Remove their homes at once: they can't be restored
    #[arg(long)]
    purge: bool,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// `devgate restore`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// WORKSPACE, WORKSPACE.OWNER, or its id where several had the name
    workspace: Target,
    /// Its name from now on [default: the one that it had]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<WorkspaceName>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// `devgate purge`.
#[derive(Debug, Args)]
pub(super) struct Purge {
    /// WORKSPACE, WORKSPACE.OWNER, or its id where several had the name
    #[arg(
        required_unless_present = "owner",
        conflicts_with = "owner",
        value_name = "WORKSPACE"
    )]
    workspaces: Vec<Target>,
    /// All deleted workspaces of this user
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// A workspace that was to be deleted.
#[derive(Debug, Serialize)]
struct Ended {
    id: WorkspaceId,
    name: WorkspaceName,
    owner: UserName,
    #[serde(flatten)]
    how: How,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum How {
    /// Nobody waited for it.
    Deleting,
    /// It can be restored.
    Deleted {
        #[serde(with = "rfc3339::option")]
        restorable_until: Option<OffsetDateTime>,
    },
    /// For good.
    Purged,
}

/// How long a home is kept, out of a server's status.
#[derive(Debug, Deserialize)]
struct Grace {
    #[serde(default)]
    delete_grace_seconds: u64,
}

impl Ended {
    fn sentence(&self) -> String {
        let Self {
            id, name, owner, ..
        } = self;
        match self.how {
            How::Deleting => format!("{name}.{owner} is being deleted\n"),
            How::Deleted { restorable_until } => format!(
                "{name}.{owner} is deleted; until {}: devgate restore {id}\n",
                at(restorable_until)
            ),
            How::Purged => format!("{name}.{owner} is deleted for good\n"),
        }
    }
}

/// Lists deleted workspaces, those deleted last first.
pub(super) async fn list(client: &mut Client, format: &Format) -> Result<(), Failure> {
    let mut workspaces: Vec<WorkspaceView> = client.get("/deleted-workspaces").await?;
    workspaces.sort_by_key(|view| std::cmp::Reverse(view.deleted));
    format.print(&workspaces, |workspaces| {
        if workspaces.is_empty() {
            return "No deleted workspaces.\n".to_owned();
        }
        let rows: Vec<_> = workspaces.iter().map(row).collect();
        let mut text = table(["NAME", "OWNER", "DELETED", "UNTIL", "STATE", "ID"], &rows);
        for view in workspaces {
            if let Some(failure) = &view.failure {
                let detail = printable(&failure.detail);
                text.extend(["\n", &target(view), ": ", &detail, "\n"]);
            }
        }
        text
    })
}

fn row(view: &WorkspaceView) -> [String; 6] {
    let state = match (&view.failure, view.state) {
        (Some(failure), state) => format!("{} ({})", word(state), failure.code),
        (None, state) => word(state).to_owned(),
    };
    [
        view.name.to_string(),
        view.owner.to_string(),
        at(view.deleted),
        at(view.restorable_until),
        state,
        view.id.to_string(),
    ]
}

fn at(time: Option<OffsetDateTime>) -> String {
    time.map_or_else(String::new, output::time)
}

/// Deletes workspaces.
pub(super) async fn delete(client: &mut Client, command: Delete) -> Result<(), Failure> {
    let mut views = Vec::new();
    for target in &command.workspaces {
        views.push(show(client, target).await?);
    }
    if !command.yes {
        let names = names(&views);
        let grace = if command.purge {
            0
        } else {
            let grace: Grace = client.get("/status").await?;
            grace.delete_grace_seconds
        };
        confirm(client, &question(&names, grace))?;
    }
    for view in &views {
        let (id, purge) = (segment(view.id.as_str()), command.purge);
        client
            .delete(&format!("/workspaces/{id}?purge={purge}"))
            .await?;
    }
    let shown = (&command.waiting, command.format);
    end(client, views, ("deleting", "deleted"), shown).await
}

fn question(names: &str, grace: u64) -> String {
    if grace == 0 {
        return format!("Delete {names} and all files in it for good?");
    }
    let until = OffsetDateTime::now_utc() + std::time::Duration::from_secs(grace);
    format!(
        "Delete {names}? Until {} it can be restored, with its home.",
        output::time(until)
    )
}

/// Waits for the end of deletions, and says how they went.
async fn end(
    client: &mut Client,
    views: Vec<WorkspaceView>,
    (doing, done): (&str, &str),
    (waiting, format): (&Waiting, Format),
) -> Result<(), Failure> {
    let mut all = Vec::new();
    for view in views {
        let ended = Ended {
            id: view.id.clone(),
            name: view.name.clone(),
            owner: view.owner.clone(),
            how: end_one(client, view, waiting, doing).await?,
        };
        format.step(&ended.sentence())?;
        all.push(ended);
    }
    format.done(done, &all)
}

async fn end_one(
    client: &mut Client,
    view: WorkspaceView,
    waiting: &Waiting,
    doing: &str,
) -> Result<How, Failure> {
    if waiting.no_wait {
        return Ok(How::Deleting);
    }
    let name = target(&view);
    let progress = Progress::start(&format!("{doing} {}", view.name));
    let end = wait(client, view, (&progress, doing), waiting).await;
    drop(progress);
    match end? {
        None => Ok(How::Purged),
        Some(left) if left.state == StateName::Deleted => Ok(How::Deleted {
            restorable_until: left.restorable_until,
        }),
        Some(left) => {
            let why = left
                .failure
                .map_or_else(String::new, |failure| failure.detail);
            let message = format!("{name} is not deleted: {}", printable(&why));
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

/// Has a deleted workspace live again.
pub(super) async fn restore(client: &mut Client, command: Restore) -> Result<(), Failure> {
    let path = format!(
        "/deleted-workspaces/{}/restore",
        segment(&command.workspace.to_string())
    );
    let request = Request { name: command.name };
    let mut view: WorkspaceView = client.post(&path, &request).await?;
    if !command.waiting.no_wait {
        let progress = Progress::start(&format!("restoring {}", view.name));
        let reached = wait(client, view, (&progress, "restoring"), &command.waiting).await;
        drop(progress);
        view = reached?.ok_or_else(deleted_meanwhile)?;
    }
    command.format.print(&view, |view| {
        let name = target(view);
        match view.state {
            StateName::Stopped => {
                format!("{name} is restored, and stopped: devgate start {name}\n")
            }
            _ => sentence(view),
        }
    })
}

/// Removes deleted workspaces for good.
pub(super) async fn purge(client: &mut Client, command: Purge) -> Result<(), Failure> {
    let mut views = Vec::new();
    if let Some(owner) = &command.owner {
        let all: Vec<WorkspaceView> = client.get("/deleted-workspaces").await?;
        views.extend(all.into_iter().filter(|view| view.owner == *owner));
        if views.is_empty() {
            let said = format!("{owner} has no deleted workspaces\n");
            command.format.step(&said)?;
            return command.format.done("purged", &views);
        }
    }
    for target in &command.workspaces {
        let path = format!("/deleted-workspaces/{}", segment(&target.to_string()));
        views.push(client.get(&path).await?);
    }
    if !command.yes {
        confirm(client, &question(&names(&views), 0))?;
    }
    for view in &views {
        let id = segment(view.id.as_str());
        client.delete(&format!("/deleted-workspaces/{id}")).await?;
    }
    let shown = (&command.waiting, command.format);
    end(client, views, ("removing", "purged"), shown).await
}

fn target(view: &WorkspaceView) -> String {
    format!("{}.{}", view.name, view.owner)
}

fn names(views: &[WorkspaceView]) -> String {
    let names: Vec<_> = views.iter().map(target).collect();
    names.join(", ")
}
