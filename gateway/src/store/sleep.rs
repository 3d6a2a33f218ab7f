//! What decides on workspaces' sleep: leases, schedules, and when something last went on.

use sqlx::Row as _;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::row::{instant, milliseconds, now, parsed, time};
use super::{Store, StoreError};
use crate::names::{LeaseId, UserName, WorkspaceId};
use crate::sleep::{Lease, ScheduleText};

/// Most leases of one workspace.
const MAX_LEASES: i64 = 50;

/// When something last went on in a workspace that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastActive {
    pub(crate) workspace: WorkspaceId,
    /// When something went on.
    pub(crate) at: OffsetDateTime,
    /// When that was looked at.
    pub(crate) looked: OffsetDateTime,
}

impl Store {
    /// Adds a lease; `None` where the workspace has as many as it may have, or is gone.
    pub(crate) async fn add_lease(
        &self,
        workspace: &WorkspaceId,
        reason: &str,
        by: Option<&UserName>,
        until: OffsetDateTime,
    ) -> Result<Option<Lease>, StoreError> {
        let (since, milliseconds_now) = now();
        let lease = Lease {
            id: LeaseId::random(),
            workspace: workspace.clone(),
            reason: reason.to_owned(),
            by: by.cloned(),
            since,
            until: instant(until),
        };
        let mut transaction = self.writer.begin().await?;
        sqlx::query("DELETE FROM leases WHERE expires <= $1")
            .bind(milliseconds_now)
            .execute(&mut *transaction)
            .await?;
        let added = sqlx::query(
            "INSERT INTO leases (id, workspace_id, reason, user_name, created, expires) \
             SELECT $1, workspaces.id, $2, $3, $4, $5 FROM workspaces WHERE workspaces.id = $6 \
             AND (SELECT COUNT(*) FROM leases WHERE workspace_id = $6) < $7",
        )
        .bind(lease.id.as_str())
        .bind(reason)
        .bind(by.map(|name| name.as_str().to_owned()))
        .bind(milliseconds_now)
        .bind(milliseconds(lease.until))
        .bind(workspace.as_str())
        .bind(MAX_LEASES)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((added.rows_affected() > 0).then_some(lease))
    }

    /// Returns all leases that are held now, the oldest first.
    pub(crate) async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        sqlx::query(
            "SELECT id, workspace_id, reason, user_name, created, expires FROM leases \
             WHERE expires > $1 ORDER BY created, id",
        )
        .bind(now().1)
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(lease)
        .collect()
    }

    /// Ends a lease of a workspace. `false` where there is none.
    pub(crate) async fn remove_lease(
        &self,
        workspace: &WorkspaceId,
        id: &LeaseId,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM leases WHERE id = $1 AND workspace_id = $2")
            .bind(id.as_str())
            .bind(workspace.as_str())
            .execute(&self.writer)
            .await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Returns the schedules of all workspaces that have one.
    pub(crate) async fn schedules(&self) -> Result<Vec<(WorkspaceId, ScheduleText)>, StoreError> {
        sqlx::query("SELECT workspace_id, start_at, stop_at, time_zone FROM schedules")
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(schedule)
            .collect()
    }

    /// Gives a workspace a schedule in place of the one that it has.
    pub(crate) async fn set_schedule(
        &self,
        workspace: &WorkspaceId,
        schedule: Option<&ScheduleText>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin().await?;
        sqlx::query("DELETE FROM schedules WHERE workspace_id = $1")
            .bind(workspace.as_str())
            .execute(&mut *transaction)
            .await?;
        if let Some(schedule) = schedule {
            sqlx::query(
                "INSERT INTO schedules (workspace_id, start_at, stop_at, time_zone) \
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(workspace.as_str())
            .bind(schedule.start.clone())
            .bind(schedule.stop.clone())
            .bind(schedule.time_zone.clone())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Returns when something last went on, of the workspaces that ran.
    pub(crate) async fn last_active(&self) -> Result<Vec<LastActive>, StoreError> {
        sqlx::query("SELECT workspace_id, last_active, looked FROM activity")
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(|row| {
                Ok(LastActive {
                    workspace: parsed(row, "workspace_id")?,
                    at: time(row, "last_active")?,
                    looked: time(row, "looked")?,
                })
            })
            .collect()
    }

    /// Writes down when something last went on, and forgets it of workspaces that don't
    /// run any more.
    pub(crate) async fn set_last_active(
        &self,
        active: &[LastActive],
        forget: &[WorkspaceId],
    ) -> Result<(), StoreError> {
        let mut transaction = self.writer.begin().await?;
        let again = active.iter().map(|one| &one.workspace);
        for workspace in forget.iter().chain(again) {
            sqlx::query("DELETE FROM activity WHERE workspace_id = $1")
                .bind(workspace.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        for one in active {
            // One that was deleted meanwhile has none.
            sqlx::query(
                "INSERT INTO activity (workspace_id, last_active, looked) \
                 SELECT workspaces.id, $1, $2 FROM workspaces WHERE workspaces.id = $3",
            )
            .bind(milliseconds(one.at))
            .bind(milliseconds(one.looked))
            .bind(one.workspace.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }
}

fn lease(row: &AnyRow) -> Result<Lease, StoreError> {
    let by: Option<String> = row.try_get("user_name")?;
    Ok(Lease {
        id: parsed(row, "id")?,
        workspace: parsed(row, "workspace_id")?,
        reason: row.try_get("reason")?,
        by: match by {
            Some(_) => Some(parsed(row, "user_name")?),
            None => None,
        },
        since: time(row, "created")?,
        until: time(row, "expires")?,
    })
}

fn schedule(row: &AnyRow) -> Result<(WorkspaceId, ScheduleText), StoreError> {
    let schedule = ScheduleText {
        start: row.try_get("start_at")?,
        stop: row.try_get("stop_at")?,
        time_zone: row.try_get("time_zone")?,
    };
    Ok((parsed(row, "workspace_id")?, schedule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;
    use crate::workspaces::{Blueprint, Intent};

    #[tokio::test]
    async fn leases_schedules_and_last_activity_are_kept_and_go_with_their_workspace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devgate.db");
        let store = Store::open(&path).await.unwrap();
        let name = "ada".parse().unwrap();
        let ada = store.add_user(&name, Role::Admin).await.unwrap();
        let name = "api".parse().unwrap();
        let record = store
            .add_workspace(&ada, &name, Blueprint::default(), Intent::Run)
            .await
            .unwrap();
        let id = record.workspace.id;
        let later = OffsetDateTime::now_utc() + time::Duration::hours(2);
        let lease = store
            .add_lease(&id, "training", Some(&ada.name), later)
            .await;
        let lease = lease.unwrap().unwrap();
        let past = OffsetDateTime::now_utc() - time::Duration::seconds(1);
        store.add_lease(&id, "over", None, past).await.unwrap();
        let text = ScheduleText {
            start: None,
            stop: Some("0 20 * * *".to_owned()),
            time_zone: "Europe/Berlin".to_owned(),
        };
        store.set_schedule(&id, Some(&text)).await.unwrap();
        let active = LastActive {
            workspace: id.clone(),
            at: instant(past),
            looked: now().0,
        };
        let all = std::slice::from_ref(&active);
        store.set_last_active(all, &[]).await.unwrap();
        store.set_last_active(all, &[]).await.unwrap();
        store.close().await;

        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.leases().await.unwrap(), std::slice::from_ref(&lease));
        assert_eq!(store.schedules().await.unwrap(), [(id.clone(), text)]);
        assert_eq!(store.last_active().await.unwrap(), [active]);
        let other = WorkspaceId::random();
        assert!(!store.remove_lease(&other, &lease.id).await.unwrap());
        store.remove_workspace(&id).await.unwrap();
        assert!(!store.remove_lease(&id, &lease.id).await.unwrap());
        assert!(store.leases().await.unwrap().is_empty());
        assert!(store.schedules().await.unwrap().is_empty());
        assert!(store.last_active().await.unwrap().is_empty());
        let none = store.add_lease(&id, "gone", None, later).await.unwrap();
        assert_eq!(none, None);
    }
}
