//! Looking at the repositories that workspaces are made from, on the gateway's own host.
//!
//! It is done once for what a workspace is made of, before it starts; whatever ends it in
//! the middle, it is done anew. A checkout is read, and sent to who builds an image of it;
//! nothing of it runs here, and no workspace sees it.

mod address;
mod git;
mod size;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use devgate_protocol::Secret;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tracing::info;

use crate::config::{BindMount, DriverName};
use crate::devcontainer::{self, DevcontainerError, Purpose};
use crate::drivers::{Pending, blocking};
use crate::files::remove_tree;
use crate::names::WorkspaceId;
use crate::secrets::SecretName;
use crate::workspaces::{Blueprint, Image, Repository, Workspace};

pub(crate) use address::{address, is_branch};

/// Repositories that are got at one time; others queue.
const AT_ONCE: usize = 4;

/// Name of a checkout in the workspace's folder.
const CHECKOUT: &str = "checkout";

/// Looks at repositories. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repositories(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: RepositoryOptions,
    turns: Semaphore,
    /// What workspaces wait for, in words.
    doing: Mutex<HashMap<WorkspaceId, String>>,
}

/// How repositories are looked at, and what workspaces are where nobody says otherwise.
#[derive(Clone)]
pub struct RepositoryOptions {
    /// Folder that holds one folder a workspace.
    pub folder: PathBuf,
    /// What runs the workspaces.
    pub driver: DriverName,
    /// Their image.
    pub image: String,
    /// Their user.
    pub user: String,
    /// What is mounted into all of them.
    pub mounts: Vec<BindMount>,
    /// Finds what a server is shown.
    pub credentials: Credentials,
}

/// Finds what the server of a workspace's repository is shown, where there is something.
pub type Credentials =
    Arc<dyn Fn(&Workspace, &Repository) -> Pending<'static, Option<Credential>> + Send + Sync>;

/// What a server is shown to be let in.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The name; what servers expect where they only look at the token is `git`.
    pub user: String,
    /// A token.
    pub token: Secret<String>,
}

/// Why a repository can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It isn't to be had.
    #[error("the repository {url} can't be read ({detail})")]
    Unreachable {
        /// Its address.
        url: String,
        /// git's words.
        detail: String,
    },
    /// There is no token to show to its server.
    #[error("the repository {url} can't be read: there is no secret {secret}")]
    NoToken {
        /// Its address.
        url: String,
        /// The secret's name.
        secret: SecretName,
    },
    /// What it says of its workspaces can't be done.
    #[error(transparent)]
    Devcontainer(#[from] DevcontainerError),
    /// A folder of ours can't be handled.
    #[error("can't keep a checkout in {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Takes the words about a workspace back.
struct Told<'a>(&'a Inner, &'a WorkspaceId);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.doing().remove(self.1);
    }
}

impl ReadError {
    fn unreachable(repository: &Repository, detail: String) -> Self {
        let url = repository.url.clone();
        Self::Unreachable { url, detail }
    }

    fn folder(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Folder { path, source }
    }
}

impl fmt::Debug for RepositoryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryOptions")
            .field("folder", &self.folder)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl Repositories {
    /// Looks at repositories with these options. The folder needn't be there yet.
    pub fn new(options: RepositoryOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            turns: Semaphore::new(AT_ONCE),
            doing: Mutex::default(),
        }))
    }

    /// Returns what a workspace with that home is made of once its repository was looked
    /// at. Dropped in the middle, nothing runs on, and the next call starts anew.
    pub async fn read(&self, workspace: &Workspace, home: &Path) -> Result<Blueprint, ReadError> {
        let (inner, id) = (&self.0, &workspace.id);
        let Some(repository) = workspace.blueprint.unread() else {
            return Ok((*workspace.blueprint).clone());
        };
        let text = format!("reading the repository {}", repository.url);
        inner.doing().insert(id.clone(), text);
        let _told = Told(inner, id);
        // A closed semaphore is one more that doesn't limit; ours is never closed.
        let _turn = inner.turns.acquire().await.ok();
        let credential = (inner.options.credentials)(workspace, repository).await;
        if let (Some(secret), None) = (&repository.token, &credential) {
            let (url, secret) = (repository.url.clone(), secret.clone());
            return Err(ReadError::NoToken { url, secret });
        }
        let folder = inner.folder(id);
        let wanted = git::Wanted {
            repository,
            credential: credential.as_ref(),
            known_hosts: &inner.options.folder.join("known_hosts"),
        };
        let commit = git::fetch(&folder, wanted).await?;
        let (shared, workspace) = (Arc::clone(inner), workspace.clone());
        let place = repository.place(home);
        let home = home.to_owned();
        blocking(move || shared.resolve(&workspace, commit, (&place, &home))).await
    }

    /// Tells a person who waits what a workspace's start takes its time with.
    pub fn doing(&self, id: &WorkspaceId) -> Option<String> {
        self.0.doing().get(id).cloned()
    }

    /// Removes what is kept of a workspace's repository.
    pub async fn remove(&self, id: &WorkspaceId) -> Result<(), ReadError> {
        let folder = self.0.folder(id);
        let removed = blocking(move || remove_tree(&folder).map_err(|error| (folder, error)));
        removed
            .await
            .map_err(|(folder, source)| ReadError::folder(&folder, source))
    }
}

impl Inner {
    fn folder(&self, id: &WorkspaceId) -> PathBuf {
        self.options.folder.join(id.as_str())
    }

    fn doing(&self) -> MutexGuard<'_, HashMap<WorkspaceId, String>> {
        self.doing.lock()
    }

    /// Reads a checkout, and keeps it only for as long as an image may be built of it.
    fn resolve(
        &self,
        workspace: &Workspace,
        commit: String,
        (place, home): (&Path, &Path),
    ) -> Result<Blueprint, ReadError> {
        let folder = self.folder(&workspace.id);
        let checkout = folder.join(CHECKOUT);
        let purpose = Purpose {
            folder: place,
            home,
            id: workspace.id.as_str(),
            driver: self.options.driver,
            user: &self.options.user,
            image: &self.options.image,
            mounts: &self.options.mounts,
        };
        let resolved = devcontainer::resolve(&checkout, commit, &workspace.blueprint, purpose);
        let is_built = resolved
            .as_ref()
            .is_ok_and(|it| it.image != workspace.blueprint.image)
            && matches!(
                resolved.as_ref().map(|it| &it.image),
                Ok(Some(Image::Built(_)))
            );
        if !is_built {
            remove_tree(&folder).map_err(|source| ReadError::folder(&folder, source))?;
        }
        let resolved = resolved?;
        if let Some(read) = &resolved.devcontainer {
            let (file, commit) = (read.file.as_deref(), read.commit.as_str());
            info!(file, commit, "read the repository");
        }
        Ok(resolved)
    }
}
