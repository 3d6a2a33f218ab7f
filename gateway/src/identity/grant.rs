//! The proof that a user may reach a workspace.

use super::{Role, Target, User};
use crate::names::WorkspaceId;
use crate::store::{Store, StoreError};
use crate::workspaces::Workspace;

/// Proof that a user may reach a workspace; only [`authorize`] makes one.
#[derive(Clone, Debug)]
pub struct Grant {
    user: User,
    workspace: Workspace,
}

/// Proof that a user may see and administer a workspace, if not enter it; only
/// [`oversee`] makes one.
#[derive(Clone, Debug)]
pub struct Oversight {
    user: User,
    workspace: Workspace,
}

/// Why a user isn't let through.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no such workspace, or the user may not see it.
    #[error(
        "there is no workspace {target} of yours: ask who runs this gateway, or see `devgate list` there"
    )]
    NoSuchWorkspace {
        /// What was asked for.
        target: Target,
    },
    /// There is no workspace of that id, or the user may not see it.
    #[error("there is no such workspace of yours: the list of workspaces shows what there is")]
    NoSuchId,
    /// The records can't be read.
    #[error("can't look the workspace up")]
    Store(#[from] StoreError),
}

impl Grant {
    /// Returns who may.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Returns what they may reach.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }
}

impl Oversight {
    /// Returns who may.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Returns what they may see and administer.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }
}

pub(super) async fn authorize_id(
    store: &Store,
    user: &User,
    id: &WorkspaceId,
) -> Result<Grant, Denied> {
    match store.workspace(id).await? {
        Some(record) if record.workspace.owner == user.id && !record.intent.ends() => Ok(Grant {
            user: user.clone(),
            workspace: record.workspace,
        }),
        _ => Err(Denied::NoSuchId),
    }
}

pub(super) async fn oversee(
    store: &Store,
    user: &User,
    id: &WorkspaceId,
) -> Result<Oversight, Denied> {
    match store.workspace(id).await? {
        // One on its way out is still to be seen: its removal may fail.
        Some(record)
            if record.workspace.owner == user.id
                || (user.role == Role::Admin && !record.workspace.is_pooled()) =>
        {
            Ok(Oversight {
                user: user.clone(),
                workspace: record.workspace,
            })
        }
        _ => Err(Denied::NoSuchId),
    }
}

pub(super) async fn authorize(
    store: &Store,
    user: &User,
    target: &Target,
) -> Result<Grant, Denied> {
    let owner = target.owner.as_ref().unwrap_or(&user.name);
    // Looked up whether it may be theirs or not: both answers take as long.
    let found = store.workspace_named(owner, &target.workspace).await?;
    match found {
        Some(record) if record.workspace.owner == user.id && !record.intent.ends() => Ok(Grant {
            user: user.clone(),
            workspace: record.workspace,
        }),
        _ => Err(Denied::NoSuchWorkspace {
            target: target.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Identity, testing};
    use crate::workspaces::Intent;

    async fn two_people() -> (tempfile::TempDir, Store, User, User) {
        let (folder, store) = testing::store().await;
        let ada = testing::user(&store, "ada", Role::Admin).await;
        let bob = testing::user(&store, "bob", Role::Member).await;
        store
            .add_workspace(
                &bob,
                &"api".parse().unwrap(),
                crate::workspaces::Blueprint::default(),
                Intent::Run,
            )
            .await
            .unwrap();
        (folder, store, ada, bob)
    }

    #[tokio::test]
    async fn an_owner_reaches_a_workspace_by_both_of_its_names() {
        let (_folder, store, _, bob) = two_people().await;
        let identity = Identity::new(store);
        for name in ["api", "api.bob"] {
            let grant = identity
                .authorize(&bob, &name.parse().unwrap())
                .await
                .unwrap();
            assert_eq!(grant.workspace().name.as_str(), "api");
            assert_eq!(grant.user(), &bob);
        }
    }

    #[tokio::test]
    async fn anothers_workspace_looks_like_one_that_is_not_there() {
        let (_folder, store, ada, _) = two_people().await;
        let identity = Identity::new(store);
        let mut texts = Vec::new();
        for name in ["api.bob", "nil.bob", "api.eve", "api"] {
            let denied = identity
                .authorize(&ada, &name.parse().unwrap())
                .await
                .unwrap_err();
            texts.push(denied.to_string().replace(name, "NAME"));
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
    }

    #[tokio::test]
    async fn a_workspace_on_its_way_out_is_gone_already() {
        let (_folder, store, _, bob) = two_people().await;
        let record = store
            .workspace_named(&bob.name, &"api".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        store
            .delete_workspace(
                &record.workspace.id,
                (Intent::Delete, &crate::workspaces::State::Stopping),
                crate::workspaces::Deletion {
                    at: record.changed,
                    until: record.changed,
                },
            )
            .await
            .unwrap();
        let identity = Identity::new(store);
        let denied = identity.authorize(&bob, &"api".parse().unwrap()).await;
        assert!(matches!(denied, Err(Denied::NoSuchWorkspace { .. })));
        let id = &record.workspace.id;
        let denied = identity.authorize_id(&bob, id).await;
        assert!(matches!(denied, Err(Denied::NoSuchId)));
        // To be restored, or seen to fail.
        identity.oversee(&bob, id).await.unwrap();
    }
}
