//! Named secrets: people's own and the installation's, and what workspaces get of them.
//!
//! Invariant: a value is in the records sealed alone, and goes nowhere but to the agents
//! of its holder's workspaces. It never comes out to whoever manages it.

mod name;
mod seal;

use std::collections::BTreeMap;
use std::sync::Arc;

use devgate_protocol::Secret;
use devgate_protocol::control::{MAX_MESSAGE, Told};
use time::OffsetDateTime;
use tracing::error;

use crate::chain::chain;
use crate::names::{UserId, WorkspaceId};
use crate::store::{Store, StoreError};
use crate::workspaces::Workspace;

pub use name::{InvalidSecretName, SecretName};
pub use seal::{Seal, SealError};

/// Longest value, in bytes.
pub const MAX_VALUE: usize = 32 * 1024;

/// Most that a workspace gets in all, in bytes of the message that tells them; the rest
/// of it is for everything else in there.
const MAX_TOLD: usize = MAX_MESSAGE - 16 * 1024;

/// Whose secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user's own.
    User(UserId),
    /// The installation's, for everybody's workspaces.
    Installation,
}

/// A secret, without what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: SecretName,
    /// When it was first set.
    pub created: OffsetDateTime,
    /// When it was last set.
    pub changed: OffsetDateTime,
}

/// A secret that workspaces get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: SecretName,
    /// The variable that programs find it in; none where only the start-up uses it.
    pub variable: Option<String>,
}

/// What a workspace gets.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    /// Variables that tell its programs how it is called, and whose it is.
    pub environment: BTreeMap<String, String>,
    /// The secrets.
    pub told: Vec<Told>,
    /// Names of those that there aren't.
    pub missing: Vec<String>,
    /// Certificates, PEM, of whoever vouches for this server, where that is no public
    /// authority.
    pub authority: Option<String>,
}

/// Where a workspace's programs find this server.
#[derive(Clone, Debug)]
pub struct Address {
    /// The dashboard's address, below which the API is.
    pub url: String,
    /// Certificates, PEM, of whoever vouches for it, where that is no public authority.
    pub authority: Option<String>,
}

/// The variable that programs find the server's address in.
const URL: &str = "DEVGATE_URL";

/// What can't be done with a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It is empty, too long, or no text.
    #[error("a secret's value is a text of 1 to {MAX_VALUE} bytes without a NUL")]
    Value,
    /// The holder has as many as there may be.
    #[error("there are too many secrets already: remove some")]
    TooMany,
    /// It can't be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The records fail.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps secrets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    seal: Seal,
    wanted: Vec<Wanted>,
    address: Option<Address>,
}

impl Holder {
    /// Returns what stands for it in the records.
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            // No user's id is that short.
            Self::Installation => "installation",
        }
    }

    /// Returns the user, where it is one.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Installation => None,
        }
    }
}

impl Wanted {
    /// Returns one that programs find under its own name.
    pub fn as_variable(name: SecretName) -> Self {
        Self {
            variable: Some(name.to_string()),
            name,
        }
    }
}

impl Vault {
    /// Keeps secrets in these records, and has workspaces get those that are `wanted`, and
    /// know the server's address.
    pub fn new(store: Store, seal: Seal, wanted: Vec<Wanted>, address: Option<Address>) -> Self {
        Self(Arc::new(Inner {
            store,
            seal,
            wanted,
            address,
        }))
    }

    /// Sets a secret; its workspaces get it when their agents next connect, at the next
    /// start at the latest.
    pub async fn set(
        &self,
        holder: &Holder,
        name: &SecretName,
        value: &Secret<String>,
    ) -> Result<(), VaultError> {
        let text = value.expose();
        if text.is_empty() || text.len() > MAX_VALUE || text.contains('\0') {
            return Err(VaultError::Value);
        }
        let sealed = self.0.seal.seal(holder, name, value)?;
        if self.0.store.set_secret(holder, name, &sealed).await? {
            return Ok(());
        }
        Err(VaultError::TooMany)
    }

    /// Removes a secret; `false` where there is none.
    pub async fn remove(&self, holder: &Holder, name: &SecretName) -> Result<bool, VaultError> {
        Ok(self.0.store.remove_secret(holder, name).await?)
    }

    /// Returns the secrets of a holder, by name.
    pub async fn list(&self, holder: &Holder) -> Result<Vec<Entry>, VaultError> {
        Ok(self.0.store.secrets(holder).await?)
    }

    /// Returns what a workspace's agent is told. What can't be read is missing, and the
    /// log says why.
    pub async fn supply(&self, workspace: &WorkspaceId) -> Supply {
        let mut supply = Supply::default();
        let record = match self.0.store.workspace(workspace).await {
            Ok(Some(record)) => record,
            Ok(None) => return supply,
            Err(failure) => {
                error!(%workspace, failure = chain(&failure), "what a workspace gets can't be read");
                let names = self.0.wanted.iter().map(|wanted| wanted.name.to_string());
                supply.missing.extend(names);
                return supply;
            }
        };
        supply.environment = record.workspace.variables();
        if let Some(address) = &self.0.address {
            supply
                .environment
                .insert(URL.to_owned(), address.url.clone());
            supply.authority.clone_from(&address.authority);
        }
        let mut room = MAX_TOLD;
        for wanted in &self.wanted_by(&record.workspace) {
            let found = self.find(&record.workspace.owner, &wanted.name).await;
            let found = found.unwrap_or_else(|failure| {
                let (name, failure) = (&wanted.name, chain(&failure));
                error!(%name, %workspace, failure, "a secret can't be read");
                None
            });
            let told = found.map(|value| Told {
                name: wanted.name.to_string(),
                variable: wanted.variable.clone(),
                value,
            });
            let length = told.as_ref().map_or(0, length);
            match told {
                Some(told) if length <= room => {
                    room -= length;
                    supply.told.push(told);
                }
                Some(_) => {
                    let name = &wanted.name;
                    error!(%name, %workspace, "a workspace's secrets are too long together");
                    supply.missing.push(name.to_string());
                }
                None => supply.missing.push(wanted.name.to_string()),
            }
        }
        supply
    }

    /// Returns what a workspace gets: what all do, and what it is made with, each once.
    fn wanted_by(&self, workspace: &Workspace) -> Vec<Wanted> {
        let blueprint = &workspace.blueprint;
        let mut all = self.0.wanted.clone();
        let own = blueprint.secrets.iter().cloned().map(Wanted::as_variable);
        let token = blueprint.token().cloned().map(|name| Wanted {
            name,
            variable: None,
        });
        for wanted in own.chain(token) {
            if !all.iter().any(|known| known.name == wanted.name) {
                all.push(wanted);
            }
        }
        all
    }

    /// Returns an owner's secret of that name, else the installation's.
    pub async fn find(
        &self,
        owner: &UserId,
        name: &SecretName,
    ) -> Result<Option<Secret<String>>, VaultError> {
        for holder in [Holder::User(owner.clone()), Holder::Installation] {
            if let Some(sealed) = self.0.store.sealed_secret(&holder, name).await? {
                return Ok(Some(self.0.seal.open_sealed(&holder, name, &sealed)?));
            }
        }
        Ok(None)
    }
}

/// Returns how much of a message a secret takes, in bytes.
fn length(told: &Told) -> usize {
    serde_json::to_vec(told).map_or(usize::MAX, |json| json.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;
    use crate::workspaces::{Blueprint, Intent};

    async fn vault(folder: &std::path::Path, wanted: &[&str]) -> Vault {
        let store = Store::open(&folder.join("devgate.db")).await.unwrap();
        let wanted = wanted.iter().map(|name| name.parse().unwrap());
        let wanted = wanted.map(Wanted::as_variable).collect();
        Vault::new(store, Seal::open(folder, 0).unwrap(), wanted, None)
    }

    #[tokio::test]
    async fn an_owners_secret_goes_before_the_installations() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), &["TOKEN", "OTHER", "NONE"]).await;
        let store = vault.0.store.clone();
        let ada = store.add_user(&"ada".parse().unwrap(), Role::Admin).await;
        let ada = ada.unwrap();
        let name = "api".parse().unwrap();
        let record = store
            .add_workspace(&ada, &name, Blueprint::default(), Intent::Stop)
            .await;
        let id = record.unwrap().workspace.id;
        let own = Holder::User(ada.id.clone());
        let secret = |text: &str| Secret::new(text.to_owned());
        for (holder, name, value) in [
            (&Holder::Installation, "TOKEN", "everybody's"),
            (&own, "TOKEN", "first"),
            (&own, "TOKEN", "own"),
            (&Holder::Installation, "OTHER", "shared"),
        ] {
            let name = name.parse().unwrap();
            vault.set(holder, &name, &secret(value)).await.unwrap();
        }
        let supply = vault.supply(&id).await;
        let told = supply.told.iter();
        let told: Vec<_> = told
            .map(|told| (told.name.as_str(), told.value.expose().as_str()))
            .collect();
        assert_eq!(told, [("TOKEN", "own"), ("OTHER", "shared")]);
        assert_eq!(supply.missing, ["NONE"]);
        assert_eq!(vault.list(&own).await.unwrap().len(), 1);
        let name = "TOKEN".parse().unwrap();
        assert!(vault.remove(&own, &name).await.unwrap());
        assert!(!vault.remove(&own, &name).await.unwrap());
        let supply = vault.supply(&id).await;
        assert_eq!(supply.told[0].value.expose(), "everybody's");
    }

    #[tokio::test]
    async fn what_is_nobodys_gets_the_installations_until_it_is_somebodys() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), &["TOKEN", "OTHER"]).await;
        let store = vault.0.store.clone();
        let ada = store.add_user(&"ada".parse().unwrap(), Role::Admin).await;
        let (ada, name) = (ada.unwrap(), "go-1".parse().unwrap());
        for (holder, name) in [
            (&Holder::User(ada.id.clone()), "TOKEN"),
            (&Holder::Installation, "OTHER"),
        ] {
            let value = Secret::new("value".to_owned());
            vault
                .set(holder, &name.parse().unwrap(), &value)
                .await
                .unwrap();
        }
        let nobody = crate::identity::User::nobody();
        let made = store.add_workspace(&nobody, &name, Blueprint::default(), Intent::Run);
        let mut workspace = made.await.unwrap().workspace;
        let supply = vault.supply(&workspace.id).await;
        assert_eq!(supply.missing, ["TOKEN"]);
        assert_eq!(supply.told[0].name, "OTHER");
        assert!(supply.environment.is_empty());
        (workspace.owner, workspace.owner_name) = (ada.id, ada.name);
        workspace.name = "api".parse().unwrap();
        assert!(store.claim_workspace(&workspace).await.unwrap());
        assert!(!store.claim_workspace(&workspace).await.unwrap());
        let supply = vault.supply(&workspace.id).await;
        assert_eq!((supply.told.len(), supply.missing.len()), (2, 0));
        assert_eq!(supply.environment["DEVGATE_WORKSPACE"], "api");
        assert_eq!(supply.environment["DEVGATE_OWNER"], "ada");
    }

    #[tokio::test]
    async fn what_no_message_holds_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..10).map(|number| format!("S{number}")).collect();
        let wanted: Vec<_> = names.iter().map(String::as_str).collect();
        let vault = vault(folder.path(), &wanted).await;
        let store = vault.0.store.clone();
        let ada = store.add_user(&"ada".parse().unwrap(), Role::Admin).await;
        let (ada, name) = (ada.unwrap(), "api".parse().unwrap());
        let record = store
            .add_workspace(&ada, &name, Blueprint::default(), Intent::Stop)
            .await;
        let id = record.unwrap().workspace.id;
        let long = Secret::new("x".repeat(MAX_VALUE));
        for name in &names {
            let name = name.parse().unwrap();
            vault
                .set(&Holder::Installation, &name, &long)
                .await
                .unwrap();
        }
        let supply = vault.supply(&id).await;
        assert_eq!(supply.told.len(), 7);
        assert_eq!(supply.missing, ["S7", "S8", "S9"]);
        for bad in ["", &"x".repeat(MAX_VALUE + 1), "a\0b"] {
            let bad = Secret::new(bad.to_owned());
            let name = "BAD".parse().unwrap();
            let refused = vault.set(&Holder::Installation, &name, &bad).await;
            assert!(matches!(refused, Err(VaultError::Value)));
        }
    }

    #[tokio::test]
    async fn a_users_secrets_go_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), &[]).await;
        let store = vault.0.store.clone();
        for (name, role) in [("ada", Role::Admin), ("bob", Role::Member)] {
            store.add_user(&name.parse().unwrap(), role).await.unwrap();
        }
        let bob = "bob".parse().unwrap();
        let user = store.user_named(&bob).await.unwrap().unwrap();
        let holder = Holder::User(user.id);
        let value = Secret::new("value".to_owned());
        let name = "A".parse().unwrap();
        vault.set(&holder, &name, &value).await.unwrap();
        store.remove_user(&bob).await.unwrap();
        assert_eq!(vault.list(&holder).await.unwrap(), []);
        assert!(vault.set(&holder, &name, &value).await.is_err());
    }
}
