//! The proof that a visitor may open one thing inside a workspace from a browser.
//!
//! A [`Door`] is what the records say of it, whoever comes; it can be kept for a
//! moment. Only [`Door::enter`] makes a [`Pass`], for somebody who may go through.

use std::sync::Arc;

use devgate_protocol::Open;
use time::OffsetDateTime;

use super::{Action, Identity, Narrowing};
use crate::names::{UserId, UserName, WorkspaceId, WorkspaceName};
use crate::store::{OpenPort, StoreError, Visibility};
use crate::workspaces::Workspace;

/// What can be opened inside a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inside {
    /// An application that listens on a port.
    Port(u16),
    /// The editor, which is its owner's alone.
    Editor,
}

/// How an address names a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WorkspaceRef {
    /// By its name and its owner's.
    Named {
        /// The workspace.
        workspace: WorkspaceName,
        /// Whose it is.
        owner: UserName,
    },
    /// By its id, which stays the same and is short.
    Id(WorkspaceId),
}

/// Who comes to a door.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The person.
    pub user: &'a UserId,
    /// To what the token is narrowed by which they come.
    pub narrowed_to: Option<&'a Narrowing>,
}

/// Something inside a workspace, and who may open it.
#[derive(Clone, Debug)]
pub struct Door {
    workspace: Arc<Workspace>,
    inside: Inside,
    share: Option<OpenPort>,
}

/// Proof that a visitor may open something inside a workspace; only [`Door::enter`]
/// makes one.
#[derive(Clone, Debug)]
pub struct Pass {
    workspace: Arc<Workspace>,
    inside: Inside,
    standing: Standing,
    expires: Option<OffsetDateTime>,
}

/// What a visitor is to a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its owner, who may wake it.
    Owner,
    /// Somebody whom its owner lets look.
    Guest,
}

impl Identity {
    /// Looks up something inside a workspace; `None` where no such workspace lives, or it
    /// is nobody's yet. Whether anything serves there isn't known here.
    pub async fn door(
        &self,
        workspace: &WorkspaceRef,
        inside: Inside,
    ) -> Result<Option<Door>, StoreError> {
        let found = match workspace {
            WorkspaceRef::Named { workspace, owner } => {
                self.store.workspace_named(owner, workspace).await?
            }
            WorkspaceRef::Id(id) => self.store.workspace(id).await?,
        };
        let found = found.filter(|record| !record.intent.ends() && record.deleted.is_none());
        let found = found.filter(|record| !record.workspace.is_pooled());
        let Some(record) = found else {
            return Ok(None);
        };
        let share = match inside {
            Inside::Port(port) => {
                let open = self.store.open_ports(&record.workspace.id).await?;
                open.into_iter().find(|open| open.port == port)
            }
            Inside::Editor => None,
        };
        Ok(Some(Door {
            workspace: Arc::new(record.workspace),
            inside,
            share,
        }))
    }
}

impl WorkspaceRef {
    /// Names a workspace as people do.
    pub fn by_name(workspace: &Workspace) -> Self {
        Self::Named {
            workspace: workspace.name.clone(),
            owner: workspace.owner_name.clone(),
        }
    }

    /// Whether it is this workspace that is named.
    pub fn is(&self, one: &Workspace) -> bool {
        match self {
            Self::Named { workspace, owner } => *workspace == one.name && *owner == one.owner_name,
            Self::Id(id) => *id == one.id,
        }
    }
}

impl Door {
    /// Lets a visitor through who may go; `None` is one who isn't signed in, and so is
    /// here whoever comes by a token that isn't for this.
    pub fn enter(&self, visitor: Option<Visitor<'_>>) -> Option<Pass> {
        let action = match self.inside {
            Inside::Port(_) => Action::Ports,
            Inside::Editor => Action::Editor,
        };
        let here = Some(self.workspace.id.as_str());
        let visitor = visitor.filter(|visitor| {
            let narrowed = visitor.narrowed_to;
            narrowed.is_none_or(|narrowed| narrowed.permits(action, here))
        });
        let visitor = visitor.map(|visitor| visitor.user);
        if visitor == Some(&self.workspace.owner) {
            return Some(self.pass(Standing::Owner, None));
        }
        let share = self.share.as_ref()?;
        let runs = share
            .expires
            .is_none_or(|expires| OffsetDateTime::now_utc() < expires);
        let open = match share.visibility {
            Visibility::Public => true,
            Visibility::Members => visitor.is_some(),
            Visibility::Private => false,
        };
        (open && runs).then(|| self.pass(Standing::Guest, share.expires))
    }

    /// Lets the question through that a browser asks before a request to another
    /// origin (a CORS preflight, Fetch standard §4.8), which never carries who asks.
    /// It may be answered by the application to anybody, as it changes nothing.
    pub fn ask(&self) -> Pass {
        self.pass(Standing::Guest, None)
    }

    /// Returns where the door is.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn pass(&self, standing: Standing, expires: Option<OffsetDateTime>) -> Pass {
        Pass {
            workspace: Arc::clone(&self.workspace),
            inside: self.inside,
            standing,
            expires,
        }
    }
}

impl Pass {
    /// Returns where it leads.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Returns what it opens there.
    pub fn inside(&self) -> Inside {
        self.inside
    }

    /// Returns what the visitor is to the workspace.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Returns when it ends by itself.
    pub fn expires(&self) -> Option<OffsetDateTime> {
        self.expires
    }

    /// Returns the header of a stream that leads there.
    pub(crate) fn open(&self) -> Open {
        match self.inside {
            Inside::Port(port) => Open::DirectTcpip {
                host: "localhost".to_owned(),
                port,
            },
            Inside::Editor => Open::Editor,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::identity::{Role, testing};
    use crate::workspaces::Intent;

    #[tokio::test]
    async fn a_door_opens_to_its_owner_and_to_whom_it_was_opened() {
        let (_folder, store) = testing::store().await;
        let ada = testing::user(&store, "ada", Role::Member).await;
        let bob = UserId::random();
        let name = "api".parse().unwrap();
        let record = store
            .add_workspace(
                &ada,
                &name,
                crate::workspaces::Blueprint::default(),
                Intent::Run,
            )
            .await
            .unwrap();
        let known = |user| {
            Some(Visitor {
                user,
                narrowed_to: None,
            })
        };
        let identity = Identity::new(store.clone());
        let now = OffsetDateTime::now_utc();
        let later = now + Duration::hours(1);
        for (visibility, expires, bob_enters, anybody_enters) in [
            (Visibility::Private, None, false, false),
            (Visibility::Members, None, true, false),
            (Visibility::Public, Some(later), true, true),
            (Visibility::Public, Some(now), false, false),
        ] {
            let open = OpenPort {
                port: 3000,
                visibility,
                expires,
            };
            store.set_port(&record.workspace.id, &open).await.unwrap();
            let named = WorkspaceRef::by_name(&record.workspace);
            let by_id = WorkspaceRef::Id(record.workspace.id.clone());
            assert!(named.is(&record.workspace) && by_id.is(&record.workspace));
            // However it is named, the same may enter.
            let other = identity.door(&by_id, Inside::Port(3000)).await;
            let other = other.unwrap().unwrap();
            let door = |inside| identity.door(&named, inside);
            let port = door(Inside::Port(3000)).await.unwrap().unwrap();
            for visitor in [None, known(&ada.id), known(&bob)] {
                let standing = |door: &Door| door.enter(visitor).map(|pass| pass.standing());
                assert_eq!(standing(&port), standing(&other));
            }
            let pass = port.enter(known(&ada.id)).unwrap();
            assert_eq!(pass.standing(), Standing::Owner);
            assert_eq!(port.enter(known(&bob)).is_some(), bob_enters);
            assert_eq!(port.enter(None).is_some(), anybody_enters);
            let other = door(Inside::Port(3001)).await.unwrap().unwrap();
            assert!(other.enter(known(&bob)).is_none());
            let editor = door(Inside::Editor).await.unwrap().unwrap();
            assert!(editor.enter(known(&ada.id)).is_some());
            assert!(editor.enter(known(&bob)).is_none());
            let narrowed_to = serde_json::from_str(r#"{"actions":["editor"]}"#).unwrap();
            let narrowed = Some(Visitor {
                user: &ada.id,
                narrowed_to: Some(&narrowed_to),
            });
            assert!(editor.enter(narrowed).is_some());
            assert_eq!(port.enter(narrowed).is_some(), anybody_enters);
        }
        let nowhere = [
            WorkspaceRef::Id(WorkspaceId::random()),
            WorkspaceRef::Named {
                workspace: "nil".parse().unwrap(),
                owner: ada.name.clone(),
            },
        ];
        for nowhere in nowhere {
            let found = identity.door(&nowhere, Inside::Editor).await;
            assert!(found.unwrap().is_none());
        }
    }
}
