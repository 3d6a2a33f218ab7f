//! What is said where a limit is reached.

use crate::names::{UserName, WorkspaceName};

/// What there is a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// How many workspaces there are.
    Workspaces,
    /// How many of them run.
    Running,
    /// Processors of those that run, in billionths.
    Cpus,
    /// Memory of those that run, in bytes.
    Memory,
    /// What homes take up, in bytes.
    Disk,
}

/// Somebody wants more than they, or all together, may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.found(), self.next_step())]
pub struct LimitReached {
    /// Of what.
    pub resource: Resource,
    /// Whose limit; absent: that of all together.
    pub owner: Option<UserName>,
    /// How much there may be.
    pub limit: u64,
    /// How much there is.
    pub used: u64,
    /// How much was wanted.
    pub wanted: u64,
    /// Who uses it.
    pub by: Vec<WorkspaceName>,
    /// How many others do.
    pub more: usize,
}

/// Billionths of a processor in one.
const NANOS: u64 = 1_000_000_000;

impl LimitReached {
    fn found(&self) -> String {
        let who = match &self.owner {
            Some(owner) => owner.to_string(),
            None => "this gateway".to_owned(),
        };
        let (used, limit, by) = (
            self.amount(self.used),
            self.amount(self.limit),
            self.users(),
        );
        let unit = match self.resource {
            Resource::Workspaces | Resource::Running => "",
            Resource::Cpus => " processors",
            Resource::Memory => " memory",
            Resource::Disk => " disk",
        };
        match self.resource {
            Resource::Workspaces => format!("{who} has {used} of {limit} workspaces{by}"),
            Resource::Running => {
                format!("{who} has {used} of {limit} workspaces that run at once{by}")
            }
            Resource::Cpus | Resource::Memory => format!(
                "{who}'s workspaces that run use {used} of {limit}{unit}{by}, and this one \
                 takes {}",
                self.amount(self.wanted)
            ),
            Resource::Disk if self.used < self.limit => format!(
                "{who}'s homes take up {used} of {limit}{unit}{by}, and this one is likely to \
                 take {}",
                self.amount(self.wanted)
            ),
            Resource::Disk => format!("{who}'s homes take up {used} of {limit}{unit}{by}"),
        }
    }

    fn next_step(&self) -> &'static str {
        match (self.resource, self.owner.is_some()) {
            (Resource::Workspaces, true) => "delete one, or ask who runs this gateway for more",
            (Resource::Running | Resource::Cpus | Resource::Memory, true) => {
                "stop one, or ask who runs this gateway for more"
            }
            (Resource::Running | Resource::Cpus | Resource::Memory, false) => {
                "try again once others have stopped, or ask who runs it"
            }
            (Resource::Disk, true) => {
                "delete files or workspaces and purge deleted ones (it is measured now and then), \
                 or ask who runs this gateway for more"
            }
            (Resource::Workspaces | Resource::Disk, false) => "ask who runs it",
        }
    }

    fn amount(&self, count: u64) -> String {
        match self.resource {
            Resource::Workspaces | Resource::Running => count.to_string(),
            Resource::Cpus => {
                let thousandths = count % NANOS / (NANOS / 1000);
                let text = format!("{}.{thousandths:03}", count / NANOS);
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Resource::Memory | Resource::Disk => size(count),
        }
    }

    fn users(&self) -> String {
        if self.by.is_empty() {
            return String::new();
        }
        let mut names: Vec<_> = self.by.iter().map(ToString::to_string).collect();
        if self.more > 0 {
            names.push(format!("and {} more", self.more));
        }
        format!(" ({})", names.join(", "))
    }
}

/// Returns a number of bytes, exact where that is short, else in tenths of its unit.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    for (index, (unit, factor)) in UNITS.into_iter().enumerate() {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
        // A whole number of the next smaller unit is as short.
        let smaller = UNITS.get(index + 1).map_or(1, |(_, smaller)| *smaller);
        if bytes >= factor && !(bytes.is_multiple_of(smaller) && bytes / smaller < 10_000) {
            let tenths = bytes / (factor / 10).max(1);
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes}B")
}
