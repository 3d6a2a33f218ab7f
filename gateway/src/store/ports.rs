//! Who may open the ports of workspaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::row::{instant, milliseconds, optional_time, parsed, unreadable};
use super::{Store, StoreError};
use crate::names::WorkspaceId;

/// Ports of one workspace that others may open.
const MAX_PORTS: i64 = 200;

/// Who may open a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// The workspace's owner.
    #[default]
    Private,
    /// Everybody who is signed in.
    Members,
    /// Everybody.
    Public,
}

/// A text that names no visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a visibility is 'private', 'members' or 'public'")]
pub struct InvalidVisibility;

/// A port that others may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPort {
    /// The port.
    pub port: u16,
    /// Who may open it.
    pub visibility: Visibility,
    /// When it is private again.
    pub expires: Option<OffsetDateTime>,
}

impl Visibility {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Members => "members",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Visibility {
    type Err = InvalidVisibility;

    fn from_str(text: &str) -> Result<Self, InvalidVisibility> {
        match text {
            "private" => Ok(Self::Private),
            "members" => Ok(Self::Members),
            "public" => Ok(Self::Public),
            _ => Err(InvalidVisibility),
        }
    }
}

impl Store {
    /// Returns the ports of a workspace that others may open, in order.
    pub async fn open_ports(&self, workspace: &WorkspaceId) -> Result<Vec<OpenPort>, StoreError> {
        sqlx::query(
            "SELECT port, visibility, expires FROM ports WHERE workspace_id = $1 \
             AND (expires IS NULL OR expires > $2) ORDER BY port",
        )
        .bind(workspace.as_str())
        .bind(milliseconds(OffsetDateTime::now_utc()))
        .fetch_all(&self.reader)
        .await?
        .iter()
        .map(open_port)
        .collect()
    }

    /// Says who may open a port; private ones are not kept. `false` where as many
    /// ports are open as a workspace may have.
    ///
    /// # Errors
    /// Where the workspace was removed meanwhile.
    pub async fn set_port(
        &self,
        workspace: &WorkspaceId,
        open: &OpenPort,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.writer.begin().await?;
        sqlx::query("DELETE FROM ports WHERE workspace_id = $1 AND port = $2")
            .bind(workspace.as_str())
            .bind(i64::from(open.port))
            .execute(&mut *transaction)
            .await?;
        let mut kept = true;
        if open.visibility != Visibility::Private {
            let added = sqlx::query(
                "INSERT INTO ports (workspace_id, port, visibility, expires, changed) \
                 SELECT workspaces.id, $2, $3, $4, $5 FROM workspaces \
                 WHERE workspaces.id = $1 \
                 AND (SELECT COUNT(*) FROM ports WHERE workspace_id = $1) < $6",
            )
            .bind(workspace.as_str())
            .bind(i64::from(open.port))
            .bind(open.visibility.as_str())
            .bind(open.expires.map(instant).map(milliseconds))
            .bind(milliseconds(OffsetDateTime::now_utc()))
            .bind(MAX_PORTS)
            .execute(&mut *transaction)
            .await?;
            kept = added.rows_affected() > 0;
        }
        transaction.commit().await?;
        Ok(kept)
    }
}

fn open_port(row: &AnyRow) -> Result<OpenPort, StoreError> {
    let port: i64 = row.try_get("port")?;
    Ok(OpenPort {
        port: u16::try_from(port).map_err(|_| unreadable("port", &port.to_string()))?,
        visibility: parsed(row, "visibility")?,
        expires: optional_time(row, "expires")?,
    })
}
