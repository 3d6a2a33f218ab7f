//! The commands about workspaces.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use super::client::{Client, segment};
use super::confirm::confirm;
use super::deleted;
use super::failure::{Failure, Kind};
use super::output::{self, Format, Progress, printable, table};
use super::status::startup_failure;
use crate::config::{Cpus, Period, Size};
use crate::http::admin::wire::{
    AfterCreate, NewWorkspace, RebuildWorkspace, StateName, WorkspaceView,
};
use crate::identity::Target;
use crate::names::{TemplateName, UserName, WorkspaceName};

/// How long one request waits at most, in seconds; how far it is is shown that often.
pub(super) const WAIT_STEP: u64 = 2;

/// How long a command waits for a workspace unless it says otherwise.
const DEFAULT_WAIT: Period = Period::seconds(120);

/// `devgate list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The deleted ones that can be restored
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    format: Format,
}

/// `devgate create`.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name of the workspace: a-z, 0-9 and hyphens, at most 40
    name: WorkspaceName,
    /// Whose it will be [default: you; on the server's own machine the administrator named
    /// like the server's account]
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    #[command(flatten)]
    made_of: MadeOf,
    /// Snapshot to make it from instead, its home included: NAME, or NAME.OWNER
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["template", "cpus", "memory"])]
    snapshot: Option<Target>,
    /// Leave it stopped until the first connection
    #[arg(long)]
    no_start: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// What a workspace is made of.
#[derive(Debug, Args)]
pub(super) struct MadeOf {
    /// What to make it from; `devgate templates list` shows all
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<TemplateName>,
    /// Processors that it may use, such as 2 or 0.5, where the template leaves a choice
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<Cpus>,
    /// Memory that it may use, such as 4GiB, where the template leaves a choice
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
}

/// `devgate rebuild`.
#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// WORKSPACE, or WORKSPACE.OWNER
    #[arg(required = true, value_name = "WORKSPACE")]
    workspaces: Vec<Target>,
    #[command(flatten)]
    made_of: MadeOf,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// `devgate start`, `stop` and `restart`.
#[derive(Debug, Args)]
pub(super) struct Act {
    /// WORKSPACE, or WORKSPACE.OWNER
    #[arg(required = true, value_name = "WORKSPACE")]
    workspaces: Vec<Target>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    format: Format,
}

/// Whether to wait for the end of what was asked for.
#[derive(Debug, Args)]
pub(super) struct Waiting {
    /// Wait until it is done (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Return as soon as the server has taken it
    #[arg(long, overrides_with = "wait")]
    pub(super) no_wait: bool,
    /// How long to wait; what was asked for goes on afterwards
    #[arg(long, value_name = "TIME", default_value = "2m")]
    timeout: Period,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            wait: true,
            no_wait: false,
            timeout: DEFAULT_WAIT,
        }
    }
}

impl Waiting {
    /// Tells whether it is waited for.
    pub(super) const fn waits(&self) -> bool {
        !self.no_wait
    }

    /// Returns how long.
    pub(super) fn longest(&self) -> Duration {
        self.timeout.get()
    }
}

/// What can be done with a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Make all but its home anew.
    Rebuild,
    /// Stop it until somebody comes.
    Sleep,
}

impl Action {
    const fn path(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Rebuild => "rebuild",
            Self::Sleep => "sleep",
        }
    }

    const fn doing(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Restart => "restarting",
            Self::Rebuild => "rebuilding",
            Self::Sleep => "putting to sleep",
        }
    }
}

impl StateName {
    const fn is_settled(self) -> bool {
        !matches!(self, Self::Starting | Self::Stopping)
    }
}

/// Lists workspaces.
pub(super) async fn list(client: &mut Client, command: List) -> Result<(), Failure> {
    if command.deleted {
        return deleted::list(client, &command.format).await;
    }
    let workspaces: Vec<WorkspaceView> = client.get("/workspaces").await?;
    command.format.print(&workspaces, |workspaces| {
        if workspaces.is_empty() {
            return "No workspaces. Make one with: devgate create NAME\n".to_owned();
        }
        rows(workspaces)
    })
}

/// Creates a workspace.
pub(super) async fn create(client: &mut Client, command: Create) -> Result<(), Failure> {
    let then = if command.no_start {
        AfterCreate::Nothing
    } else {
        AfterCreate::Start
    };
    let request = NewWorkspace {
        name: command.name,
        owner: command.owner,
        then,
        template: command.made_of.template,
        snapshot: command.snapshot.map(|target| target.to_string()),
        cpus: command.made_of.cpus,
        memory: command.made_of.memory,
    };
    let mut view: WorkspaceView = client.post("/workspaces", &request).await?;
    if then == AfterCreate::Start && !command.waiting.no_wait {
        let progress = Progress::start(&format!("starting {}", view.name));
        let reached = wait(client, view, (&progress, "starting"), &command.waiting).await;
        drop(progress);
        view = reached?.ok_or_else(deleted_meanwhile)?;
    }
    command.format.print(&view, sentence)?;
    note_startup(&view);
    match then {
        AfterCreate::Start => succeeded(&view, Action::Start),
        AfterCreate::Nothing => Ok(()),
    }
}

/// Starts, stops or restarts workspaces.
pub(super) async fn act(client: &mut Client, action: Action, command: Act) -> Result<(), Failure> {
    let mut views = Vec::new();
    // All are asked for before any is waited for, so that they go side by side.
    for target in &command.workspaces {
        let path = format!(
            "/workspaces/{}/{}",
            segment(&target.to_string()),
            action.path()
        );
        views.push(client.post::<WorkspaceView>(&path, &json!({})).await?);
    }
    reach(client, action, views, (&command.waiting, &command.format)).await
}

/// Makes workspaces anew.
pub(super) async fn rebuild(client: &mut Client, command: Rebuild) -> Result<(), Failure> {
    // Before anybody is asked, and before the first one is rebuilt.
    for target in &command.workspaces {
        let path = format!("/workspaces/{}", segment(&target.to_string()));
        let _: WorkspaceView = client.get(&path).await?;
    }
    if !command.yes {
        let names: Vec<_> = command.workspaces.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let question =
            format!("Rebuild {names}? What runs there ends, and all but the home is lost.");
        confirm(client, &question)?;
    }
    let request = RebuildWorkspace {
        template: command.made_of.template,
        cpus: command.made_of.cpus,
        memory: command.made_of.memory,
    };
    let mut views = Vec::new();
    for target in &command.workspaces {
        let path = format!("/workspaces/{}/rebuild", segment(&target.to_string()));
        views.push(client.post::<WorkspaceView>(&path, &request).await?);
    }
    let shown = (&command.waiting, &command.format);
    reach(client, Action::Rebuild, views, shown).await
}

/// Waits until workspaces are where an action leads them, and shows them.
pub(super) async fn reach(
    client: &mut Client,
    action: Action,
    mut views: Vec<WorkspaceView>,
    (waiting, format): (&Waiting, &Format),
) -> Result<(), Failure> {
    if !waiting.no_wait {
        let mut reached = Vec::new();
        for view in views {
            let progress = Progress::start(&format!("{} {}", action.doing(), view.name));
            let end = wait(client, view, (&progress, action.doing()), waiting).await;
            drop(progress);
            reached.push(end?.ok_or_else(deleted_meanwhile)?);
        }
        views = reached;
    }
    match views.as_slice() {
        [only] => format.print(only, sentence)?,
        all => format.print(&all, |all| all.iter().map(sentence).collect())?,
    }
    views.iter().for_each(note_startup);
    views.iter().try_for_each(|view| succeeded(view, action))
}

pub(super) async fn show(client: &mut Client, target: &Target) -> Result<WorkspaceView, Failure> {
    client
        .get(&format!("/workspaces/{}", segment(&target.to_string())))
        .await
}

/// Waits until a workspace neither starts nor stops; `None` is gone. `doing` says what
/// it is waited for, `progress` shows how far it is.
pub(super) async fn wait(
    client: &mut Client,
    mut view: WorkspaceView,
    (progress, doing): (&Progress, &str),
    waiting: &Waiting,
) -> Result<Option<WorkspaceView>, Failure> {
    let timeout: Duration = waiting.timeout.get();
    let end = Instant::now() + timeout;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let target = format!("{}.{}", view.name, view.owner);
            let message = format!(
                "{doing} {target} takes longer than {}: it goes on, and `devgate status {target}` \
                 tells how far it is",
                waiting.timeout
            );
            return Err(Failure::new(Kind::TimedOut, message));
        }
        let seconds = left.as_secs().clamp(1, WAIT_STEP);
        let path = format!("/workspaces/{}?wait={seconds}", segment(view.id.as_str()));
        view = match client.get(&path).await {
            Err(failure) if failure.kind() == Kind::NotFound => return Ok(None),
            answer => answer?,
        };
        if let Some(now) = &view.doing {
            progress.tell(&format!("{doing} {}: {now}", view.name));
        }
        if view.state.is_settled() {
            return Ok(Some(view));
        }
    }
}

/// Says how it went, as far as that is known yet.
fn succeeded(view: &WorkspaceView, action: Action) -> Result<(), Failure> {
    let verb = match action {
        Action::Stop => "stop",
        Action::Sleep => "go to sleep",
        Action::Start | Action::Restart | Action::Rebuild => "start",
    };
    let why = match (view.state, action) {
        (StateName::Failed | StateName::Unreachable, _) => view
            .failure
            .as_ref()
            .map_or_else(String::new, |failure| printable(&failure.detail)),
        (
            StateName::Stopped | StateName::Asleep,
            Action::Start | Action::Restart | Action::Rebuild,
        ) => "it was stopped meanwhile".to_owned(),
        (StateName::Running, Action::Stop | Action::Sleep) => "it was started meanwhile".to_owned(),
        (StateName::Deleted, _) => "it was deleted meanwhile".to_owned(),
        _ => return Ok(()),
    };
    let message = format!("{}.{} didn't {verb}: {why}", view.name, view.owner);
    Err(Failure::new(Kind::Failed, message))
}

/// Says on stderr that a workspace runs, but not as it should.
fn note_startup(view: &WorkspaceView) {
    if let Some(why) = startup_failure(view) {
        output::note(&why);
    }
}

pub(super) fn deleted_meanwhile() -> Failure {
    Failure::new(Kind::NotFound, "the workspace was deleted meanwhile")
}

pub(super) fn rows(workspaces: &[WorkspaceView]) -> String {
    let rows: Vec<_> = workspaces
        .iter()
        .map(|view| {
            let state = match (&view.failure, &view.startup_failure) {
                (Some(failure), _) => format!("{} ({})", word(view.state), failure.code),
                (None, Some(_)) => format!("{} (startup-failed)", word(view.state)),
                (None, None) if view.agent_unreachable => {
                    format!("{} (agent-unreachable)", word(view.state))
                }
                (None, None) => word(view.state).to_owned(),
            };
            let template = match &view.template {
                Some(used) if used.behind == Some(true) => format!("{} (behind)", used.name),
                Some(used) => used.name.to_string(),
                None => "-".to_owned(),
            };
            [
                view.name.to_string(),
                view.owner.to_string(),
                state,
                template,
                output::time(view.created),
            ]
        })
        .collect();
    table(["NAME", "OWNER", "STATE", "TEMPLATE", "CREATED"], &rows)
}

pub(super) fn sentence(view: &WorkspaceView) -> String {
    format!("{}.{} is {}\n", view.name, view.owner, word(view.state))
}

pub(super) const fn word(state: StateName) -> &'static str {
    match state {
        StateName::Created => "created",
        StateName::Starting => "starting",
        StateName::Running => "running",
        StateName::Stopping => "stopping",
        StateName::Stopped => "stopped",
        StateName::Asleep => "asleep",
        StateName::Failed => "failed",
        StateName::Unreachable => "unreachable",
        StateName::Deleted => "deleted",
    }
}
