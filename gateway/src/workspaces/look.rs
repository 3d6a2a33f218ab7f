//! What there is of workspaces, without changing it.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::crash::Crash;
use super::error::CommandError;
use super::limits::{Limits, Usage};
use super::logs::LogPart;
use super::state::{Record, State};
use super::victims::Killed;
use super::{Expected, Workspaces, away, startup};
use crate::activity::{Activity, Errand, Visit};
use crate::drivers::{Follow, Logs};
use crate::events::Events;
use crate::names::{UserId, UserName, WorkspaceId, WorkspaceName};
use crate::store::StoreError;

impl Workspaces {
    /// Waits until a workspace stays as it is, and tells how: `None` once it is
    /// gone. Cancel-safe.
    pub async fn settled(&self, id: &WorkspaceId) -> Option<State> {
        let mut state = self.watch(id)?;
        match state.wait_for(State::is_settled).await {
            Ok(state) => Some(state.clone()),
            Err(_) => None,
        }
    }

    /// Shows a workspace's state as it changes; the channel closes once it is gone.
    pub fn watch(&self, id: &WorkspaceId) -> Option<watch::Receiver<State>> {
        self.handle(id).map(|handle| handle.state)
    }

    /// Shows the last end of a workspace's agent that nobody asked for.
    pub(crate) fn crashes(&self, id: &WorkspaceId) -> Option<watch::Receiver<Option<Crash>>> {
        self.handle(id).map(|handle| handle.crash)
    }

    /// Tells whether a workspace runs, and nobody has ordered its end.
    pub fn is_running(&self, id: &WorkspaceId) -> bool {
        let handle = self.handle(id);
        handle.is_some_and(|handle| *handle.state.borrow() == State::Running)
    }

    /// Tells whether a workspace runs, as far as is known, and its agent can't be reached.
    pub fn is_out_of_reach(&self, id: &WorkspaceId) -> bool {
        self.is_running(id) && self.inner.shared.away.lock().contains_key(id)
    }

    /// Returns all workspaces that live and are somebody's, by owner and name.
    pub async fn list(&self) -> Result<Vec<Record>, StoreError> {
        let records = self.inner.shared.store.workspaces().await?;
        Ok(self.all_live(records))
    }

    /// Returns all deleted workspaces of which something is left and that were somebody's,
    /// by owner, name and id.
    pub async fn list_deleted(&self) -> Result<Vec<Record>, StoreError> {
        let records = self.inner.shared.store.deleted_workspaces().await?;
        Ok(self.all_live(records))
    }

    /// Returns the workspace of that owner and name.
    pub async fn find(
        &self,
        owner: &UserName,
        name: &WorkspaceName,
    ) -> Result<Option<Record>, StoreError> {
        let record = self.inner.shared.store.workspace_named(owner, name).await?;
        Ok(record.map(|record| self.live(record)))
    }

    /// Returns the workspace of that id, where it is somebody's.
    pub async fn get(&self, id: &WorkspaceId) -> Result<Option<Record>, StoreError> {
        let record = self.inner.shared.store.workspace(id).await?;
        let record = record.filter(|record| !record.workspace.is_pooled());
        Ok(record.map(|record| self.live(record)))
    }

    /// Returns what tells of the workspaces' changes, and of others.
    pub fn events(&self) -> &Events {
        &self.inner.shared.events
    }

    /// Returns a part of the output of a workspace's agent.
    pub async fn logs(&self, id: &WorkspaceId, part: LogPart) -> Result<Logs, CommandError> {
        let mut state = self.watch(id).ok_or(CommandError::Gone)?;
        // Nothing is written any more where only a home is left.
        let follow = match *state.borrow() {
            State::Deleted => Follow::No,
            _ => part.follow,
        };
        let part = LogPart { follow, ..part };
        let (lines, follow) = part.of_driver();
        let logs = self.inner.shared.driver.logs(id, lines, follow).await?;
        let logs = part.of(logs);
        if follow == Follow::No {
            return Ok(logs);
        }
        let gone = async move { drop(state.wait_for(|state| *state == State::Deleted).await) };
        Ok(Box::pin(logs.take_until(gone)))
    }

    /// Tells a person who waits what a start that is under way takes its time with, or what
    /// keeps from going on what runs, or how its agent ended before; where there is something
    /// to tell.
    pub fn doing(&self, id: &WorkspaceId) -> Option<String> {
        let handle = self.handle(id)?;
        let crashed = || {
            let crash = *handle.crash.borrow();
            crash?.text(OffsetDateTime::now_utc())
        };
        let away = || {
            let since = self.inner.shared.away.lock().get(id).copied();
            away::text(since?)
        };
        let reached = || {
            let reached = self.inner.shared.reached.lock().get(id).copied();
            reached?.text(OffsetDateTime::now_utc())
        };
        match *handle.state.borrow() {
            State::Starting => {}
            // What keeps it from going on, or what it has come through.
            State::Running => {
                let doing = self.inner.shared.driver.doing(id);
                return doing.or_else(away).or_else(reached).or_else(crashed);
            }
            _ => return None,
        }
        let startup = handle.startup.borrow();
        let startup = startup.as_ref().and_then(startup::doing);
        let waking = || {
            let waking = handle.activity.is_waking();
            waking.then(|| "waking up".to_owned())
        };
        startup
            .or_else(|| self.inner.shared.repositories.doing(id))
            .or_else(|| self.inner.shared.driver.doing(id))
            .or_else(|| {
                let shared = &self.inner.shared;
                shared.snapshots.waits(id, &*shared.driver)
            })
            .or_else(crashed)
            .or_else(waking)
    }

    /// Returns what people do in a workspace; `None` once it is gone.
    pub fn activity(&self, id: &WorkspaceId) -> Option<Arc<Activity>> {
        self.handle(id).map(|handle| handle.activity)
    }

    /// Returns what counts somebody's visit to a workspace; `errand` is what they would
    /// ask for again if it were cut off. `None` once the workspace is gone.
    pub fn visit(&self, id: &WorkspaceId, errand: Option<Errand>) -> Option<Visit> {
        let handle = self.handle(id)?;
        Some(Visit::new(handle.activity, handle.state, errand))
    }

    /// Returns the last program of a workspace that was killed for want of memory.
    pub fn killed(&self, id: &WorkspaceId) -> Option<Killed> {
        self.inner.shared.killed.lock().get(id).cloned()
    }

    /// Returns where a workspace's home is, as its own programs see it.
    pub fn home(&self, id: &WorkspaceId) -> PathBuf {
        self.inner.shared.driver.home(id)
    }

    /// Tells whether an agent of that workspace may dial in now.
    pub fn expects_agent(&self, id: &WorkspaceId) -> Expected {
        let handle = self.handle(id);
        handle.map_or(Expected::Not, |handle| match *handle.state.borrow() {
            State::Starting => Expected::First,
            State::Running => Expected::Again,
            State::Created
            | State::Stopping
            | State::Stopped
            | State::Asleep
            | State::Failed(_)
            | State::Deleted => Expected::Not,
        })
    }

    /// Returns what a user has, or all have together.
    pub fn usage(&self, user: Option<&UserId>) -> Usage {
        self.inner.shared.ledger.usage(user)
    }

    /// Returns what people may have.
    pub fn limits(&self) -> &Limits {
        self.inner.shared.ledger.limits()
    }

    fn all_live(&self, records: Vec<Record>) -> Vec<Record> {
        let seen = records.into_iter();
        let seen = seen.filter(|record| !record.workspace.is_pooled());
        seen.map(|record| self.live(record)).collect()
    }

    /// Returns a record with the state of this moment.
    fn live(&self, mut record: Record) -> Record {
        if let Some(handle) = self.handle(&record.workspace.id) {
            record.state = handle.state.borrow().clone();
        }
        record
    }
}
