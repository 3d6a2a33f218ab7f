//! `devgate open`: a workspace in one's editor, which then comes in by SSH, or in a browser.

mod links;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::client::Client;
use super::desktop::{self, Opened};
use super::failure::{Failure, Kind};
use super::output::{self, Format};
use super::ready::ready;
use crate::http::api::wire::Workspace;
use crate::identity::Target;
use links::{Destination, jetbrains, toolbox, vscode, zed};

/// `devgate open`.
#[derive(Debug, Args)]
pub(super) struct Open {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// What to open it in
    #[arg(long = "in", value_name = "PROGRAM", value_enum, default_value_t = Program::Browser)]
    program: Program,
    /// Folder that it opens, absolute in the workspace [default: the home]
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    folder: Option<String>,
    /// Application that the browser opens, by its port [default: VS Code in the browser]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// IDE for JetBrains: its path in the workspace for Gateway, its code and build for Toolbox
    #[arg(long, value_name = "IDE")]
    ide: Option<String>,
    /// Print the link, and open nothing
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    format: Format,
}

/// Programs that take a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Program {
    /// A browser: VS Code in it, or an application
    Browser,
    /// Visual Studio Code, with Remote-SSH
    Vscode,
    /// Cursor
    Cursor,
    /// Windsurf
    Windsurf,
    #[value(help = "VSCodium, with open-remote-ssh")]
    Vscodium,
    /// JetBrains Gateway
    Jetbrains,
    /// JetBrains Toolbox
    Toolbox,
    /// Zed
    Zed,
}

/// What is opened.
#[derive(Debug, Serialize)]
struct Link {
    program: Program,
    link: String,
}

fn absolute(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is no folder to open: begin with a slash, the path inside the workspace"
    ))
}

/// Opens a workspace.
pub(super) async fn run(client: &mut Client, command: Open) -> Result<(), Failure> {
    check(&command)?;
    let target = command.workspace.to_string();
    client.inside(&target, "open").await?;
    ready(client, &command.workspace).await?;
    let Some(rest) = client.there() else {
        return Ok(());
    };
    let workspace = rest.workspace(&target).await?;
    let link = match command.program {
        Program::Browser => web_page(page(&workspace, &command))?,
        program => {
            let to = destination(rest, &workspace, &command).await?;
            let ide = command.ide.as_deref();
            match program {
                Program::Jetbrains => jetbrains(&to, ide),
                Program::Toolbox => toolbox(&to, ide),
                Program::Zed => zed(&to),
                Program::Cursor => vscode("cursor", &to),
                Program::Windsurf => vscode("windsurf", &to),
                Program::Vscodium => vscode("vscodium", &to),
                Program::Vscode | Program::Browser => vscode("vscode", &to),
            }
        }
    };
    let program = command.program;
    let shown = Link { program, link };
    if command.print || command.format.is_json() {
        return command
            .format
            .print(&shown, |shown| format!("{}\n", shown.link));
    }
    let why = match desktop::open(&shown.link).await {
        Opened::Yes => return Ok(()),
        Opened::NoDesktop => "there is no desktop here: open this link on your own machine",
        Opened::Nothing => "nothing here takes this link: install the program, or open it there",
    };
    output::write(&format!("{}\n", shown.link))?;
    Err(Failure::new(Kind::Failed, why))
}

/// Refuses what would be said in vain.
fn check(command: &Open) -> Result<(), Failure> {
    let browser = command.program == Program::Browser;
    let jetbrains = matches!(command.program, Program::Jetbrains | Program::Toolbox);
    let message = if command.port.is_some() && !browser {
        "--port is for browsers: leave it out, or say --in browser"
    } else if command.folder.is_some() && command.port.is_some() {
        "an application has no --folder: leave out that or --port"
    } else if command.ide.is_some() && !jetbrains {
        "--ide is for --in jetbrains and --in toolbox"
    } else {
        return Ok(());
    };
    Err(Failure::new(Kind::Usage, message))
}

/// Refuses what is no address of a web page: what opens links here takes others, too, and the
/// server alone says what it is.
fn web_page(link: String) -> Result<String, Failure> {
    let uri: Option<http::Uri> = link.parse().ok();
    let is_page = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some()
    });
    if is_page {
        return Ok(link);
    }
    let message = format!("the server names an address that is no web page: {link:?}");
    Err(Failure::new(Kind::Failed, message))
}

/// Returns the address of the editor, or of an application.
fn page(workspace: &Workspace, command: &Open) -> String {
    let urls = &workspace.urls;
    match (command.port, &command.folder) {
        (Some(port), _) => {
            let template = &urls.application_template;
            template.replace("{port}", &port.to_string())
        }
        (None, Some(folder)) => format!("{}?folder={}", urls.editor, links::path(folder)),
        (None, None) => urls.editor.clone(),
    }
}

async fn destination(
    rest: &mut super::client::Rest,
    workspace: &Workspace,
    command: &Open,
) -> Result<Destination, Failure> {
    let connection = rest.connection().await?;
    // With its owner, so that an editor's many connections ask once where none has a key.
    let user = format!("{}.{}", workspace.name, workspace.owner);
    Ok(Destination {
        user,
        host: connection.ssh_host,
        port: connection.ssh_port,
        folder: command
            .folder
            .clone()
            .unwrap_or_else(|| workspace.home.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_are_handed_to_a_browser() {
        for page in ["https://a.example/x?y=z", "http://[::1]:8080/"] {
            assert_eq!(web_page(page.to_owned()).unwrap(), page);
        }
        for other in [
            "file:///etc/passwd",
            "/etc/passwd",
            "-aCalculator",
            "x:y",
            "",
            "https://",
        ] {
            assert!(web_page(other.to_owned()).is_err(), "{other}");
        }
    }
}
