//! Snapshots, and what happened to a workspace.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::row::{json, now, parsed, time, unreadable};
use super::workspaces::{blueprint_text, insert};
use super::{Store, StoreError};
use crate::events::Event;
use crate::identity::User;
use crate::names::{SnapshotId, WorkspaceId, WorkspaceName};
use crate::workspaces::{
    Blueprint, Intent, NewSnapshot, Record, Snapshot, SnapshotState, Transfer, TransferState,
    Workspace,
};

/// Reads what [`snapshot`] needs, with a condition to add.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT snapshots.*, users.name AS owner_name \
             FROM snapshots JOIN users ON users.id = snapshots.owner_id ",
            $condition
        )
    };
}

impl Store {
    /// Adds a snapshot that is to be made.
    ///
    /// # Errors
    /// `SnapshotExists` where the owner has one of that name; `NoSuchUser` where the owner
    /// was removed meanwhile.
    pub(crate) async fn add_snapshot(&self, new: NewSnapshot) -> Result<Snapshot, StoreError> {
        let mut connection = self.writer.acquire().await?;
        add(&mut connection, new).await
    }

    /// Adds a snapshot that is to be made, and workspaces that are to be made from it: all
    /// or nothing.
    ///
    /// # Errors
    /// As for [`Self::add_snapshot`] and [`Self::add_workspace`].
    pub(crate) async fn add_clones(
        &self,
        new: NewSnapshot,
        owner: &User,
        names: &[WorkspaceName],
    ) -> Result<(Snapshot, Vec<Record>), StoreError> {
        let mut transaction = self.writer.begin().await?;
        let snapshot = add(&mut transaction, new).await?;
        let mut records = Vec::new();
        for name in names {
            let blueprint = snapshot.blueprint.restored(&snapshot.id);
            let record = insert(&mut transaction, owner, name, blueprint, Intent::Run);
            records.push(record.await?);
        }
        transaction.commit().await?;
        Ok((snapshot, records))
    }

    /// Returns all snapshots, by owner and name.
    pub(crate) async fn snapshots(&self) -> Result<Vec<Snapshot>, StoreError> {
        sqlx::query(select!("ORDER BY users.name, snapshots.name"))
            .fetch_all(&self.reader)
            .await?
            .iter()
            .map(snapshot)
            .collect()
    }

    /// Returns the snapshot of that id.
    pub(crate) async fn snapshot(&self, id: &SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        sqlx::query(select!("WHERE snapshots.id = $1"))
            .bind(id.as_str())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(snapshot)
            .transpose()
    }

    /// Records what became of a snapshot, and of what it is: a pulled one tells only then.
    pub(crate) async fn finish_snapshot(
        &self,
        id: &SnapshotId,
        state: &SnapshotState,
        size: Option<u64>,
        said: Option<(&str, &Blueprint)>,
    ) -> Result<(), StoreError> {
        let size = size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        sqlx::query(
            "UPDATE snapshots SET state = $1, failure = $2, size = $3, \
             description = COALESCE($4, description), blueprint = COALESCE($5, blueprint) \
             WHERE id = $6",
        )
        .bind(state.as_str())
        .bind(state.failure().map(str::to_owned))
        .bind(size)
        .bind(said.map(|(description, _)| description.to_owned()))
        .bind(
            said.map(|(_, blueprint)| blueprint_text(blueprint))
                .transpose()?,
        )
        .bind(id.as_str())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Records how far a snapshot's last copy to a registry or from one is.
    pub(crate) async fn set_transfer(
        &self,
        id: &SnapshotId,
        transfer: &Transfer,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE snapshots SET transfer = $1 WHERE id = $2")
            .bind(transfer_text(transfer)?)
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Removes a snapshot's record.
    pub(crate) async fn remove_snapshot(&self, id: &SnapshotId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM snapshots WHERE id = $1")
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Returns what happened to a workspace before the event `before`, the newest first.
    pub async fn history(
        &self,
        id: &WorkspaceId,
        before: i64,
        most: u32,
    ) -> Result<Vec<Event>, StoreError> {
        sqlx::query(
            "SELECT * FROM events WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(id.as_str())
        .bind(before)
        .bind(i64::from(most))
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(super::events::event)
        .collect()
    }
}

async fn add(
    connection: &mut sqlx::AnyConnection,
    new: NewSnapshot,
) -> Result<Snapshot, StoreError> {
    let (created, milliseconds) = now();
    let workspace = new.workspace.as_ref();
    let snapshot = Snapshot {
        id: SnapshotId::random(),
        owner: new.owner,
        owner_name: new.owner_name,
        name: new.name,
        description: new.description,
        purpose: new.purpose,
        workspace: workspace.map(|it: &Workspace| (it.id.clone(), it.name.clone())),
        blueprint: workspace.map_or_else(Arc::default, |it| Arc::clone(&it.blueprint)),
        created,
        state: SnapshotState::Making,
        size: None,
        transfer: new.from.map(|image| Transfer {
            image,
            state: TransferState::Pulling,
            failure: None,
        }),
    };
    let (workspace_id, workspace_name) = snapshot.workspace.clone().unzip();
    sqlx::query(
        "INSERT INTO snapshots (id, owner_id, name, description, purpose, workspace_id, \
         workspace_name, blueprint, created, state, transfer) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(snapshot.id.as_str())
    .bind(snapshot.owner.as_str())
    .bind(snapshot.name.as_str())
    .bind(snapshot.description.as_str())
    .bind(snapshot.purpose.as_str())
    .bind(workspace_id.map(String::from))
    .bind(workspace_name.map(String::from))
    .bind(blueprint_text(&snapshot.blueprint)?)
    .bind(milliseconds)
    .bind(snapshot.state.as_str())
    .bind(snapshot.transfer.as_ref().map(transfer_text).transpose()?)
    .execute(connection)
    .await
    .map_err(|error| match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => {
            StoreError::SnapshotExists(snapshot.name.clone())
        }
        Some(cause) if cause.is_foreign_key_violation() => {
            StoreError::NoSuchUser(snapshot.owner_name.clone())
        }
        _ => error.into(),
    })?;
    Ok(snapshot)
}

fn transfer_text(transfer: &Transfer) -> Result<String, StoreError> {
    json("transfer", transfer)
}

fn snapshot(row: &AnyRow) -> Result<Snapshot, StoreError> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let workspace = text("workspace_id")?.zip(text("workspace_name")?);
    let blueprint: String = row.try_get("blueprint")?;
    let read = serde_json::from_str(&blueprint).map_err(|_| unreadable("blueprint", &blueprint));
    let state: String = row.try_get("state")?;
    let size: Option<i64> = row.try_get("size")?;
    Ok(Snapshot {
        id: parsed(row, "id")?,
        owner: parsed(row, "owner_id")?,
        owner_name: parsed(row, "owner_name")?,
        name: parsed(row, "name")?,
        description: row.try_get("description")?,
        purpose: parsed(row, "purpose")?,
        workspace: workspace.and_then(|(id, name)| Some((id.parse().ok()?, name.parse().ok()?))),
        blueprint: Arc::new(read?),
        created: time(row, "created")?,
        state: match state.as_str() {
            "making" => SnapshotState::Making,
            "ready" => SnapshotState::Ready,
            "failed" => SnapshotState::Failed(text("failure")?.unwrap_or_default()),
            other => return Err(unreadable("state", other)),
        },
        size: size.and_then(|size| u64::try_from(size).ok()),
        // One that another version wrote is forgotten.
        transfer: text("transfer")?.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
