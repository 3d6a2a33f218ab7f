//! The commands about workspaces' sleep.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::Args;

use super::client::{Client, segment};
use super::failure::{Failure, Kind};
use super::output::{self, Format, printable, table};
use super::workspaces::word;
use crate::config::Period;
use crate::http::admin::wire::sleep::{KeepAwake, Lease, Schedule, SetSchedule, WhyRunning};
use crate::http::admin::wire::{StateName, WorkspaceView};
use crate::identity::Target;
use crate::names::LeaseId;

/// `devgate why`.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// WORKSPACE, or WORKSPACE.OWNER; the only one there is where it is left out
    workspace: Option<Target>,
    #[command(flatten)]
    format: Format,
}

/// `devgate keep-awake`.
#[derive(Debug, Args)]
#[command(
    override_usage = "devgate keep-awake [WORKSPACE] TIME [--reason TEXT]\n       \
                            devgate keep-awake [WORKSPACE] --list\n       \
                            devgate keep-awake [WORKSPACE] --end ID\n       \
                            devgate keep-awake TIME [--reason TEXT] [-- COMMAND...]  (inside a \
                            workspace)"
)]
pub(super) struct Keep {
    /// WORKSPACE or WORKSPACE.OWNER, unless there is only one; and how long, up to 7d:
    /// 30m, 2h, 1d
    #[arg(value_name = "WORKSPACE|TIME", num_args = 0..=2)]
    pub(super) words: Vec<String>,
    /// What for, as others will see it
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["list", "end"])]
    pub(super) reason: Option<String>,
    /// Inside a workspace: a command; it is kept awake as long as that runs, and no longer
    /// than TIME
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["list", "end"])]
    pub(super) command: Vec<OsString>,
    /// Show what keeps it awake for a time
    #[arg(long, conflicts_with = "end")]
    list: bool,
    /// End a lease before its time
    #[arg(long, value_name = "ID")]
    end: Option<LeaseId>,
    #[command(flatten)]
    format: Format,
}

/// `devgate schedule`.
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// WORKSPACE, or WORKSPACE.OWNER; the only one there is where it is left out
    workspace: Option<Target>,
    /// When it wakes, in cron form: minute, hour, day, month, weekday
    #[arg(long, value_name = "CRON")]
    start: Option<String>,
    /// From when on it goes to sleep as soon as it is quiet, in cron form
    #[arg(long, value_name = "CRON")]
    stop: Option<String>,
    /// Whose clock that is, as in Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Have it follow the server's schedule, if there is one
    #[arg(long, conflicts_with_all = ["start", "stop"])]
    remove: bool,
    #[command(flatten)]
    format: Format,
}

impl Keep {
    /// Tells whether a time is all that is said, for people to read.
    pub(super) fn is_time_alone(&self) -> bool {
        self.words.len() == 1 && !self.list && self.end.is_none() && !self.format.is_json()
    }
}

/// Tells why a workspace runs.
pub(super) async fn why(client: &mut Client, command: Why) -> Result<(), Failure> {
    let name = name(client, command.workspace).await?;
    let why: WhyRunning = client.get(&path(&name, "why-running")).await?;
    command.format.print(&why, |why| told(&name, why))
}

/// Keeps a workspace awake for a time.
pub(super) async fn keep_awake(client: &mut Client, command: Keep) -> Result<(), Failure> {
    let asks = command.list || command.end.is_some();
    let (workspace, time) = match (command.words.as_slice(), asks) {
        ([], true) => (None, None),
        ([workspace], true) => (Some(workspace), None),
        ([time], false) => (None, Some(time)),
        ([workspace, time], false) => (Some(workspace), Some(time)),
        _ => {
            let usage = "say for how long: devgate keep-awake WORKSPACE 2h";
            return Err(Failure::new(Kind::Usage, usage));
        }
    };
    let usage = |error: &dyn std::fmt::Display| Failure::new(Kind::Usage, error.to_string());
    let workspace = workspace.map(|text| text.parse::<Target>()).transpose();
    let name = name(client, workspace.map_err(|error| usage(&error))?).await?;
    let leases = path(&name, "keep-awake");
    if let Some(id) = command.end {
        client.delete(&format!("{leases}/{id}")).await?;
        let format = command.format;
        format.step(&format!("the lease {id} on {name} has ended\n"))?;
        return format.done("ended", &[id]);
    }
    let Some(time) = time else {
        let leases: Vec<Lease> = client.get(&leases).await?;
        return command
            .format
            .print(&leases, |leases| listed(&name, leases));
    };
    let time: Period = time.parse().map_err(|error| usage(&error))?;
    let request = KeepAwake {
        seconds: time.get().as_secs(),
        reason: command.reason.unwrap_or_default(),
    };
    let lease: Lease = client.post(&leases, &request).await?;
    command.format.print(&lease, |lease| {
        let until = output::time(lease.until);
        format!("{name} stays awake until {until} (lease {})\n", lease.id)
    })
}

/// Shows or changes a workspace's schedule.
pub(super) async fn schedule(client: &mut Client, command: Plan) -> Result<(), Failure> {
    let name = name(client, command.workspace).await?;
    let place = path(&name, "schedule");
    let why: WhyRunning = if command.start.is_some() || command.stop.is_some() {
        let schedule = SetSchedule {
            start: command.start,
            stop: command.stop,
            time_zone: command.time_zone,
        };
        client.put(&place, &schedule).await?
    } else {
        if command.remove {
            client.delete(&place).await?;
        }
        client.get(&path(&name, "why-running")).await?
    };
    command
        .format
        .print(&why.schedule, |schedule| match schedule {
            Some(schedule) => planned(&name, schedule),
            None => format!("{name} has no schedule\n"),
        })
}

/// Returns which workspace is meant.
async fn name(client: &mut Client, asked: Option<Target>) -> Result<String, Failure> {
    if let Some(target) = asked {
        return Ok(target.to_string());
    }
    let all: Vec<WorkspaceView> = client.get("/workspaces").await?;
    match all.as_slice() {
        [only] => Ok(format!("{}.{}", only.name, only.owner)),
        [] => Err(Failure::new(Kind::NotFound, "there is no workspace")),
        _ => Err(Failure::new(
            Kind::Usage,
            "there are several workspaces: say which one (`devgate list` shows all)",
        )),
    }
}

fn path(name: &str, what: &str) -> String {
    format!("/workspaces/{}/{what}", segment(name))
}

fn told(name: &str, why: &WhyRunning) -> String {
    let mut text = format!("{name} is {}", word(why.state));
    // Writing to a string can't fail.
    let _ = match (why.sleeps_at, why.state) {
        (Some(at), _) => writeln!(
            text,
            " and goes to sleep at {}, unless something happens.",
            output::time(at)
        ),
        (None, StateName::Running) => writeln!(text, " and doesn't go to sleep."),
        (None, StateName::Asleep) => writeln!(text, ": the next connection wakes it."),
        (None, _) => writeln!(text, "."),
    };
    if let Some(since) = why.idle_since {
        let _ = writeln!(text, "Something last went on at {}.", output::time(since));
    }
    for reason in &why.reasons {
        let since = output::time(reason.since);
        let until = reason.until.map_or_else(
            || "for good".to_owned(),
            |until| format!("until {}", output::time(until)),
        );
        let detail = printable(&reason.detail);
        let _ = writeln!(text, "- {detail} (at {since}, counts {until})");
    }
    if let Some(schedule) = &why.schedule {
        text.push_str(&planned(name, schedule));
    }
    text
}

fn listed(name: &str, leases: &[Lease]) -> String {
    if leases.is_empty() {
        return format!("nothing keeps {name} awake for a time\n");
    }
    let rows: Vec<_> = leases
        .iter()
        .map(|lease| {
            [
                lease.id.to_string(),
                lease
                    .by
                    .as_ref()
                    .map_or("-".to_owned(), ToString::to_string),
                output::time(lease.until),
                lease.reason.clone(),
            ]
        })
        .collect();
    table(["ID", "BY", "UNTIL", "REASON"], &rows)
}

fn planned(name: &str, schedule: &Schedule) -> String {
    let whose = if schedule.inherited {
        " (the server's)"
    } else {
        ""
    };
    let mut text = format!(
        "schedule of {name}{whose}, by the clock of {}:\n",
        printable(&schedule.time_zone)
    );
    for (what, cron, next) in [
        ("start", &schedule.start, schedule.next_start),
        ("stop", &schedule.stop, schedule.next_stop),
    ] {
        if let Some(cron) = cron {
            let next = next.map_or_else(|| "never".to_owned(), output::time);
            // Writing to a string can't fail.
            let _ = writeln!(text, "  {what:<6}{}  next at {next}", printable(cron));
        }
    }
    text
}
