//! How long a workspace lives, where its template says so.

use std::time::Duration;

use time::OffsetDateTime;
use tracing::info;

use super::Actor;
use crate::workspaces::decide::Verb;
use crate::workspaces::ending::as_recorded;
use crate::workspaces::error::CommandError;
use crate::workspaces::lifetime;
use crate::workspaces::state::Intent;

impl Actor {
    /// Has the workspace live for that time from now on, or as long as its template says;
    /// never shorter than it would have.
    pub(super) async fn extend(&mut self, length: Option<Duration>) -> Result<(), CommandError> {
        match self.intent {
            Intent::Run | Intent::Stop | Intent::Sleep => {}
            Intent::Delete => return Err(CommandError::Deleted),
            Intent::Purge => return Err(CommandError::Deleting),
        }
        let life = self.workspace.blueprint.time_to_live;
        let (Some(life), Some(expires)) = (life, self.workspace.expires) else {
            return Err(CommandError::NoTimeToLive);
        };
        let length = length.unwrap_or(life.get());
        if length.is_zero() || length > life.get() {
            return Err(CommandError::TimeToLive(life));
        }
        let until = as_recorded(OffsetDateTime::now_utc() + length);
        if until <= expires {
            return Ok(());
        }
        let mut extended = self.workspace.clone();
        extended.expires = Some(until);
        self.shared.store.set_expiry(&extended).await?;
        self.workspace = extended;
        self.shared.ledger.renamed(&self.workspace);
        info!(%until, "workspace lives longer");
        self.shared
            .events
            .record(lifetime::extended(&self.workspace, until));
        Ok(())
    }

    /// Tells whether its time to live is over, and it isn't deleted yet.
    pub(super) fn is_over(&self) -> bool {
        let over = |expires| expires <= OffsetDateTime::now_utc();
        !self.intent.ends() && self.workspace.expires.is_some_and(over)
    }

    /// Returns how it ends once its time to live is over.
    pub(super) fn verb_of_expiry(&self) -> Verb {
        if self.shared.options.delete_grace.is_zero() {
            Verb::Purge
        } else {
            Verb::Delete
        }
    }

    /// Returns until when it lives once it is restored: what has ended, or soon would, begins
    /// anew.
    pub(super) fn life_of_restored(&self) -> Option<OffsetDateTime> {
        let now = OffsetDateTime::now_utc();
        let blueprint = &self.workspace.blueprint;
        let soon = now + blueprint.warning();
        let left = self.workspace.expires.filter(|expires| *expires > soon);
        left.or_else(|| blueprint.end_of_life(now))
    }
}
