//! What doesn't live for good.

use super::{Ledger, Workspace};

impl Ledger {
    /// Returns the workspaces that live until their time is over.
    pub(in crate::workspaces) fn mortal(&self) -> Vec<Workspace> {
        let entries = self.entries.lock();
        let mortal = entries.values();
        let mortal = mortal.filter(|entry| entry.lives && entry.workspace.expires.is_some());
        mortal.map(|entry| entry.workspace.clone()).collect()
    }
}
