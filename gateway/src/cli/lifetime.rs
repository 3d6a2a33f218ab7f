//! `devgate extend`.

use clap::Args;
use time::OffsetDateTime;

use super::client::{Client, segment};
use super::failure::Failure;
use super::output::{self, Format};
use crate::config::Period;
use crate::http::admin::wire::{ExtendWorkspace, WorkspaceView};
use crate::identity::Target;

/// `devgate extend`.
#[derive(Debug, Args)]
pub(super) struct Extend {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// For how long from now on, as in 12h or 7d [default: its template's time to live, which
    /// is the most]
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Period>,
    #[command(flatten)]
    format: Format,
}

/// Has a workspace live longer.
pub(super) async fn extend(client: &mut Client, command: Extend) -> Result<(), Failure> {
    let request = ExtendWorkspace {
        seconds: command.length.map(|length| length.get().as_secs()),
    };
    let path = format!(
        "/workspaces/{}/extend",
        segment(&command.workspace.to_string())
    );
    let view: WorkspaceView = client.post(&path, &request).await?;
    command.format.print(&view, lives)
}

/// Says until when a workspace lives.
pub(super) fn lives(view: &WorkspaceView) -> String {
    let (name, owner) = (&view.name, &view.owner);
    let until = view.expires.map_or_else(|| "for good".to_owned(), until);
    format!("{name}.{owner} lives {until}\n")
}

fn until(end: OffsetDateTime) -> String {
    format!("until {}", output::time(end))
}
