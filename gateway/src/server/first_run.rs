//! What `devgate up` sets up before it serves: the person's account, the keys
//! that sign them in, and a workspace to connect to.

use std::fs;
use std::path::{Path, PathBuf};

use devgate_certs::Secret;

use crate::http::Site;
use crate::identity::{Accounts, AuthorizedKey, Role, User};
use crate::names::WorkspaceName;
use crate::person;
use crate::store::{Store, StoreError};
use crate::workspaces::{Blueprint, CommandError, Intent, Workspaces};

/// Most files in `~/.ssh` that are looked at.
const MAX_FILES: usize = 1000;

/// What the person asked for.
#[derive(Clone, Debug, Default)]
pub struct FirstRun {
    /// Keys to add; none: those in `~/.ssh`, where the person has none yet.
    pub keys: Vec<AuthorizedKey>,
    /// Workspace to create unless it is there; absent: `default`, where the
    /// person has no workspace.
    pub workspace: Option<WorkspaceName>,
}

/// What there is now.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The person's account.
    pub user: User,
    /// How many keys sign them in.
    pub keys: usize,
    /// The workspace to begin with.
    pub workspace: WorkspaceName,
    /// The link that signs them in once at the dashboard; absent where they have a
    /// password.
    pub link: Option<Secret<String>>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Sets up what is missing. Done again, also after it broke off, it changes nothing
/// that is there.
pub(super) async fn set_up(
    store: &Store,
    workspaces: &Workspaces,
    accounts: &Accounts,
    site: &Site,
    wanted: &FirstRun,
) -> Result<Ground, CommandError> {
    let user = person(store).await?;
    let mut notes = Vec::new();
    let mut keys = wanted.keys.clone();
    if keys.is_empty() && store.keys_of(&user).await?.is_empty() {
        let home = person::home().unwrap_or_default();
        keys = keys_in(&home.join(".ssh"), &mut notes);
    }
    for key in &keys {
        match store.add_key(&user, key).await {
            Ok(_) => {}
            // An installation has more people than the one who starts it.
            Err(error @ StoreError::KeyOfAnother { .. }) => notes.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let workspace = workspace(workspaces, &user, wanted.workspace.as_ref()).await?;
    let account = store.account(&user.name).await?;
    let link = match account {
        Some(account) if account.has_password => None,
        _ => {
            let (secret, _) = accounts.link(&user).await?;
            Some(Secret::new(site.sign_in_link(&secret)))
        }
    };
    Ok(Ground {
        link,
        keys: store.keys_of(&user).await?.len(),
        user,
        workspace,
        notes,
    })
}

/// Returns the user named like the person, else the first administrator, made
/// where there is none.
async fn person(store: &Store) -> Result<User, StoreError> {
    let users = store.users().await?;
    match person::operator(&users) {
        Some(user) => Ok(user.clone()),
        None => store.add_user(&person::user_name(), Role::Admin).await,
    }
}

async fn workspace(
    workspaces: &Workspaces,
    user: &User,
    wanted: Option<&WorkspaceName>,
) -> Result<WorkspaceName, CommandError> {
    let records = workspaces.list().await?;
    let mut theirs = records
        .iter()
        .filter(|record| record.workspace.owner == user.id && !record.intent.ends())
        .map(|record| &record.workspace.name);
    let default = "default".parse().expect("\"default\" is a valid name");
    let name = match wanted {
        Some(name) if theirs.any(|known| known == name) => return Ok(name.clone()),
        Some(name) => name,
        None => match theirs.next() {
            Some(first) => {
                let has_default = *first == default || theirs.any(|known| *known == default);
                return Ok(if has_default { default } else { first.clone() });
            }
            None => &default,
        },
    };
    workspaces
        .create(user, name, Blueprint::default(), Intent::Run)
        .await?;
    Ok(name.clone())
}

/// Returns the keys of all `*.pub` files in a folder.
fn keys_in(folder: &Path, notes: &mut Vec<String>) -> Vec<AuthorizedKey> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pub"))
        // OpenSSH puts certificates beside the keys that they certify.
        .filter(|path| !path.to_string_lossy().ends_with("-cert.pub"))
        .take(MAX_FILES)
        .collect();
    files.sort();
    let mut keys = Vec::new();
    for file in files {
        match AuthorizedKey::parse_file(&file) {
            Ok((good, refused)) => {
                keys.extend(good);
                notes.extend(refused.iter().map(ToString::to_string));
            }
            Err(error) => notes.push(error.to_string()),
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn only_plain_public_keys_are_taken_from_a_folder() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("id_ed25519.pub", KEY),
            ("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----"),
            (
                "id_ed25519-cert.pub",
                "ssh-ed25519-cert-v01@openssh.com AAAA",
            ),
            ("broken.pub", "nonsense"),
            ("config", "Host *"),
        ] {
            fs::write(root.path().join(name), text).unwrap();
        }
        let mut notes = Vec::new();
        let keys = keys_in(root.path(), &mut notes);
        assert_eq!(keys.len(), 1);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("broken.pub"), "{notes:?}");
    }

    #[test]
    fn a_person_without_a_key_folder_has_no_keys() {
        assert!(keys_in(Path::new("/nowhere/.ssh"), &mut Vec::new()).is_empty());
    }
}
