//! Containers that stand still because somebody else paused them.
//!
//! They count as running, and nothing in them answers. What was paused from outside while a
//! workspace runs is left so, as a backup may need it, and told of to who waits; who starts
//! the workspace, or takes it up again, lets it go on.

use std::collections::HashSet;

use bollard::models::ContainerState;
use parking_lot::{Mutex, MutexGuard};
use tracing::{info, warn};

use super::containers::Containers;
use super::spec;
use crate::drivers::DriverError;
use crate::names::WorkspaceId;

/// What stands still.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// Those that are copied here, which holds them up at times.
    ours: HashSet<WorkspaceId>,
    /// Those that stand still because a snapshot is taken.
    still: HashSet<WorkspaceId>,
    /// Those that others paused.
    paused: HashSet<WorkspaceId>,
}

/// While it is there, a workspace's container is paused by nobody else.
#[derive(Debug)]
pub(super) struct Ours<'a>(&'a Pauses, WorkspaceId);

/// While it is there, people are told that a workspace stands still for its snapshot.
#[derive(Debug)]
pub(super) struct Still<'a>(&'a Pauses, WorkspaceId);

impl Pauses {
    /// Says that a container is copied here until that is dropped.
    pub(super) fn copying(&self, id: &WorkspaceId) -> Ours<'_> {
        self.held().ours.insert(id.clone());
        Ours(self, id.clone())
    }

    /// Says that a container stands still for its snapshot until that is dropped.
    pub(super) fn still(&self, id: &WorkspaceId) -> Still<'_> {
        self.held().still.insert(id.clone());
        Still(self, id.clone())
    }

    fn is_ours(&self, id: &WorkspaceId) -> bool {
        self.held().ours.contains(id)
    }

    /// Takes note of a container's state. Tells whether it is new that others paused it.
    fn note(&self, id: &WorkspaceId, state: Option<&ContainerState>) -> bool {
        let paused = state.and_then(|state| state.paused) == Some(true);
        let mut held = self.held();
        if paused && !held.ours.contains(id) {
            return held.paused.insert(id.clone());
        }
        held.paused.remove(id);
        false
    }

    /// Returns what there is to tell of a workspace that stands still.
    pub(super) fn text(&self, id: &WorkspaceId) -> Option<String> {
        let held = self.held();
        if held.still.contains(id) {
            let what = "a snapshot of it is taken: everything in it stands still for a while, then \
                        goes on by itself";
            return Some(what.to_owned());
        }
        held.paused.contains(id).then(|| {
            let name = spec::container(id);
            format!(
                "its container is paused from outside: `docker unpause {name}` on its host, or \
                 a restart, lets it go on"
            )
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock()
    }
}

impl Drop for Ours<'_> {
    fn drop(&mut self) {
        self.0.held().ours.remove(&self.1);
    }
}

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.held().still.remove(&self.1);
    }
}

impl Containers {
    /// Returns the state of a workspace's container, and takes note of whether it stands still.
    pub(super) async fn watched_state(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<ContainerState>, DriverError> {
        let was_ours = self.pauses.is_ours(id);
        let state = self.state(id).await?;
        // A pause of ours that was seen may be over by now.
        let seen = state.as_ref().filter(|_| !was_ours);
        if self.pauses.note(id, seen) {
            warn!(workspace = %id, "the container is paused from outside");
        }
        Ok(state)
    }

    /// Lets a workspace's container go on that somebody else paused.
    pub(super) async fn let_go_on(&self, id: &WorkspaceId) -> Result<(), DriverError> {
        match self.running(id).await? {
            Some(state) if !self.pauses.is_ours(id) => self.go_on(id, &state).await,
            _ => Ok(()),
        }
    }

    /// Lets a container go on that stands still.
    pub(super) async fn go_on(
        &self,
        id: &WorkspaceId,
        state: &ContainerState,
    ) -> Result<(), DriverError> {
        if state.paused == Some(true) {
            info!(workspace = %id, "the container is paused: it goes on");
            self.unpause(&spec::container(id)).await?;
        }
        self.pauses.note(id, None);
        Ok(())
    }

    pub(super) async fn unpause(&self, name: &str) -> Result<(), DriverError> {
        let client = self.engine().client().await?;
        let unpaused = client.unpause_container(name).await;
        self.done("unpause the container", unpaused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_paused_is_told_of_until_it_goes_on() {
        let (pauses, id) = (Pauses::default(), WorkspaceId::random());
        let state = |paused| ContainerState {
            paused: Some(paused),
            ..ContainerState::default()
        };
        {
            let _ours = pauses.copying(&id);
            assert!(!pauses.note(&id, Some(&state(true))));
            assert_eq!(pauses.text(&id), None);
        }
        assert!(pauses.note(&id, Some(&state(true))));
        assert!(!pauses.note(&id, Some(&state(true))));
        assert!(pauses.text(&id).unwrap().contains("docker unpause"));
        assert!(!pauses.note(&id, Some(&state(false))));
        assert_eq!(pauses.text(&id), None);
    }
}
