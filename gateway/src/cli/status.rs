//! `devgate status`: of the server, or of one workspace.

use clap::Args;

use super::client::Client;
use super::failure::Failure;
use super::output::{self, Format, printable};
use super::workspaces::{rows, show};
use super::{lifetime, there};
use crate::http::admin::wire::{KilledProgram, ServerStatus, WorkspaceView};
use crate::identity::Target;

/// `devgate status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// WORKSPACE, or WORKSPACE.OWNER; without one, the server
    #[arg(value_name = "WORKSPACE")]
    workspace: Option<Target>,
    #[command(flatten)]
    format: Format,
}

/// Shows the server, or a workspace.
pub(super) async fn run(client: &mut Client, command: Status) -> Result<(), Failure> {
    let Some(target) = command.workspace else {
        if let Some(rest) = client.there() {
            return there::status(rest, command.format).await;
        }
        let status: ServerStatus = client.get("/status").await?;
        return command.format.print(&status, server);
    };
    let view = show(client, &target).await?;
    command.format.print(&view, |view| {
        let mut text = rows(std::slice::from_ref(view));
        if let Some(failure) = &view.failure {
            text.extend(["\n", &printable(&failure.detail), "\n"]);
        } else if let Some(why) = startup_failure(view) {
            text.extend(["\n", &why, "\n"]);
        } else if let Some(doing) = &view.doing {
            text.extend(["\n", &printable(doing), "\n"]);
        }
        if view.expires.is_some() {
            text.extend(["\n", &lifetime::lives(view)]);
        }
        if let Some(killed) = &view.out_of_memory {
            text.extend(["\n", &out_of_memory(killed), "\n"]);
        }
        if !view.notices.is_empty() {
            text.push_str("\nIn its repository, and not done:\n");
            for notice in &view.notices {
                text.extend(["  ", &printable(notice), "\n"]);
            }
        }
        text
    })
}

/// Returns why a workspace's start-up failed, with the next step, where it did.
pub(super) fn startup_failure(view: &WorkspaceView) -> Option<String> {
    let why = printable(view.startup_failure.as_ref()?);
    let target = format!("{}.{}", view.name, view.owner);
    Some(format!(
        "the start-up of {target} failed ({why}): `devgate logs --startup {target}` tells more"
    ))
}

fn out_of_memory(killed: &KilledProgram) -> String {
    let program = match (&killed.program, killed.pid) {
        (Some(program), Some(pid)) => format!("{} ({pid})", printable(program)),
        (Some(program), None) => printable(program),
        (None, _) => "a program".to_owned(),
    };
    format!(
        "{program} was killed at {}: the workspace's memory was used up",
        output::time(killed.time)
    )
}

fn server(status: &ServerStatus) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<12}{value}\n"));
    line("version", status.version.clone());
    line("pid", status.pid.to_string());
    line("started", output::time(status.started));
    line("data", printable(&status.data_dir.display().to_string()));
    line("ssh", status.ssh.clone());
    line("https", format!("https://{}/", status.http));
    if let Some(fingerprint) = &status.ca_fingerprint {
        line("authority", fingerprint.clone());
    }
    for key in &status.host_keys {
        line(
            "host key",
            format!("{} ({})", key.fingerprint, key.algorithm),
        );
    }
    line("users", status.users.to_string());
    line(
        "workspaces",
        format!("{}, {} running", status.workspaces, status.running),
    );
    lines.concat()
}
