//! `devgate limits`: what people may have, and have.

use clap::Args;
use time::OffsetDateTime;

use super::client::{Client, segment};
use super::failure::Failure;
use super::output::{Format, table};
use crate::http::wire::{Allotment, LimitsView};
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
        part(of.workspaces.used, of.workspaces.limit, u64::to_string),
        part(of.running.used, of.running.limit, u64::to_string),
        part(of.cpus.used, of.cpus.limit, f64::to_string),
        part(of.memory_bytes.used, of.memory_bytes.limit, bytes),
        match disk.used {
            Some(used) => part(used, disk.limit, bytes),
            None => part(
                "?".to_owned(),
                disk.limit.as_ref().map(bytes),
                String::clone,
            ),
        },
        disk.measured_at.map_or_else(String::new, ago),
    ]
}

fn part<T>(used: T, limit: Option<T>, text: impl Fn(&T) -> String) -> String {
    match limit {
        Some(limit) => format!("{} of {}", text(&used), text(&limit)),
        None => text(&used),
    }
}

/// Returns a number of bytes in its largest unit, to the tenth.
fn bytes(count: &u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    let unit = UNITS.into_iter().find(|(_, factor)| count >= factor);
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
