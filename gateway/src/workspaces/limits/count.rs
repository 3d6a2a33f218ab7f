//! Counts what workspaces hold.

use std::collections::HashMap;

use super::{Entry, Limits, Usage, demand};
use crate::names::{UserId, WorkspaceId, WorkspaceName};
use crate::workspaces::failure::FailureReason;
use crate::workspaces::reached::Resource;
use crate::workspaces::state::State;

/// Whose workspaces are counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose<'a> {
    /// A user's.
    One(&'a UserId),
    /// Those that are somebody's.
    People,
    /// Those, and pools' members but for such as are on their way out.
    Staying,
    /// All.
    All,
}

/// Workspaces that an error names.
const NAMED: usize = 5;

/// Tells whether a workspace in a state has, or gets back by itself, what it is given.
pub(super) fn holds(state: &State) -> bool {
    match state {
        State::Starting
        | State::Running
        | State::Stopping
        | State::Failed(FailureReason::StopFailed { .. }) => true,
        State::Failed(reason) => reason.passes(),
        State::Created | State::Stopped | State::Asleep | State::Deleted => false,
    }
}

pub(super) fn usage(
    limits: &Limits,
    entries: &HashMap<WorkspaceId, Entry>,
    whose: Whose<'_>,
) -> Usage {
    let mut sum = Usage::default();
    for entry in of(entries, whose) {
        sum.workspaces += u64::from(entry.lives);
        if entry.runs {
            let each = demand(limits, &entry.workspace);
            sum.running += 1;
            sum.nano_cpus = sum.nano_cpus.saturating_add(each.nano_cpus);
            sum.memory = sum.memory.saturating_add(each.memory);
        }
        sum.disk = sum.disk.saturating_add(entry.bytes());
        if let Some(home) = entry.home {
            let first = sum.measured.map_or(home.at, |at| at.min(home.at));
            sum.measured = Some(first);
        }
    }
    sum
}

/// Names who uses a resource, the most first, for their owner: others' aren't named.
pub(super) fn named(
    entries: &HashMap<WorkspaceId, Entry>,
    whose: Whose<'_>,
    resource: Resource,
) -> (Vec<WorkspaceName>, usize) {
    if !matches!(whose, Whose::One(_)) {
        return (Vec::new(), 0);
    }
    let counts = |entry: &&Entry| match resource {
        Resource::Workspaces => entry.lives,
        Resource::Running | Resource::Cpus | Resource::Memory => entry.runs,
        Resource::Disk => entry.bytes() > 0,
    };
    let mut users: Vec<_> = of(entries, whose).filter(counts).collect();
    users.sort_by_key(|entry| {
        let size = match resource {
            Resource::Disk => entry.bytes(),
            _ => 0,
        };
        (std::cmp::Reverse(size), entry.workspace.name.as_str())
    });
    let more = users.len().saturating_sub(NAMED);
    let names = users.iter().take(NAMED);
    let names = names.map(|entry| entry.workspace.name.clone());
    (names.collect(), more)
}

fn of<'a>(
    entries: &'a HashMap<WorkspaceId, Entry>,
    whose: Whose<'a>,
) -> impl Iterator<Item = &'a Entry> {
    let all = entries.values();
    all.filter(move |entry| match whose {
        Whose::One(owner) => entry.workspace.owner == *owner,
        Whose::People => !entry.workspace.is_pooled(),
        Whose::Staying => !entry.workspace.is_pooled() || entry.lives,
        Whose::All => true,
    })
}
