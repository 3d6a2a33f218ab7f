//! Whether a session ends because somebody ended its workspace.
//!
//! Programs die of that as they do by themselves, and streams break as they do where an
//! agent crashes: only the workspace's state tells one from the other.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::names::WorkspaceId;
use crate::refusal::WorkspaceEnd;
use crate::ssh::connection::Connection;
use crate::workspaces::{Intent, State};

/// Knows whether the end of a session's workspace was ordered.
pub(super) struct Parting<'a> {
    connection: &'a Arc<Connection>,
    /// Absent where the workspace is gone already.
    workspace: Option<(WorkspaceId, watch::Receiver<State>)>,
    ordered: AtomicBool,
}

impl<'a> Parting<'a> {
    pub(super) fn of(connection: &'a Arc<Connection>) -> Self {
        let workspaces = &connection.gateway.workspaces;
        let workspace = connection
            .workspace()
            .and_then(|id| workspaces.watch(&id).map(|state| (id, state)));
        Self {
            connection,
            workspace,
            ordered: AtomicBool::new(false),
        }
    }

    /// Takes note of an order; for ever. A restart may be over before the session is.
    pub(super) async fn watch(&self) -> Infallible {
        if let Some((_, state)) = &self.workspace
            && state.clone().wait_for(is_ordered).await.is_ok()
        {
            self.ordered.store(true, Ordering::Relaxed);
        }
        pending().await
    }

    /// Tells whether somebody has ordered the workspace's end.
    pub(super) fn is_ordered(&self) -> bool {
        let stops = |(_, state): &(_, watch::Receiver<State>)| is_ordered(&state.borrow());
        self.ordered.load(Ordering::Relaxed) || self.workspace.as_ref().is_some_and(stops)
    }

    /// Returns what was ordered; nothing where a program that ends now does so by itself.
    pub(super) async fn why(&self) -> Option<WorkspaceEnd> {
        if !self.is_ordered() {
            return None;
        }
        let (id, _) = self.workspace.as_ref()?;
        let Some(record) = self.connection.gateway.workspaces.get(id).await.ok()? else {
            return Some(WorkspaceEnd::Deleted);
        };
        let target = record.workspace.target();
        Some(match record.intent {
            Intent::Run => WorkspaceEnd::Restarted(target),
            Intent::Stop => WorkspaceEnd::Stopped(target),
            Intent::Sleep => WorkspaceEnd::Asleep(target),
            Intent::Delete | Intent::Purge => WorkspaceEnd::Deleted,
        })
    }
}

/// An agent that ends by itself is started again at once, without this state.
fn is_ordered(state: &State) -> bool {
    *state == State::Stopping
}
