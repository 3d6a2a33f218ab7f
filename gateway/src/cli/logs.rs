//! `devgate logs`.

use clap::Args;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncWriteExt;

use super::client::{Client, segment};
use super::failure::Failure;
use crate::config::Period;
use crate::identity::Target;

/// `devgate logs`.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// WORKSPACE, or WORKSPACE.OWNER
    workspace: Target,
    /// What its start-up wrote, instead of its agent
    #[arg(long)]
    startup: bool,
    /// Go on as more is written
    #[arg(long, short)]
    follow: bool,
    /// How many of the last lines
    #[arg(long, short = 'n', default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    lines: u32,
    /// What was logged from then on: a time ago, such as 10m, or 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<OffsetDateTime>,
    /// What was logged up to then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<OffsetDateTime>,
}

/// Prints a workspace's log.
pub(super) async fn logs(client: &mut Client, command: Logs) -> Result<(), Failure> {
    let mut path = format!(
        "/workspaces/{}/{}?lines={}&follow={}",
        segment(&command.workspace.to_string()),
        if command.startup {
            "startup/log"
        } else {
            "logs"
        },
        command.lines,
        command.follow
    );
    for (name, time) in [("since", command.since), ("until", command.until)] {
        if let Some(text) = time.and_then(|time| time.format(&Rfc3339).ok()) {
            path = format!("{path}&{name}={}", segment(&text));
        }
    }
    let mut body = client.stream(&path).await?;
    let mut out = tokio::io::stdout();
    while let Some(data) = body.next().await? {
        out.write_all(&data).await?;
        out.flush().await?;
    }
    Ok(())
}

/// Reads a time: how long ago, or when.
fn moment(text: &str) -> Result<OffsetDateTime, String> {
    if let Ok(period) = text.parse::<Period>() {
        let then =
            OffsetDateTime::now_utc().checked_sub(period.get().try_into().unwrap_or_default());
        return then.ok_or_else(|| "that is too long ago".to_owned());
    }
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        "write how long ago, as in 10m or 2h, or when, as in 2026-01-31T09:00:00Z".to_owned()
    })
}
