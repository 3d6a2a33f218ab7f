//! What is nobody's: it counts in total alone, and makes room for what is somebody's.

use super::count::Whose;
use super::{Ledger, LimitReached, Workspace};

impl Ledger {
    /// Returns the workspaces that are nobody's and stay, the oldest first.
    pub(in crate::workspaces) fn members(&self) -> Vec<Workspace> {
        let entries = self.entries.lock();
        let members = entries.values();
        let members = members.filter(|entry| entry.lives && entry.workspace.is_pooled());
        let mut members: Vec<_> = members.map(|entry| entry.workspace.clone()).collect();
        members.sort_by_key(|member| (member.created, member.id.clone()));
        members
    }

    /// Enters that a workspace that was nobody's is somebody's, who must be allowed to have
    /// it.
    pub(in crate::workspaces) fn claim(
        &self,
        claimed: &Workspace,
    ) -> Result<(), Box<LimitReached>> {
        let mut entries = self.entries.lock();
        let wanted = self.wanted(claimed, true, true);
        self.check(&entries, claimed, wanted)?;
        if let Some(entry) = entries.get_mut(&claimed.id) {
            entry.workspace = claimed.clone();
        }
        Ok(())
    }

    /// Tells whether there is more than there may be as long as all pools' members stay.
    pub(in crate::workspaces) fn is_crowded(&self) -> bool {
        let has = self.all(&self.entries.lock(), Whose::Staying);
        let may = &self.limits.total;
        [
            (has.workspaces, may.workspaces),
            (has.running, may.running),
            (has.nano_cpus, may.nano_cpus),
            (has.memory, may.memory),
            (has.disk, may.disk),
        ]
        .into_iter()
        .any(|(has, may)| may.is_some_and(|may| has > may))
    }

    /// Tells that there may be something to do about pools.
    pub(in crate::workspaces) fn look_at_pools(&self) {
        self.pools.notify_one();
    }

    /// Waits until there may be something to do about pools. Cancel-safe.
    pub(in crate::workspaces) async fn pools_to_look_at(&self) {
        self.pools.notified().await;
    }
}
