//! What people may have, and what they have.
//!
//! One ledger knows every workspace: who owns it, whether it runs, and what its home takes
//! up. Who makes or starts one enters it there first, under one lock, so that nothing is
//! exceeded however many are made or started at once. What runs already when a limit is
//! set goes on.

mod count;
mod disk;
mod lives;
mod place;
mod pooled;

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::Notify;

use super::blueprint::TemplateUse;
use super::reached::{LimitReached, Resource};
use super::state::{Intent, Record, State, Workspace};
use crate::config::Size;
use crate::drivers::HomeSize;
use crate::names::{UserId, WorkspaceId};
use count::{Whose, holds, named, usage};

/// Billionths of a processor in a thousandth.
const NANOS: u64 = 1_000_000;

/// What all workspaces of a user, or of everybody, may be together; absent: anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// How many there may be.
    pub workspaces: Option<u64>,
    /// How many may run at once.
    pub running: Option<u64>,
    /// Processors of those that run, in billionths.
    pub nano_cpus: Option<u64>,
    /// Memory of those that run, in bytes.
    pub memory: Option<u64>,
    /// What homes and snapshots may take up, in bytes.
    pub disk: Option<u64>,
}

/// What people may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Each user.
    pub user: Allowance,
    /// All together.
    pub total: Allowance,
    /// What one workspace is given that runs.
    pub each: Demand,
}

/// What a workspace is given while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Processors, in billionths.
    pub nano_cpus: u64,
    /// Memory, in bytes.
    pub memory: u64,
}

/// What somebody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many workspaces live.
    pub workspaces: u64,
    /// How many of them run, or are on their way up or down.
    pub running: u64,
    /// Processors of these, in billionths.
    pub nano_cpus: u64,
    /// Memory of these, in bytes.
    pub memory: u64,
    /// What homes take up, those of deleted workspaces too, and snapshots, in bytes.
    pub disk: u64,
    /// When the first of the homes was measured; absent: none was.
    pub measured: Option<OffsetDateTime>,
}

/// Knows what everybody has.
#[derive(Debug)]
pub(super) struct Ledger {
    limits: Limits,
    entries: Mutex<HashMap<WorkspaceId, Entry>>,
    /// What each owner's snapshots take up, in bytes.
    snapshots: Mutex<HashMap<UserId, u64>>,
    /// The most that a home of a pool's member took up, in bytes, by its template.
    members: Mutex<HashMap<TemplateUse, u64>>,
    /// Who had too much on disk when it was last looked at.
    over: Mutex<HashSet<UserId>>,
    /// Told when there may be something to do about pools.
    pools: Notify,
}

#[derive(Clone, Debug)]
struct Entry {
    workspace: Workspace,
    /// Whether it counts as a workspace: deleted ones don't.
    lives: bool,
    /// Whether it holds what it is given while it runs.
    runs: bool,
    home: Option<HomeSize>,
    /// What its home will take up as long as it isn't measured, in bytes.
    expected: u64,
}

impl Entry {
    /// Returns what its home takes up, as far as that is known, in bytes.
    fn bytes(&self) -> u64 {
        self.home.map_or(self.expected, |home| home.bytes)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    workspaces: u64,
    running: u64,
    each: Demand,
    /// What its home takes up, as far as that is known, in bytes.
    disk: u64,
}

/// Returns what a workspace is given while it runs.
pub(super) fn demand(limits: &Limits, workspace: &Workspace) -> Demand {
    let own = &workspace.blueprint;
    let cpus = own.cpus.map(|cpus| u64::from(cpus.thousandths()) * NANOS);
    Demand {
        nano_cpus: cpus.unwrap_or(limits.each.nano_cpus),
        memory: own.memory.map_or(limits.each.memory, Size::bytes),
    }
}

impl Ledger {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Mutex::default(),
            snapshots: Mutex::default(),
            members: Mutex::default(),
            over: Mutex::default(),
            pools: Notify::new(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Enters a workspace of the records as it is.
    pub(super) fn adopt(&self, record: &Record) {
        let entry = Entry {
            workspace: record.workspace.clone(),
            lives: record.deleted.is_none(),
            runs: record.intent == Intent::Run,
            home: None,
            expected: 0,
        };
        self.entries
            .lock()
            .insert(record.workspace.id.clone(), entry);
    }

    /// Enters that a workspace runs. Tells whether it didn't before.
    pub(super) fn start(&self, workspace: &Workspace) -> Result<bool, Box<LimitReached>> {
        let mut entries = self.entries.lock();
        if entries.get(&workspace.id).is_some_and(|entry| entry.runs) {
            return Ok(false);
        }
        let wanted = self.wanted(workspace, false, true);
        self.check(&entries, workspace, wanted)?;
        if let Some(entry) = entries.get_mut(&workspace.id) {
            entry.runs = true;
        }
        Ok(true)
    }

    /// Enters that a workspace runs that is made of something else than before.
    pub(super) fn rebuild(&self, workspace: &Workspace) -> Result<(), Box<LimitReached>> {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&workspace.id) else {
            return Ok(());
        };
        let ran = std::mem::replace(&mut entry.runs, false);
        let wanted = self.wanted(workspace, false, true);
        let checked = self.check(&entries, workspace, wanted);
        if let Some(entry) = entries.get_mut(&workspace.id) {
            entry.runs = ran || checked.is_ok();
            if checked.is_ok() {
                entry.workspace = workspace.clone();
            }
        }
        checked
    }

    /// Notes in which state a workspace is: what doesn't run holds nothing.
    pub(super) fn seen(&self, id: &WorkspaceId, state: &State) {
        if let Some(entry) = self.entries.lock().get_mut(id)
            && !holds(state)
        {
            entry.runs = false;
        }
    }

    /// Enters that a deleted workspace lives again.
    pub(super) fn restore(&self, workspace: &Workspace) -> Result<(), Box<LimitReached>> {
        let mut entries = self.entries.lock();
        let wanted = self.wanted(workspace, true, false);
        self.check(&entries, workspace, wanted)?;
        if let Some(entry) = entries.get_mut(&workspace.id) {
            entry.lives = true;
        }
        Ok(())
    }

    /// Notes that a workspace is deleted.
    pub(super) fn deleted(&self, id: &WorkspaceId) {
        if let Some(entry) = self.entries.lock().get_mut(id) {
            entry.lives = false;
        }
    }

    /// Notes that nothing is left of a workspace.
    pub(super) fn gone(&self, id: &WorkspaceId) {
        self.entries.lock().remove(id);
    }

    /// Enters another name or owner, who must be allowed to have it.
    pub(super) fn change(&self, changed: &Workspace) -> Result<(), Box<LimitReached>> {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get(&changed.id) else {
            return Ok(());
        };
        if entry.workspace.owner != changed.owner {
            let wanted = Wanted {
                disk: entry.bytes().max(1),
                ..self.wanted(changed, true, entry.runs)
            };
            let limits = &self.limits.user;
            self.check_one(
                &entries,
                changed,
                wanted,
                (limits, Whose::One(&changed.owner)),
            )?;
        }
        if let Some(entry) = entries.get_mut(&changed.id) {
            entry.workspace = changed.clone();
        }
        Ok(())
    }

    /// Notes what a workspace is called and whose it is.
    pub(super) fn renamed(&self, workspace: &Workspace) {
        if let Some(entry) = self.entries.lock().get_mut(&workspace.id) {
            entry.workspace = workspace.clone();
        }
    }

    /// Returns what a user has, or all have.
    pub(super) fn usage(&self, owner: Option<&UserId>) -> Usage {
        let whose = owner.map_or(Whose::All, Whose::One);
        self.all(&self.entries.lock(), whose)
    }

    /// Returns what somebody has: homes and snapshots.
    fn all(&self, entries: &HashMap<WorkspaceId, Entry>, whose: Whose<'_>) -> Usage {
        let mut all = usage(&self.limits, entries, whose);
        all.disk = all.disk.saturating_add(self.snapshots(whose));
        all
    }

    fn wanted(&self, workspace: &Workspace, new: bool, runs: bool) -> Wanted {
        Wanted {
            workspaces: u64::from(new),
            running: u64::from(runs),
            each: if runs {
                demand(&self.limits, workspace)
            } else {
                Demand::default()
            },
            disk: if new { self.expected(workspace) } else { 1 },
        }
    }

    fn check(
        &self,
        entries: &HashMap<WorkspaceId, Entry>,
        workspace: &Workspace,
        wanted: Wanted,
    ) -> Result<(), Box<LimitReached>> {
        let (user, total) = (&self.limits.user, &self.limits.total);
        let all = self.check_one(entries, workspace, wanted, (total, Whose::All));
        if workspace.is_pooled() {
            return all;
        }
        let own = (user, Whose::One(&workspace.owner));
        self.check_one(entries, workspace, wanted, own)?;
        // Pools make room.
        self.check_one(entries, workspace, wanted, (total, Whose::People))?;
        if all.is_err() {
            self.pools.notify_one();
        }
        Ok(())
    }

    fn check_one(
        &self,
        entries: &HashMap<WorkspaceId, Entry>,
        workspace: &Workspace,
        wanted: Wanted,
        (allowed, whose): (&Allowance, Whose<'_>),
    ) -> Result<(), Box<LimitReached>> {
        let has = self.all(entries, whose);
        let found = [
            (
                Resource::Workspaces,
                allowed.workspaces,
                has.workspaces,
                wanted.workspaces,
            ),
            (
                Resource::Running,
                allowed.running,
                has.running,
                wanted.running,
            ),
            (
                Resource::Cpus,
                allowed.nano_cpus,
                has.nano_cpus,
                wanted.each.nano_cpus,
            ),
            (
                Resource::Memory,
                allowed.memory,
                has.memory,
                wanted.each.memory,
            ),
            (Resource::Disk, allowed.disk, has.disk, wanted.disk),
        ];
        for (resource, limit, used, wanted) in found {
            let Some(limit) = limit else { continue };
            if wanted > 0 && used.saturating_add(wanted) > limit {
                let (by, more) = named(entries, whose, resource);
                return Err(Box::new(LimitReached {
                    resource,
                    owner: matches!(whose, Whose::One(_)).then(|| workspace.owner_name.clone()),
                    limit,
                    used,
                    wanted,
                    by,
                    more,
                }));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
