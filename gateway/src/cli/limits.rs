//! `devgate limits`: what people may have, and have.

use clap::Args;
use time::OffsetDateTime;

use super::client::{Client, segment};
use super::failure::Failure;
use super::output::{Format, table};
use crate::http::wire::{Allotment, CountLimit, LimitsView};
use crate::names::UserName;

/// `devgate limits`.
#[derive(Debug, Args)]
pub(super) struct Command {
    /// Of this user alone
    user: Option<UserName>,
    #[command(flatten)]
    format: Format,
}

/// Shows them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    let path = match &command.user {
        Some(user) => format!("/limits?user={}", segment(user.as_str())),
        None => "/limits".to_owned(),
    };
    let limits: Vec<LimitsView> = client.get(&path).await?;
    command.format.print(&limits, |limits| {
        let mut rows: Vec<_> = limits
            .iter()
            .map(|it| row(it.user.as_str(), &it.own))
            .collect();
        let total = limits.first().and_then(|it| it.total.as_ref());
        rows.extend(total.map(|total| row("(all)", total)));
        let headings = [
            "USER",
            "WORKSPACES",
            "RUNNING",
            "CPUS",
            "MEMORY",
            "DISK",
            "MEASURED",
        ];
        table(headings, &rows)
    })
}

fn row(name: &str, of: &Allotment) -> [String; 7] {
    let disk = &of.disk_bytes;
    [
        name.to_owned(),
        count(&of.workspaces, |number| number.to_string()),
        count(&of.running, |number| number.to_string()),
        part(
            of.cpus.used.to_string(),
            of.cpus.limit.map(|limit| limit.to_string()),
        ),
        count(&of.memory_bytes, bytes),
        part(
            disk.used.map_or_else(|| "?".to_owned(), bytes),
            disk.limit.map(bytes),
        ),
        disk.measured_at.map_or_else(String::new, ago),
    ]
}

fn count(of: &CountLimit, text: impl Fn(u64) -> String) -> String {
    part(text(of.used), of.limit.map(text))
}

fn part(used: String, limit: Option<String>) -> String {
    match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => used,
    }
}

/// Returns a number of bytes in its largest unit, to the tenth.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    let unit = UNITS.into_iter().find(|(_, factor)| count >= *factor);
    match unit {
        Some((unit, factor)) if count.is_multiple_of(factor) => format!("{}{unit}", count / factor),
        Some((unit, factor)) => {
            let tenths = count / (factor / 10);
            format!("{}.{}{unit}", tenths / 10, tenths % 10)
        }
        None => format!("{count}B"),
    }
}

fn ago(at: OffsetDateTime) -> String {
    let seconds = (OffsetDateTime::now_utc() - at).whole_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds}s ago"),
        120..7200 => format!("{}m ago", seconds / 60),
        _ => format!("{}h ago", seconds / 3600),
    }
}
