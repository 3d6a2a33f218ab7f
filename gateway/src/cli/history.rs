//! `devgate history`.

use clap::Args;
use serde_json::Value;

use super::client::{Client, segment};
use super::failure::Failure;
use super::output::{self, Format, table};
use crate::http::admin::wire::EventView;
use crate::identity::Target;

/// `devgate history`.
#[derive(Debug, Args)]
pub(super) struct History {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// How many of the last changes
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    lines: u32,
    #[command(flatten)]
    format: Format,
}

/// Shows what happened to a workspace.
pub(super) async fn history(client: &mut Client, command: History) -> Result<(), Failure> {
    let path = format!(
        "/workspaces/{}/history?lines={}",
        segment(&command.workspace.to_string()),
        command.lines
    );
    let events: Vec<EventView> = client.get(&path).await?;
    command.format.print(&events, |events| {
        let rows: Vec<_> = events
            .iter()
            .map(|event| {
                let by = event.data.get("by").and_then(Value::as_str).unwrap_or("-");
                [output::time(event.time), by.to_owned(), told(event)]
            })
            .collect();
        table(["TIME", "BY", "WHAT"], &rows)
    })
}

/// Says in words what happened.
fn told(event: &EventView) -> String {
    let say = |name: &str| {
        event
            .data
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let detail = match say("detail") {
        "" => String::new(),
        detail => format!(": {detail}"),
    };
    match event.kind.as_str() {
        "workspace-created" if say("clone-of").is_empty() => "created".to_owned(),
        "workspace-created" => format!("created as a clone of {}", say("clone-of")),
        "workspace-state" => format!("{}{detail}", say("state")),
        "workspace-command" => format!("asked for: {}", say("command")),
        "workspace-deleted" => "deleted".to_owned(),
        "snapshot-state" if !say("image").is_empty() => format!(
            "snapshot {} {} ({}){detail}",
            say("snapshot"),
            say("state"),
            say("image")
        ),
        "snapshot-state" => format!("snapshot {} {}{detail}", say("snapshot"), say("state")),
        "snapshot-deleted" => format!("snapshot {} deleted", say("snapshot")),
        "port-changed" => "a port was shared, or no longer".to_owned(),
        "workspace-notice" => say("detail").to_owned(),
        "out-of-memory" => {
            let program = match say("program") {
                "" => "a program",
                program => program,
            };
            format!("{program} was killed: the memory is used up")
        }
        other => format!("{other}{detail}"),
    }
}
