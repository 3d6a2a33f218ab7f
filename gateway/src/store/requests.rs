//! Requests that carried a key by which they are told from their repetition.

use std::time::Duration;

use sqlx::Row as _;
use time::OffsetDateTime;

use super::row::milliseconds;
use super::{Store, StoreError};
use crate::identity::{SecretHash, User};
use crate::names::WorkspaceId;

/// How long a request that is under way holds its key: a gateway that was killed in
/// between finishes none.
const UNDER_WAY: Duration = Duration::from_mins(2);

/// What a key says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// It is the first.
    First,
    /// It is being carried out.
    UnderWay,
    /// It was carried out, and led to this workspace.
    Done(WorkspaceId),
    /// The key came with another request.
    Other,
}

impl Store {
    /// Tells whether a request is the first with its key; then the key is taken.
    /// `body` is what the request hashes to.
    pub async fn claim_request(
        &self,
        user: &User,
        key: &str,
        body: &SecretHash,
    ) -> Result<Request, StoreError> {
        let now = OffsetDateTime::now_utc();
        sqlx::query(
            "DELETE FROM requests WHERE user_id = $1 AND request_key = $2 \
             AND workspace_id IS NULL AND created < $3",
        )
        .bind(user.id.as_str())
        .bind(key)
        .bind(milliseconds(now - UNDER_WAY))
        .execute(&self.writer)
        .await?;
        let claimed = sqlx::query(
            "INSERT INTO requests (user_id, request_key, body, created) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (user_id, request_key) DO NOTHING",
        )
        .bind(user.id.as_str())
        .bind(key)
        .bind(body.as_str())
        .bind(milliseconds(now))
        .execute(&self.writer)
        .await?;
        if claimed.rows_affected() > 0 {
            return Ok(Request::First);
        }
        let found = sqlx::query(
            "SELECT body, workspace_id FROM requests WHERE user_id = $1 AND request_key = $2",
        )
        .bind(user.id.as_str())
        .bind(key)
        .fetch_optional(&self.reader)
        .await?;
        // Gone again: what held the key failed just now.
        let Some(row) = found else {
            return Ok(Request::UnderWay);
        };
        if row.try_get::<String, _>("body")? != body.as_str() {
            return Ok(Request::Other);
        }
        let workspace: Option<String> = row.try_get("workspace_id")?;
        let workspace = workspace.and_then(|id| id.parse().ok());
        Ok(workspace.map_or(Request::UnderWay, Request::Done))
    }

    /// Says what a request led to; `None` frees its key.
    pub async fn finish_request(
        &self,
        user: &User,
        key: &str,
        workspace: Option<&WorkspaceId>,
    ) -> Result<(), StoreError> {
        let query = match workspace {
            Some(id) => sqlx::query(
                "UPDATE requests SET workspace_id = $3 WHERE user_id = $1 AND request_key = $2",
            )
            .bind(user.id.as_str())
            .bind(key)
            .bind(id.as_str()),
            None => sqlx::query("DELETE FROM requests WHERE user_id = $1 AND request_key = $2")
                .bind(user.id.as_str())
                .bind(key),
        };
        query.execute(&self.writer).await?;
        Ok(())
    }
}
