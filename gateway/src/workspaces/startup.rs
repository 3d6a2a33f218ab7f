//! How far workspaces' start-ups are: what their agents tell, followed and kept.

mod ask;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use devgate_protocol::FEATURE_STARTUP;
use devgate_protocol::startup::{LOG, State, Status};
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use self::ask::Events;
use super::error::CommandError;
use super::{LogPart, Shared, Workspace, Workspaces};
use crate::chain::chain;
use crate::drivers::{Follow, Logs};
use crate::events::{Kind, NewEvent};
use crate::names::WorkspaceId;
use crate::tunnel::TunnelError;

/// Pause after an agent's word broke off, before it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Most that is kept of what an agent says of itself, in characters.
const MAX_TEXT: usize = 300;

/// Most steps that are kept.
const MAX_STEPS: usize = 100;

/// Most lines that an agent gives of its log.
const MAX_LINES: usize = 100_000;

/// Where the status of one workspace is kept; `None` where nothing is known.
pub(super) type Told = watch::Sender<Option<Status>>;

/// Waits until the workspace may be used, as its agent says. One that knows no start-ups
/// says so at once. Cancel-safe.
pub(super) async fn held(shared: &Shared, workspace: &Workspace, told: &Told) {
    while !follow_once(shared, workspace, told, |status| !status.holds()).await {
        sleep(PAUSE).await;
    }
}

/// Keeps the status as it changes, for as long as the workspace runs.
pub(super) async fn follow(shared: &Shared, workspace: &Workspace, told: &Told) -> Infallible {
    loop {
        let over = |status: &Status| status.state != State::Running;
        if follow_once(shared, workspace, told, over).await {
            // Nothing more comes before the agent's next start.
            shared.tunnels.disconnected(&workspace.id).await;
        }
        sleep(PAUSE).await;
    }
}

/// Keeps the status until it is as wanted, or until the agent's word breaks off: `false`.
async fn follow_once(
    shared: &Shared,
    workspace: &Workspace,
    told: &Told,
    is_enough: impl Fn(&Status) -> bool,
) -> bool {
    let id = &workspace.id;
    let agent = shared.tunnels.connected(id).await;
    if !agent.features.iter().any(|name| name == FEATURE_STARTUP) {
        told.send_replace(None);
        let none = Status::none();
        if is_enough(&none) {
            return true;
        }
        shared.tunnels.disconnected(id).await;
        return false;
    }
    let mut events = match Events::open(&shared.tunnels, id, "/startup").await {
        Ok(events) => events,
        Err(error) => {
            debug!(error = chain(&error), "the start-up isn't told");
            return false;
        }
    };
    while let Some(data) = events.next().await {
        let Ok(status) = serde_json::from_str::<Status>(&data) else {
            warn!("an agent tells its start-up in words that this version doesn't know");
            return false;
        };
        let status = bounded(status);
        report(shared, workspace, &status).await;
        let enough = is_enough(&status);
        told.send_if_modified(|known| {
            let changed = known.as_ref() != Some(&status);
            *known = Some(status);
            changed
        });
        if enough {
            return true;
        }
    }
    false
}

/// Tells of a start-up that failed, once.
async fn report(shared: &Shared, workspace: &Workspace, status: &Status) {
    let Some(failure) = &status.failure else {
        return;
    };
    let kind = Kind::StartupFailed;
    let known = shared
        .store
        .last_said(&workspace.id, kind.as_str(), "run")
        .await;
    match known {
        Ok(run) if run.as_deref() == Some(&status.run) => return,
        Ok(_) => {}
        Err(error) => warn!(error = chain(&error), "can't look up what happened"),
    }
    if !shared.reported(&workspace.id, &status.run) {
        return;
    }
    info!(
        step = failure.step,
        exit = failure.exit,
        "the start-up failed"
    );
    let mut about = NewEvent::of_workspace(kind, workspace)
        .saying("run", &status.run)
        .saying("detail", &status.detail)
        .saying("line", &failure.last_line);
    if let Some(step) = &failure.step {
        about.says("step", step);
    }
    if let Some(exit) = failure.exit {
        about.says("exit", &exit.to_string());
    }
    shared.events.record(about);
}

/// Returns a status without more than is kept: whoever has a shell in the workspace may
/// say anything.
fn bounded(mut status: Status) -> Status {
    let cut = |text: &mut String| *text = plain(text).chars().take(MAX_TEXT).collect();
    status.steps.truncate(MAX_STEPS);
    for step in &mut status.steps {
        cut(&mut step.name);
    }
    cut(&mut status.run);
    cut(&mut status.detail);
    status.step.iter_mut().for_each(cut);
    if let Some(failure) = &mut status.failure {
        cut(&mut failure.last_line);
        failure.step.iter_mut().for_each(cut);
    }
    status
}

/// Returns a text without what would do something to a terminal.
fn plain(text: &str) -> String {
    let shown = |character: &char| matches!(character, '\n' | '\t') || !character.is_control();
    text.chars().filter(shown).collect()
}

/// Says what a start-up is doing, for whoever waits for it.
pub(super) fn doing(status: &Status) -> Option<String> {
    if status.state != State::Running {
        return None;
    }
    let count = status.steps.len();
    Some(match (&status.step, status.number()) {
        (Some(step), Some(number)) => {
            format!("running the start-up script ({step}, {number} of {count})")
        }
        _ if status.detail.is_empty() => "waiting until the workspace is ready".to_owned(),
        _ => status.detail.clone(),
    })
}

impl Shared {
    /// Tells whether a start-up's failure wasn't told before, and takes note of it.
    fn reported(&self, id: &WorkspaceId, run: &str) -> bool {
        let mut handles = self.handles.lock();
        let Some(handle) = handles.get_mut(id) else {
            return false;
        };
        if handle.failed_run.as_deref() == Some(run) {
            return false;
        }
        handle.failed_run = Some(run.to_owned());
        true
    }
}

impl Workspaces {
    /// Returns how far a workspace's start-up is; `None` where it doesn't run, or its
    /// agent doesn't know.
    pub fn startup(&self, id: &WorkspaceId) -> Option<Status> {
        self.handle(id)?.startup.borrow().clone()
    }

    /// Shows how far a workspace's start-up is as it changes; the channel closes once the
    /// workspace is gone.
    pub fn watch_startup(&self, id: &WorkspaceId) -> Option<watch::Receiver<Option<Status>>> {
        self.handle(id).map(|handle| handle.startup)
    }

    /// Returns a part of what a workspace's start-up wrote.
    ///
    /// # Errors
    /// `NoAgent` where no agent is there to ask, `OldAgent` where it doesn't know.
    pub async fn startup_log(&self, id: &WorkspaceId, part: LogPart) -> Result<Logs, CommandError> {
        let state = self.watch(id).ok_or(CommandError::Gone)?;
        let tunnels = &self.inner.shared.tunnels;
        let Some(agent) = tunnels.agent(id) else {
            let rests = state.borrow().is_settled();
            return match part.of_driver() {
                (lines, Follow::No) if rests => Ok(part.of(self.last_startup(id, lines).await?)),
                _ => Err(CommandError::NoAgent),
            };
        };
        if !agent.features.iter().any(|name| name == FEATURE_STARTUP) {
            return Err(CommandError::OldAgent);
        }
        let unreachable = |error: TunnelError| {
            debug!(error = chain(&error), "the start-up's log can't be read");
            CommandError::NoAgent
        };
        let (lines, follow) = part.of_driver();
        let path = format!("/startup/log?tail={}", lines.min(MAX_LINES));
        let logs: Logs = match follow {
            Follow::Yes => {
                let events = Events::open(tunnels, id, &path)
                    .await
                    .map_err(unreachable)?;
                let lines = stream::unfold(events, |mut events| async move {
                    let line = plain(&events.next().await?) + "\n";
                    Some((Ok(Bytes::from(line)), events))
                });
                lines.boxed()
            }
            Follow::No => {
                let text = ask::text(tunnels, id, &path).await.map_err(unreachable)?;
                let text = Ok(Bytes::from(plain(&text)));
                stream::once(std::future::ready(text)).boxed()
            }
        };
        Ok(part.of(logs))
    }

    /// Returns the last lines of what the start-up of a workspace wrote that doesn't run.
    async fn last_startup(&self, id: &WorkspaceId, lines: usize) -> Result<Logs, CommandError> {
        let driver = &self.inner.shared.driver;
        let text = driver.home_file(id, LOG).await?;
        let text = plain(&text.ok_or(CommandError::NoAgent)?);
        let skipped = text.lines().count().saturating_sub(lines);
        let last: String = text.split_inclusive('\n').skip(skipped).collect();
        Ok(stream::once(std::future::ready(Ok(last.into()))).boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devgate_protocol::startup::{StepState, StepStatus};

    #[test]
    fn whoever_waits_is_told_the_step_and_its_number() {
        let step = |name: &str, state| StepStatus {
            name: name.to_owned(),
            state,
            exit: None,
            seconds: None,
        };
        let mut status = Status {
            state: State::Running,
            ready: false,
            step: Some("postCreate".into()),
            steps: vec![
                step("clone", StepState::Done),
                step("postCreate", StepState::Running),
                step("last", StepState::Pending),
            ],
            ..Status::none()
        };
        assert!(status.holds());
        let text = "running the start-up script (postCreate, 2 of 3)";
        assert_eq!(doing(&status).as_deref(), Some(text));
        status.state = State::Done;
        assert_eq!(doing(&status), None);
    }

    #[test]
    fn what_an_agent_says_is_bounded_and_harmless() {
        let status = bounded(Status {
            detail: format!("\u{1b}[2J{}", "x".repeat(10_000)),
            ..Status::none()
        });
        assert_eq!(status.detail.len(), MAX_TEXT);
        assert!(status.detail.starts_with("[2J"));
    }
}
