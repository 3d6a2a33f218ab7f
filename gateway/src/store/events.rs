//! What happened, and requests that may come again.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::row::{milliseconds, time};
use super::{Store, StoreError};
use crate::events::{Event, Kind, NewEvent};
use crate::identity::{Role, User};
use crate::names::WorkspaceId;

/// Ids begin with the millisecond, so that they go on rising whatever is pruned.
const IDS_A_MILLISECOND: i64 = 1 << 16;

/// Which events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Those before an id, the newest first.
    Before(i64),
    /// Those after an id, the oldest first.
    After(i64),
}

impl Store {
    /// Writes events down, in order.
    pub async fn add_events(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin().await?;
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM events")
            .fetch_one(&mut *transaction)
            .await?;
        let mut last = last.unwrap_or_default();
        for event in events {
            last = (last + 1).max(milliseconds(event.time).saturating_mul(IDS_A_MILLISECOND));
            let (user_id, user_name) = event.user.as_ref().map_or((None, None), |(id, name)| {
                (Some(id.as_str()), Some(name.as_str()))
            });
            let (workspace_id, workspace_name) =
                event.workspace.as_ref().map_or((None, None), |(id, name)| {
                    (Some(id.as_str()), Some(name.as_str()))
                });
            sqlx::query(
                "INSERT INTO events (id, time, kind, user_id, user_name, workspace_id, \
                 workspace_name, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(last)
            .bind(milliseconds(event.time))
            .bind(event.kind.as_str())
            .bind(user_id.map(str::to_owned))
            .bind(user_name.map(str::to_owned))
            .bind(workspace_id.map(str::to_owned))
            .bind(workspace_name.map(str::to_owned))
            .bind(serde_json::Value::Object(event.data.clone()).to_string())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Returns the id of the last event; 0 where there is none.
    pub async fn last_event(&self) -> Result<i64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM events")
            .fetch_one(&self.reader)
            .await?;
        Ok(last.unwrap_or_default())
    }

    /// Returns events that a user may see: what is about them, and for administrators
    /// all.
    pub async fn events(
        &self,
        user: &User,
        since: Since,
        most: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let (statement, id) = match since {
            Since::Before(id) => (
                "SELECT * FROM events WHERE id < $1 AND (user_id = $2 OR $3 = 1) \
                 ORDER BY id DESC LIMIT $4",
                id,
            ),
            Since::After(id) => (
                "SELECT * FROM events WHERE id > $1 AND (user_id = $2 OR $3 = 1) \
                 ORDER BY id LIMIT $4",
                id,
            ),
        };
        sqlx::query(statement)
            .bind(id)
            .bind(user.id.as_str())
            .bind(i64::from(user.role == Role::Admin))
            .bind(i64::from(most))
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(event)
            .collect()
    }

    /// Returns the last thousand events of a kind, the newest first.
    pub(crate) async fn last_events_of(&self, kind: Kind) -> Result<Vec<Event>, StoreError> {
        sqlx::query("SELECT * FROM events WHERE kind = $1 ORDER BY id DESC LIMIT 1000")
            .bind(kind.as_str())
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(event)
            .collect()
    }

    /// Returns what the last event of a kind about a workspace says under a name.
    pub async fn last_said(
        &self,
        workspace: &WorkspaceId,
        kind: &str,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        let data: Option<String> = sqlx::query_scalar(
            "SELECT data FROM events WHERE workspace_id = $1 AND kind = $2 \
             ORDER BY id DESC LIMIT 1",
        )
        .bind(workspace.as_str())
        .bind(kind)
        .fetch_optional(&self.reader)
        .await?;
        let data = data.and_then(|data| serde_json::from_str::<serde_json::Value>(&data).ok());
        Ok(data.and_then(|data| Some(data.get(name)?.as_str()?.to_owned())))
    }

    /// Forgets what happened before a time, and requests that can't come again.
    pub async fn forget_events(
        &self,
        kept: Duration,
        requests: Duration,
    ) -> Result<(), StoreError> {
        let now = OffsetDateTime::now_utc();
        sqlx::query("DELETE FROM events WHERE time < $1")
            .bind(milliseconds(now - kept))
            .execute(&self.writer)
            .await?;
        sqlx::query("DELETE FROM requests WHERE created < $1")
            .bind(milliseconds(now - requests))
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

pub(super) fn event(row: &AnyRow) -> Result<Event, StoreError> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let data: String = row.try_get("data")?;
    let workspace = text("workspace_id")?.zip(text("workspace_name")?);
    Ok(Event {
        id: row.try_get("id")?,
        time: time(row, "time")?,
        kind: row.try_get("kind")?,
        user: text("user_name")?.and_then(|name| name.parse().ok()),
        workspace: workspace.and_then(|(id, name)| Some((id.parse().ok()?, name.parse().ok()?))),
        data: serde_json::from_str(&data).unwrap_or_default(),
    })
}
