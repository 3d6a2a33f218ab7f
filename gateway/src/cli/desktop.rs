//! Opening links with what the desktop has for them.

use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

/// How long what opens a link may take to say that it can't; afterwards it is believed to.
const VERDICT: Duration = Duration::from_secs(5);

/// How opening went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// As far as it can be told, it was opened.
    Yes,
    /// There is no desktop here.
    NoDesktop,
    /// Nothing here takes such links.
    Nothing,
}

/// Opens a page in a browser where there is one; tells whether that was tried.
pub(super) fn try_browser(page: &str) -> bool {
    program(page).is_some_and(|mut program| program.spawn().is_ok())
}

/// Opens a link, and waits for the verdict of what opens it.
pub(super) async fn open(link: &str) -> Opened {
    let Some(program) = program(link) else {
        return Opened::NoDesktop;
    };
    let mut program = tokio::process::Command::from(program);
    let Ok(mut child) = program.spawn() else {
        return Opened::NoDesktop;
    };
    match timeout(VERDICT, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Opened::Nothing,
        // It goes on for as long as what it opened: it is not ours to end.
        _ => Opened::Yes,
    }
}

/// Returns what opens a link here.
fn program(link: &str) -> Option<Command> {
    let value = |name| env::var_os(name).filter(|value| !value.is_empty());
    let page = link.starts_with("https://") || link.starts_with("http://");
    let program = match value("BROWSER") {
        Some(browser) if page => browser,
        _ if cfg!(target_os = "macos") => "open".into(),
        _ => {
            let desktop = value("DISPLAY").or_else(|| value("WAYLAND_DISPLAY"));
            desktop.map(|_| "xdg-open".into())?
        }
    };
    let mut command = Command::new(program);
    command
        .arg(link)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Some(command)
}
