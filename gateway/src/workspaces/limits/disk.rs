//! What homes and snapshots take up: it counts as disk of their owners.

use std::collections::HashMap;

use super::count::Whose;
use super::{Demand, Entry, Ledger, LimitReached, Wanted};
use crate::drivers::HomeSize;
use crate::names::{UserId, WorkspaceId};
use crate::workspaces::blueprint::TemplateUse;
use crate::workspaces::state::Workspace;
use parking_lot::MutexGuard;

impl Ledger {
    /// Notes what a home takes up.
    pub(in super::super) fn measured(&self, id: &WorkspaceId, size: HomeSize) {
        if let Some(entry) = self.entries.lock().get_mut(id) {
            entry.home = Some(size);
            if entry.workspace.is_pooled() {
                self.expect(&entry.workspace, size.bytes);
            }
        }
    }

    /// Returns what a workspace's home takes up, as far as that is known, in bytes.
    pub(in super::super) fn home_of(&self, id: &WorkspaceId) -> u64 {
        self.entries.lock().get(id).map_or(0, Entry::bytes)
    }

    /// Notes what the next member of a pool will take up: as much as the largest one so far.
    fn expect(&self, member: &Workspace, bytes: u64) {
        if let Some(of) = &member.blueprint.template {
            let mut members = self.expectations();
            let most = members.entry(of.clone()).or_default();
            *most = bytes.max(*most);
        }
    }

    /// Forgets what members take up of which there is no pool any more.
    pub(in super::super) fn expect_only(&self, is_wanted: impl Fn(&TemplateUse) -> bool) {
        self.expectations().retain(|of, _| is_wanted(of));
    }

    /// Returns what a workspace will take up that is made.
    ///
    /// There is no quota: who is beyond what he may have makes and starts nothing more. A
    /// pool's member is made where it fits alone, or it would be ended as soon as it is
    /// measured, and made again, for ever.
    pub(super) fn expected(&self, workspace: &Workspace) -> u64 {
        let of = workspace.blueprint.template.as_ref();
        let Some(of) = of.filter(|_| workspace.is_pooled()) else {
            return 1;
        };
        let most = self.expectations().get(of).copied();
        most.unwrap_or_default().max(1)
    }

    fn expectations(&self) -> MutexGuard<'_, HashMap<TemplateUse, u64>> {
        self.members.lock()
    }

    /// Returns who has too much on disk since this was last asked.
    pub(in super::super) fn newly_over(&self) -> Vec<Workspace> {
        let Some(limit) = self.limits.user.disk else {
            return Vec::new();
        };
        let entries = self.entries.lock();
        let mut owners: HashMap<&UserId, (&Workspace, u64)> = HashMap::new();
        for entry in entries.values().filter(|it| !it.workspace.is_pooled()) {
            let size = entry.home.map_or(0, |home| home.bytes);
            let owner = &entry.workspace.owner;
            owners.entry(owner).or_insert((&entry.workspace, 0)).1 += size;
        }
        owners.retain(|owner, (_, used)| {
            *used = used.saturating_add(self.snapshots(Whose::One(owner)));
            *used > limit
        });
        let mut over = self.over.lock();
        over.retain(|owner| owners.contains_key(owner));
        let new = owners.into_values();
        new.filter(|(workspace, _)| over.insert(workspace.owner.clone()))
            .map(|(workspace, _)| workspace.clone())
            .collect()
    }

    /// Notes what each owner's snapshots take up, in bytes.
    pub(in super::super) fn kept(&self, sizes: impl Iterator<Item = (UserId, u64)>) {
        let mut sums = HashMap::new();
        for (owner, size) in sizes {
            let sum: &mut u64 = sums.entry(owner).or_default();
            *sum = sum.saturating_add(size);
        }
        *self.sums() = sums;
    }

    /// Returns what somebody's snapshots take up; pools have none.
    pub(super) fn snapshots(&self, whose: Whose<'_>) -> u64 {
        let sums = self.sums();
        match whose {
            Whose::One(owner) => sums.get(owner).copied().unwrap_or_default(),
            Whose::People | Whose::Staying | Whose::All => {
                sums.values().fold(0, |sum, size| sum.saturating_add(*size))
            }
        }
    }

    /// Tells whether a workspace's owner may keep a snapshot of it: how large it gets isn't
    /// known before.
    pub(in super::super) fn may_keep(
        &self,
        workspace: &Workspace,
    ) -> Result<(), Box<LimitReached>> {
        let nothing = Wanted {
            workspaces: 0,
            running: 0,
            each: Demand::default(),
            disk: 1,
        };
        self.check(&self.entries.lock(), workspace, nothing)
    }

    fn sums(&self) -> MutexGuard<'_, HashMap<UserId, u64>> {
        self.snapshots.lock()
    }
}
