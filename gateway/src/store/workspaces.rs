//! Workspaces: what is wanted of each (its intent), and where it was last seen.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::row::{json, milliseconds, now, optional_time, parsed, time, unreadable};
use super::{Store, StoreError};
use crate::identity::User;
use crate::names::{UserId, UserName, WorkspaceId, WorkspaceName};
use crate::workspaces::{Blueprint, Deletion, FailureReason, Intent, Record, State, Workspace};

/// Reads what [`record`] needs, with a condition to add.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT workspaces.id, \
             COALESCE(workspaces.former_name, workspaces.name) AS name, workspaces.owner_id, \
             users.name AS owner_name, workspaces.created, workspaces.intent, \
             workspaces.state, workspaces.failure, workspaces.changed, workspaces.blueprint, \
             workspaces.deleted, workspaces.kept_until, workspaces.expires \
             FROM workspaces JOIN users ON users.id = workspaces.owner_id ",
            $condition
        )
    };
}

impl Store {
    /// Adds a workspace in the state `created`.
    ///
    /// # Errors
    /// `WorkspaceExists` where the owner has one of that name; `NoSuchUser` where
    /// the owner was removed meanwhile.
    pub async fn add_workspace(
        &self,
        owner: &User,
        name: &WorkspaceName,
        blueprint: Blueprint,
        intent: Intent,
    ) -> Result<Record, StoreError> {
        let mut connection = self.writer.acquire().await?;
        insert(&mut connection, owner, name, blueprint, intent).await
    }

    /// Returns all workspaces that live, nobody's included, by owner and name.
    pub async fn workspaces(&self) -> Result<Vec<Record>, StoreError> {
        sqlx::query(select!(
            "WHERE workspaces.deleted IS NULL ORDER BY users.name, workspaces.name"
        ))
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(record)
        .collect()
    }

    /// Returns all deleted workspaces of which something is left, nobody's included, by
    /// owner, name and id.
    pub async fn deleted_workspaces(&self) -> Result<Vec<Record>, StoreError> {
        sqlx::query(select!(
            "WHERE workspaces.deleted IS NOT NULL \
             ORDER BY users.name, workspaces.former_name, workspaces.id"
        ))
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(record)
        .collect()
    }

    /// Returns the workspace that lives of that owner and name.
    pub async fn workspace_named(
        &self,
        owner: &UserName,
        name: &WorkspaceName,
    ) -> Result<Option<Record>, StoreError> {
        sqlx::query(select!("WHERE users.name = $1 AND workspaces.name = $2"))
            .bind(owner.as_str())
            .bind(name.as_str())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(record)
            .transpose()
    }

    /// Returns the workspace of that id, whether it lives or was deleted.
    pub async fn workspace(&self, id: &WorkspaceId) -> Result<Option<Record>, StoreError> {
        sqlx::query(select!("WHERE workspaces.id = $1"))
            .bind(id.as_str())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(record)
            .transpose()
    }

    /// Records what is wanted of a workspace, the state that this leads to, and what it
    /// is made of from now on, and until when it lives.
    pub(crate) async fn set_intent(
        &self,
        workspace: &Workspace,
        (intent, state): (Intent, &State),
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE workspaces SET intent = $1, state = $2, failure = $3, changed = $4, \
             blueprint = $5, expires = $6 WHERE id = $7",
        )
        .bind(intent.as_str())
        .bind(state.as_str())
        .bind(failure(state)?)
        .bind(now().1)
        .bind(blueprint_text(&workspace.blueprint)?)
        .bind(workspace.expires.map(milliseconds))
        .bind(workspace.id.as_str())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Records that a workspace is deleted, and sets its name free.
    pub(crate) async fn delete_workspace(
        &self,
        id: &WorkspaceId,
        (intent, state): (Intent, &State),
        deletion: Deletion,
    ) -> Result<(), StoreError> {
        // Nobody can choose a name that begins like this one.
        sqlx::query(
            "UPDATE workspaces SET intent = $1, state = $2, failure = $3, changed = $4, \
             former_name = name, name = '~' || id, deleted = $5, kept_until = $6 \
             WHERE id = $7 AND deleted IS NULL",
        )
        .bind(intent.as_str())
        .bind(state.as_str())
        .bind(failure(state)?)
        .bind(now().1)
        .bind(milliseconds(deletion.at))
        .bind(milliseconds(deletion.until))
        .bind(id.as_str())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Records that a deleted workspace lives again, as it is called and until when.
    ///
    /// # Errors
    /// `WorkspaceExists` where its owner has another one of that name.
    pub(crate) async fn restore_workspace(
        &self,
        workspace: &Workspace,
        (intent, state): (Intent, &State),
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE workspaces SET intent = $1, state = $2, failure = $3, changed = $4, \
             name = $5, expires = $6, former_name = NULL, deleted = NULL, kept_until = NULL \
             WHERE id = $7",
        )
        .bind(intent.as_str())
        .bind(state.as_str())
        .bind(failure(state)?)
        .bind(now().1)
        .bind(workspace.name.as_str())
        .bind(workspace.expires.map(milliseconds))
        .bind(workspace.id.as_str())
        .execute(&self.writer)
        .await
        .map_err(|error| taken(error, &workspace.name))?;
        Ok(())
    }

    /// Gives a workspace that lives another name and owner.
    ///
    /// # Errors
    /// `WorkspaceExists` where that owner has another one of that name; `NoSuchUser` where
    /// the owner was removed meanwhile.
    pub(crate) async fn rename_workspace(&self, workspace: &Workspace) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE workspaces SET name = $1, owner_id = $2 WHERE id = $3 AND deleted IS NULL",
        )
        .bind(workspace.name.as_str())
        .bind(workspace.owner.as_str())
        .bind(workspace.id.as_str())
        .execute(&self.writer)
        .await
        .map_err(|error| not_given(error, workspace))?;
        Ok(())
    }

    /// Gives a workspace that is nobody's to its first owner, as of `created`. Tells whether
    /// it was nobody's still.
    ///
    /// # Errors
    /// `WorkspaceExists` where that owner has another one of that name; `NoSuchUser` where
    /// the owner was removed meanwhile.
    pub(crate) async fn claim_workspace(&self, workspace: &Workspace) -> Result<bool, StoreError> {
        // One statement decides and gives, so that nobody else gets it.
        let given = sqlx::query(
            "UPDATE workspaces SET name = $1, owner_id = $2, created = $3, expires = $4 \
             WHERE id = $5 AND owner_id = $6 AND deleted IS NULL",
        )
        .bind(workspace.name.as_str())
        .bind(workspace.owner.as_str())
        .bind(milliseconds(workspace.created))
        .bind(workspace.expires.map(milliseconds))
        .bind(workspace.id.as_str())
        .bind(UserId::nobody().as_str())
        .execute(&self.writer)
        .await
        .map_err(|error| not_given(error, workspace))?;
        Ok(given.rows_affected() > 0)
    }

    /// Records what a workspace is made of, and until when it lives.
    pub(crate) async fn set_blueprint(&self, workspace: &Workspace) -> Result<(), StoreError> {
        sqlx::query("UPDATE workspaces SET blueprint = $1, expires = $2 WHERE id = $3")
            .bind(blueprint_text(&workspace.blueprint)?)
            .bind(workspace.expires.map(milliseconds))
            .bind(workspace.id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Records until when a workspace lives.
    pub(crate) async fn set_expiry(&self, workspace: &Workspace) -> Result<(), StoreError> {
        sqlx::query("UPDATE workspaces SET expires = $1 WHERE id = $2 AND deleted IS NULL")
            .bind(workspace.expires.map(milliseconds))
            .bind(workspace.id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Records where a workspace is.
    pub(crate) async fn set_state(
        &self,
        id: &WorkspaceId,
        state: &State,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE workspaces SET state = $1, failure = $2, changed = $3 WHERE id = $4")
            .bind(state.as_str())
            .bind(failure(state)?)
            .bind(now().1)
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Removes a workspace's record.
    pub(crate) async fn remove_workspace(&self, id: &WorkspaceId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM workspaces WHERE id = $1")
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

/// Adds a workspace in the state `created`.
pub(super) async fn insert(
    connection: &mut sqlx::AnyConnection,
    owner: &User,
    name: &WorkspaceName,
    blueprint: Blueprint,
    intent: Intent,
) -> Result<Record, StoreError> {
    let (created, at) = now();
    // Nobody's time begins once it is somebody's.
    let lives = owner.id != UserId::nobody();
    let workspace = Workspace {
        id: WorkspaceId::random(),
        name: name.clone(),
        owner: owner.id.clone(),
        owner_name: owner.name.clone(),
        created,
        expires: blueprint.end_of_life(created).filter(|_| lives),
        blueprint: Arc::new(blueprint),
    };
    sqlx::query(
        "INSERT INTO workspaces \
         (id, owner_id, name, created, intent, state, changed, blueprint, expires) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(workspace.id.as_str())
    .bind(workspace.owner.as_str())
    .bind(workspace.name.as_str())
    .bind(at)
    .bind(intent.as_str())
    .bind(State::Created.as_str())
    .bind(at)
    .bind(blueprint_text(&workspace.blueprint)?)
    .bind(workspace.expires.map(milliseconds))
    .execute(connection)
    .await
    .map_err(|error| match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => StoreError::WorkspaceExists(name.clone()),
        Some(cause) if cause.is_foreign_key_violation() => {
            StoreError::NoSuchUser(owner.name.clone())
        }
        _ => error.into(),
    })?;
    Ok(Record {
        workspace,
        intent,
        state: State::Created,
        changed: created,
        deleted: None,
    })
}

fn failure(state: &State) -> Result<Option<String>, StoreError> {
    match state {
        State::Failed(reason) => json("failure", reason).map(Some),
        State::Created
        | State::Starting
        | State::Running
        | State::Stopping
        | State::Stopped
        | State::Asleep
        | State::Deleted => Ok(None),
    }
}

/// Says what it means that a name isn't unique.
fn taken(error: sqlx::Error, name: &WorkspaceName) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => StoreError::WorkspaceExists(name.clone()),
        _ => error.into(),
    }
}

/// Says why a workspace can't be what it would be called, and whose it would be.
fn not_given(error: sqlx::Error, workspace: &Workspace) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_foreign_key_violation() => {
            StoreError::NoSuchUser(workspace.owner_name.clone())
        }
        _ => taken(error, &workspace.name),
    }
}

fn record(row: &AnyRow) -> Result<Record, StoreError> {
    let owner: UserId = parsed(row, "owner_id")?;
    let owner_name = if owner == UserId::nobody() {
        UserName::nobody()
    } else {
        parsed(row, "owner_name")?
    };
    Ok(Record {
        workspace: Workspace {
            id: parsed(row, "id")?,
            name: parsed(row, "name")?,
            owner,
            owner_name,
            created: time(row, "created")?,
            expires: optional_time(row, "expires")?,
            blueprint: Arc::new(blueprint(row)?),
        },
        intent: parsed(row, "intent")?,
        state: state(row)?,
        changed: time(row, "changed")?,
        deleted: deletion(row)?,
    })
}

pub(super) fn blueprint_text(blueprint: &Blueprint) -> Result<String, StoreError> {
    json("blueprint", blueprint)
}

fn blueprint(row: &AnyRow) -> Result<Blueprint, StoreError> {
    let text: Option<String> = row.try_get("blueprint")?;
    let Some(text) = text else {
        return Ok(Blueprint::default());
    };
    serde_json::from_str(&text).map_err(|_| unreadable("blueprint", &text))
}

fn deletion(row: &AnyRow) -> Result<Option<Deletion>, StoreError> {
    let at = optional_time(row, "deleted")?;
    let until = optional_time(row, "kept_until")?;
    Ok(at.map(|at| Deletion {
        at,
        until: until.unwrap_or(at),
    }))
}

fn state(row: &AnyRow) -> Result<State, StoreError> {
    let name: String = row.try_get("state")?;
    Ok(match name.as_str() {
        "created" => State::Created,
        "starting" => State::Starting,
        "running" => State::Running,
        "stopping" => State::Stopping,
        "stopped" => State::Stopped,
        "deleted" => State::Deleted,
        "asleep" => State::Asleep,
        "failed" => {
            let text: Option<String> = row.try_get("failure")?;
            let text = text.unwrap_or_default();
            // A reason that only another version knows is still a failure.
            let reason = serde_json::from_str(&text).unwrap_or(FailureReason::Unknown);
            State::Failed(reason)
        }
        other => return Err(unreadable("state", other)),
    })
}
