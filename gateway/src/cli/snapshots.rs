//! `devgate snapshots` and `devgate clone`.

use std::io::Read as _;

use clap::{Args, Subcommand};
use tokio::time::Instant;

use super::client::{Client, segment};
use super::confirm::confirm;
use super::failure::{Failure, Kind};
use super::output::{self, Format, Progress, printable, table};
use super::workspaces::{Action, WAIT_STEP, Waiting, reach};
use crate::http::admin::wire::{
    CloneWorkspace, PullRequest, PullSnapshot, PushSnapshot, RestoreRequest, SnapshotStateName,
    SnapshotView, TakeSnapshot, WorkspaceView,
};
use crate::identity::Target;
use crate::names::{SnapshotName, UserName, WorkspaceName};

/// Variable with the password of a registry.
const PASSWORD: &str = "DEVGATE_REGISTRY_PASSWORD";

/// Longest password, in bytes.
const MAX_PASSWORD: u64 = 4096;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take a snapshot of a workspace: its files, its home included
    Create(Create),
    /// List snapshots
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a snapshot
    Show(Show),
    /// Make a workspace anew from a snapshot, its home included
    Restore(Restore),
    /// Delete snapshots; workspaces that were made from them go on
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Copy a snapshot to a registry
    Push(Push),
    /// Copy a snapshot from a registry
    Pull(Pull),
}

/// `devgate snapshots create`.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// Name of the snapshot: a-z, 0-9 and hyphens, at most 40
    name: SnapshotName,
    /// What it is for
    #[arg(long, short, value_name = "TEXT", default_value = "")]
    description: String,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// `devgate snapshots list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: Format,
}

/// `devgate snapshots show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// SNAPSHOT, or SNAPSHOT.OWNER
    snapshot: Target,
    #[command(flatten)]
    format: Format,
}

/// `devgate snapshots restore`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// SNAPSHOT, or SNAPSHOT.OWNER
    snapshot: Target,
    /// Another workspace of the same owner's than the one that it was taken of
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<Target>,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// `devgate snapshots delete`.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// SNAPSHOT, or SNAPSHOT.OWNER
    #[arg(required = true, value_name = "SNAPSHOT")]
    snapshots: Vec<Target>,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

/// What a registry asks for.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// Your name at the registry
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    #[arg(
        long,
        requires = "username",
        help = "Read the password or token from stdin [default: $DEVGATE_REGISTRY_PASSWORD]"
    )]
    password_stdin: bool,
}

/// `devgate snapshots push`.
#[derive(Debug, Args)]
pub(super) struct Push {
    /// SNAPSHOT, or SNAPSHOT.OWNER
    snapshot: Target,
    /// Where to: REGISTRY/REPOSITORY:TAG
    image: String,
    #[command(flatten)]
    login: Login,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// `devgate snapshots pull`.
#[derive(Debug, Args)]
pub(super) struct Pull {
    /// Where from: REGISTRY/REPOSITORY:TAG
    image: String,
    /// Its name here
    name: SnapshotName,
    /// Whose it will be [default: the administrator named like the server's account]
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    #[command(flatten)]
    login: Login,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// `devgate clone`.
#[derive(Debug, Args)]
pub(super) struct Clone {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// How many workspaces to make
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 1)]
    count: u32,
    /// What their names begin with, before -1 and so on [default: the workspace's name]
    #[arg(long, value_name = "PREFIX")]
    name: Option<WorkspaceName>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// Runs one of them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(command) => create(client, command).await,
        Command::List(command) => list(client, command).await,
        Command::Show(command) => show(client, command).await,
        Command::Restore(command) => restore(client, command).await,
        Command::Delete(command) => delete(client, command).await,
        Command::Push(command) => push(client, command).await,
        Command::Pull(command) => pull(client, command).await,
    }
}

async fn create(client: &mut Client, command: Create) -> Result<(), Failure> {
    let path = format!(
        "/workspaces/{}/snapshots",
        segment(&command.workspace.to_string())
    );
    let request = TakeSnapshot {
        name: command.name,
        description: command.description,
    };
    let view: SnapshotView = client.post(&path, &request).await?;
    let view = follow(client, view, "taking", &command.waiting).await?;
    command.format.print(&view, sentence)?;
    made(&view)
}

async fn list(client: &mut Client, command: List) -> Result<(), Failure> {
    let snapshots: Vec<SnapshotView> = client.get("/snapshots").await?;
    command.format.print(&snapshots, |snapshots| {
        if snapshots.is_empty() {
            return "No snapshots. Take one with: devgate snapshots create WORKSPACE NAME\n"
                .to_owned();
        }
        let rows: Vec<_> = snapshots.iter().map(row).collect();
        table(
            [
                "NAME",
                "OWNER",
                "WORKSPACE",
                "STATE",
                "SIZE",
                "CREATED",
                "DESCRIPTION",
            ],
            &rows,
        )
    })
}

async fn show(client: &mut Client, command: Show) -> Result<(), Failure> {
    let view: SnapshotView = client.get(&path_of(&command.snapshot.to_string())).await?;
    command.format.print(&view, |view| {
        let rows = [row(view)];
        let headings = [
            "NAME",
            "OWNER",
            "WORKSPACE",
            "STATE",
            "SIZE",
            "CREATED",
            "DESCRIPTION",
        ];
        let mut text = table(headings, &rows);
        let transfer = view.transfer.as_ref();
        let told = transfer.map(|it| format!("{}: {}", it.image, it.state));
        let reasons = transfer.and_then(|it| it.reason.clone());
        let lines = [told, view.doing.clone(), view.reason.clone(), reasons];
        for line in lines.into_iter().flatten() {
            text.push_str(&printable(&line));
            text.push('\n');
        }
        text
    })
}

async fn restore(client: &mut Client, command: Restore) -> Result<(), Failure> {
    let snapshot: SnapshotView = client.get(&path_of(&command.snapshot.to_string())).await?;
    if !command.yes {
        let own = || {
            let of = snapshot.workspace.as_ref();
            of.map_or_else(String::new, |of| of.name.to_string())
        };
        let target = command.workspace.as_ref();
        let target = target.map_or_else(own, ToString::to_string);
        let question = format!(
            "Make {target} anew from {}? What runs there ends, and what was changed since is \
             lost.",
            snapshot.name
        );
        confirm(client, &question)?;
    }
    let request = RestoreRequest {
        workspace: command.workspace.map(|target| target.to_string()),
    };
    let path = format!("{}/restore", path_of(snapshot.id.as_str()));
    let view: WorkspaceView = client.post(&path, &request).await?;
    let shown = (&command.waiting, &command.format);
    reach(client, Action::Rebuild, vec![view], shown).await
}

async fn delete(client: &mut Client, command: Delete) -> Result<(), Failure> {
    let names: Vec<_> = command.snapshots.iter().map(ToString::to_string).collect();
    // Before anybody is asked, and before the first one is deleted.
    for snapshot in &names {
        let _: SnapshotView = client.get(&path_of(snapshot)).await?;
    }
    if !command.yes {
        let question = format!("Delete the snapshots {}?", names.join(", "));
        confirm(client, &question)?;
    }
    for snapshot in &names {
        client.delete(&path_of(snapshot)).await?;
        command.format.step(&format!("{snapshot} is deleted\n"))?;
    }
    command.format.done("deleted", &names)
}

async fn push(client: &mut Client, command: Push) -> Result<(), Failure> {
    let (username, password) = command.login.read()?;
    let request = PushSnapshot {
        to: command.image,
        username,
        password,
    };
    let path = format!("{}/push", path_of(&command.snapshot.to_string()));
    let view: SnapshotView = client.post(&path, &request).await?;
    let view = follow(client, view, "pushing", &command.waiting).await?;
    command.format.print(&view, |view| {
        let transfer = view.transfer.as_ref();
        transfer.map_or_else(String::new, |it| format!("{} is {}\n", it.image, it.state))
    })?;
    copied(&view)
}

async fn pull(client: &mut Client, command: Pull) -> Result<(), Failure> {
    let (username, password) = command.login.read()?;
    let request = PullRequest {
        owner: command.owner,
        pull: PullSnapshot {
            from: command.image,
            name: command.name,
            username,
            password,
        },
    };
    let view: SnapshotView = client.post("/snapshots/pull", &request).await?;
    let view = follow(client, view, "pulling", &command.waiting).await?;
    command.format.print(&view, sentence)?;
    made(&view)
}

/// Makes workspaces like one.
pub(super) async fn clone(client: &mut Client, command: Clone) -> Result<(), Failure> {
    let path = format!(
        "/workspaces/{}/clones",
        segment(&command.workspace.to_string())
    );
    let request = CloneWorkspace {
        count: command.count,
        prefix: command.name,
    };
    let views: Vec<WorkspaceView> = client.post(&path, &request).await?;
    let shown = (&command.waiting, &command.format);
    reach(client, Action::Start, views, shown).await
}

impl Login {
    /// Returns name and password, which is never an argument: those are everybody's to see.
    fn read(&self) -> Result<(Option<String>, Option<String>), Failure> {
        let Some(username) = self.username.clone() else {
            return Ok((None, None));
        };
        let password = if self.password_stdin {
            let mut text = String::new();
            std::io::stdin()
                .take(MAX_PASSWORD)
                .read_to_string(&mut text)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            std::env::var(PASSWORD).map_err(|_| {
                let message = format!("give the password with --password-stdin, or as ${PASSWORD}");
                Failure::new(Kind::Usage, message)
            })?
        };
        Ok((Some(username), Some(password)))
    }
}

/// Waits until a snapshot stays as it is, and shows how far it is.
async fn follow(
    client: &mut Client,
    mut view: SnapshotView,
    doing: &str,
    waiting: &Waiting,
) -> Result<SnapshotView, Failure> {
    if !waiting.waits() {
        return Ok(view);
    }
    let progress = Progress::start(&format!("{doing} {}", view.name));
    let end = Instant::now() + waiting.longest();
    while !view.is_settled() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = format!(
                "{doing} {} takes longer than that: it goes on, and `devgate snapshots show {}` \
                 tells how far it is",
                view.name, view.name
            );
            return Err(Failure::new(Kind::TimedOut, message));
        }
        let seconds = left.as_secs().clamp(1, WAIT_STEP);
        let path = format!("{}?wait={seconds}", path_of(view.id.as_str()));
        view = client.get(&path).await?;
        if let Some(now) = &view.doing {
            progress.tell(&format!("{doing} {}: {now}", view.name));
        }
    }
    Ok(view)
}

fn path_of(snapshot: &str) -> String {
    format!("/snapshots/{}", segment(snapshot))
}

fn made(view: &SnapshotView) -> Result<(), Failure> {
    match (view.state, &view.reason) {
        (SnapshotStateName::Failed, Some(reason)) => Err(Failure::new(
            Kind::Failed,
            format!("the snapshot {} failed: {}", view.name, printable(reason)),
        )),
        _ => Ok(()),
    }
}

fn copied(view: &SnapshotView) -> Result<(), Failure> {
    let reason = view.transfer.as_ref().and_then(|it| it.reason.as_ref());
    reason.map_or(Ok(()), |reason| {
        let message = format!("{} isn't pushed: {}", view.name, printable(reason));
        Err(Failure::new(Kind::Failed, message))
    })
}

fn sentence(view: &SnapshotView) -> String {
    format!("{}.{} is {}\n", view.name, view.owner, word(view.state))
}

const fn word(state: SnapshotStateName) -> &'static str {
    match state {
        SnapshotStateName::Making => "being made",
        SnapshotStateName::Ready => "ready",
        SnapshotStateName::Failed => "failed",
    }
}

fn row(view: &SnapshotView) -> [String; 7] {
    let workspace = view.workspace.as_ref();
    [
        view.name.to_string(),
        view.owner.to_string(),
        workspace.map_or_else(|| "-".to_owned(), |of| of.name.to_string()),
        word(view.state).to_owned(),
        view.size.map_or_else(|| "-".to_owned(), size),
        output::time(view.created),
        view.description.clone(),
    ]
}

/// Returns a number of bytes as people read it.
fn size(bytes: u64) -> String {
    let mut unit = bytes.saturating_mul(10);
    for name in ["B", "KiB", "MiB", "GiB"] {
        if unit < 10_240 {
            return format!("{}.{} {name}", unit / 10, unit % 10);
        }
        unit /= 1024;
    }
    format!("{}.{} TiB", unit / 10, unit % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_people() {
        for (bytes, text) in [
            (0, "0.0 B"),
            (1536, "1.5 KiB"),
            (10 << 20, "10.0 MiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "1677721.5 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
