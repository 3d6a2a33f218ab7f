//! Starting a workspace for a command that needs it to run.

use serde_json::json;

use super::client::{Client, segment};
use super::failure::{Failure, Kind};
use super::output::Progress;
use super::workspaces::{Waiting, deleted_meanwhile, show, wait, word};
use crate::http::admin::wire::{StateName, WorkspaceView};
use crate::identity::Target;

/// Returns a workspace that runs, which is started where it doesn't.
pub(super) async fn ready(client: &mut Client, target: &Target) -> Result<WorkspaceView, Failure> {
    let view = show(client, target).await?;
    if view.state == StateName::Running {
        return Ok(view);
    }
    let doing = "starting";
    let path = format!("/workspaces/{}/start", segment(view.id.as_str()));
    let view: WorkspaceView = client.post(&path, &json!({})).await?;
    let progress = Progress::start(&format!("{doing} {}", view.name));
    let waited = wait(client, view, (&progress, doing), &Waiting::default()).await;
    drop(progress);
    let view = waited?.ok_or_else(deleted_meanwhile)?;
    if view.state == StateName::Running {
        return Ok(view);
    }
    let why = match &view.failure {
        Some(failure) => super::output::printable(&failure.detail),
        None => format!("it is {}", word(view.state)),
    };
    let message = format!("{}.{} didn't start: {why}", view.name, view.owner);
    Err(Failure::new(Kind::Failed, message))
}
