//! Agents that ended by themselves, as far as that is still told.

use std::collections::HashMap;

use sqlx::Row as _;

use super::row::{json, milliseconds, parsed, time};
use super::{Store, StoreError};
use crate::drivers::Exit;
use crate::names::WorkspaceId;
use crate::workspaces::Crash;

impl Store {
    /// Records how a workspace's agent ended by itself, or that it isn't told any more.
    pub(crate) async fn set_crash(
        &self,
        id: &WorkspaceId,
        crash: Option<Crash>,
    ) -> Result<(), StoreError> {
        let exit = crash.map(|crash| json("crash", &crash.exit)).transpose()?;
        sqlx::query("UPDATE workspaces SET crashed = $1, crash = $2 WHERE id = $3")
            .bind(crash.map(|crash| milliseconds(crash.at)))
            .bind(exit)
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Returns how workspaces' agents ended that are still told of.
    pub(crate) async fn crashes(&self) -> Result<HashMap<WorkspaceId, Crash>, StoreError> {
        sqlx::query("SELECT id, crashed, crash FROM workspaces WHERE crash IS NOT NULL")
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(|row| {
                let text: String = row.try_get("crash")?;
                // Another version's words keep no gateway from starting.
                let exit = serde_json::from_str(&text).unwrap_or(Exit::Unseen);
                let at = time(row, "crashed")?;
                Ok((parsed(row, "id")?, Crash { at, exit }))
            })
            .collect()
    }
}
