//! Agents that dialled in and haven't said hello yet.

use std::collections::HashMap;
use std::sync::Arc;

use crate::names::WorkspaceId;
use parking_lot::{Mutex, MutexGuard};

/// Most control connections of one agent that wait for its hello; an honest one has
/// one.
const MAX_GREETING: usize = 8;

/// How many control connections of each workspace wait for a hello.
#[derive(Debug, Default)]
pub(super) struct Greetings(Mutex<HashMap<WorkspaceId, usize>>);

/// One of them; dropped when it has said hello or ended.
#[derive(Debug)]
pub(super) struct Greeting {
    greetings: Arc<Greetings>,
    id: WorkspaceId,
}

impl Greetings {
    /// Counts one more; `None` where the agent has too many.
    pub(super) fn begin(self: &Arc<Self>, id: &WorkspaceId) -> Option<Greeting> {
        let mut waiting = self.lock();
        let count = waiting.entry(id.clone()).or_default();
        if *count >= MAX_GREETING {
            return None;
        }
        *count += 1;
        Some(Greeting {
            greetings: Arc::clone(self),
            id: id.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, usize>> {
        self.0.lock()
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        let mut waiting = self.greetings.lock();
        if let Some(count) = waiting.get_mut(&self.id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workspace_has_its_own_bound_and_ends_make_room() {
        let greetings = Arc::new(Greetings::default());
        let (one, other) = (WorkspaceId::random(), WorkspaceId::random());
        let mut held: Vec<_> = (0..MAX_GREETING).map(|_| greetings.begin(&one)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(greetings.begin(&one).is_none());
        assert!(greetings.begin(&other).is_some());
        held.pop();
        held.push(greetings.begin(&one));
        assert!(held.iter().all(Option::is_some));
        drop(held);
        assert!(greetings.lock().is_empty());
    }
}
