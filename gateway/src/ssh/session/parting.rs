//! Why a session ends before its program does: because somebody ended the workspace, its agent
//! ended by itself, or the connection to that broke.
//!
//! Programs die of the first as they do by themselves, and streams break alike: only what is
//! known of the workspace tells one from the other.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::names::WorkspaceId;
use crate::refusal::{Refused, WorkspaceEnd};
use crate::ssh::connection::Connection;
use crate::workspaces::{Crash, Intent, State};

/// How long after the end of its streams an agent's own end may be noticed.
const NOTICED: Duration = Duration::from_secs(2);

/// Knows whether the end of a session's workspace was ordered.
pub(super) struct Parting<'a> {
    connection: &'a Arc<Connection>,
    /// Absent where the workspace is gone already.
    workspace: Option<(WorkspaceId, watch::Receiver<State>)>,
    ordered: AtomicBool,
    /// The last end of its agent that nobody asked for, as of the session's beginning.
    before: Option<Crash>,
    crash: Option<watch::Receiver<Option<Crash>>>,
}

impl<'a> Parting<'a> {
    pub(super) fn of(connection: &'a Arc<Connection>) -> Self {
        let workspaces = &connection.gateway.workspaces;
        let id = connection.workspace();
        let crash = id.as_ref().and_then(|id| workspaces.crashes(id));
        let before = crash.as_ref().and_then(|crash| *crash.borrow());
        let workspace = id.and_then(|id| workspaces.watch(&id).map(|state| (id, state)));
        Self {
            connection,
            workspace,
            ordered: AtomicBool::new(false),
            before,
            crash,
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

    /// Returns why the session's stream broke.
    pub(super) async fn lost(&self) -> Refused {
        if let Some(end) = self.why().await {
            return end.into();
        }
        let Some(mut crash) = self.crash.clone() else {
            return Refused::StreamLost;
        };
        let ended = crash.wait_for(|crash| crash.is_some() && *crash != self.before);
        match timeout(NOTICED, ended).await {
            Ok(Ok(_)) => Refused::AgentLost,
            // The workspace is gone, or nothing was noticed.
            Ok(Err(_)) | Err(_) => Refused::StreamLost,
        }
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
