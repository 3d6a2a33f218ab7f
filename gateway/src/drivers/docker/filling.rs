//! What is put into a container before it starts.

use std::collections::BTreeMap;
use std::io;

use super::account::Account;
use super::bare::not_packed;
use super::containers::{Fresh, Launch};
use super::files::{self, Files};
use super::{DockerDriver, DockerOptions, DockerReach, agent, agent_config, identity, spec, text};
use crate::drivers::{DriverError, blocking};
use crate::workspaces::{OwnMountKind, Workspace};

/// The user of a container, and what it has as `/etc/passwd`.
type Known = (Account, Option<String>);

/// Mode bits by which others than a folder's owner may write to it.
const OTHERS_WRITE: u32 = 0o022;

/// All mode bits.
const MODE: u32 = 0o7777;

/// Mode of a volume that the engine has made.
const NEW_MODE: u32 = 0o755;

impl DockerDriver {
    /// Starts a container, with all that it needs.
    pub(super) async fn launch(
        &self,
        fresh: &Fresh,
        workspace: &Workspace,
        options: &DockerOptions,
    ) -> Result<Launch, DriverError> {
        let folder = self.folder(&workspace.id);
        blocking(move || folder.renew()).await?;
        let network = async {
            if self.options.network.is_none() {
                self.containers.have_network().await?;
            }
            match &fresh.lost_network {
                Some(network) => self.containers.connect(&fresh.name, network).await,
                None => Ok(()),
            }
        };
        let launched = async {
            tokio::try_join!(self.fill(fresh, workspace, options), network)?;
            self.containers.start(&fresh.name).await
        };
        match launched.await {
            // An engine that was killed while it made or started it has left half of it.
            Err(error @ DriverError::Engine { .. }) if fresh.is_new => Ok(Launch::Lacking(error)),
            launched => launched,
        }
    }

    /// Puts the agent and what it is told into a container. A new one gets its user's
    /// name, too, and a new home its owner.
    async fn fill(
        &self,
        container: &Fresh,
        workspace: &Workspace,
        options: &DockerOptions,
    ) -> Result<(), DriverError> {
        let container_has = if options.needs_environment(&workspace.blueprint) {
            self.containers.environment(&workspace.id).await?
        } else {
            BTreeMap::new()
        };
        let config = agent_config(workspace, options, &container_has)?;
        let identity = identity::of(&workspace.id, options);
        let program = (!container.shares_agent).then(|| options.agent.clone());
        let is_new = container.is_new;
        let folder = self.folder(&workspace.id);
        let had_home = blocking(move || folder.had_home()).await?;
        let account = if is_new || matches!(options.reach, DockerReach::Dial { .. }) {
            Some(self.account(&container.name, options).await?)
        } else {
            None
        };
        let mut needs_owner = !had_home;
        if let Some((account, _)) = &account
            && is_new
            && had_home
        {
            let home = self.needs_owner(&container.name, (workspace, options), account);
            needs_owner = home.await?;
        }
        let mut volumes = own_volumes(options);
        if let Some((account, _)) = &account
            && is_new
        {
            let fresh = self.fresh_volumes(&container.name, options, account);
            volumes.extend(fresh.await?);
        }
        let home = if is_new && needs_owner {
            // The image may have a link there, which leads to what is mounted.
            let engine = self.containers.engine();
            let place = files::place(engine, &container.name, &options.home);
            Some(text(&place.await?))
        } else {
            None
        };
        let new = NewContainer { home, volumes };
        let new = is_new.then_some(new);
        let listed_home = text(&options.home);
        let packed = blocking(move || {
            let program = program.as_deref().map(agent::read).transpose()?;
            let identity = identity.issue()?;
            let pack = || {
                let mut files = base(program.as_deref(), &config)?;
                if let Some((account, passwd)) = &account {
                    identity.pack(&mut files, (account.uid, account.gid))?;
                    if let Some(new) = &new {
                        new.pack(&mut files, account)?;
                        if !account.is_listed {
                            let passwd = passwd.as_deref().unwrap_or_default();
                            let passwd = account.add_to(passwd, &listed_home);
                            files.file("/etc/passwd", 0o644, passwd.as_bytes())?;
                        }
                    }
                }
                Ok(files)
            };
            pack().map_err(not_packed)
        });
        packed
            .await?
            .upload(self.containers.engine(), &container.name)
            .await?;
        let folder = self.folder(&workspace.id);
        blocking(move || folder.note_home()).await
    }

    /// Returns the user in a container, and its `/etc/passwd` where it has one.
    pub(super) async fn account(
        &self,
        container: &str,
        options: &DockerOptions,
    ) -> Result<Known, DriverError> {
        let (engine, user) = (self.containers.engine(), &options.user);
        let passwd = files::read(engine, container, "/etc/passwd", files::MAX_OF_IMAGE).await?;
        // Each such look costs the engine a mount.
        let group = if Account::needs_groups(user) {
            files::read(engine, container, "/etc/group", files::MAX_OF_IMAGE).await?
        } else {
            None
        };
        let text = |file: &Option<String>| file.clone().unwrap_or_default();
        let found = Account::find(user, &text(&passwd), &text(&group));
        let account = found.ok_or_else(|| DriverError::UserMissing {
            image: options.image.clone(),
            user: user.clone(),
        })?;
        Ok((account, passwd))
    }

    /// Returns where a container has volumes of the template's that are as the engine makes
    /// them: root's, and with nothing in them. Nobody could write to those.
    async fn fresh_volumes(
        &self,
        container: &str,
        options: &DockerOptions,
        account: &Account,
    ) -> Result<Vec<String>, DriverError> {
        let engine = self.containers.engine();
        let mounts = options.mounts.iter();
        let volumes = mounts.filter(|it| !it.source().starts_with('/') && !it.is_read_only());
        let mut fresh = Vec::new();
        for volume in volumes {
            let found = files::look(engine, container, volume.target()).await?;
            let is_fresh = found.is_some_and(|it| {
                (it.uid, it.gid, it.mode & MODE) == (0, 0, NEW_MODE) && it.is_alone
            });
            if is_fresh && account.uid != 0 {
                fresh.push(volume.target().to_owned());
            }
        }
        Ok(fresh)
    }

    /// Tells whether a home that was used before is to be given to a new container's user:
    /// where nothing is in it. The engine doesn't say whose it was then when it restores one.
    ///
    /// # Errors
    /// `HomeUnwritable` where it is somebody else's, and that user couldn't write to it.
    async fn needs_owner(
        &self,
        container: &str,
        (workspace, options): (&Workspace, &DockerOptions),
        account: &Account,
    ) -> Result<bool, DriverError> {
        let path = options.home.clone();
        let engine = self.containers.engine();
        let Some(found) = files::look(engine, container, &text(&path)).await? else {
            return Ok(false);
        };
        if found.uid == account.uid || found.mode & OTHERS_WRITE != 0 {
            return Ok(false);
        }
        if found.is_alone {
            return Ok(true);
        }
        let (old, new) = (
            format!("{}:{}", found.uid, found.gid),
            format!("{}:{}", account.uid, account.gid),
        );
        let volume = spec::volume(workspace);
        let detail = format!(
            "it belongs to the user {old}, and the workspace's user is {new} now: have that be \
             {old} again, or give {new} the home on the container's host (`docker run --rm \
             --user 0 -v {volume}:/home busybox chown -R {new} /home`)"
        );
        Err(DriverError::HomeUnwritable {
            path,
            source: io::Error::other(detail),
        })
    }
}

/// What only a container gets in which nothing has run so far.
struct NewContainer {
    /// Where the home is, if that is new, too.
    home: Option<String>,
    volumes: Vec<String>,
}

impl NewContainer {
    fn pack(&self, files: &mut Files, account: &Account) -> io::Result<()> {
        let folders = self.volumes.iter().chain(&self.home);
        for folder in folders {
            files.folder(folder, 0o755, (account.uid, account.gid))?;
        }
        Ok(())
    }
}

/// Packs what every container gets, the agent's program where it shares none.
fn base(program: Option<&[u8]>, config: &str) -> io::Result<Files> {
    let mut files = Files::new();
    files.folder(spec::FOLDER, 0o755, (0, 0))?;
    // The container's user isn't known yet; nobody else is in there.
    files.folder(spec::STATE, 0o1777, (0, 0))?;
    // What is mounted in memory takes the mode of the folder beneath.
    for folder in [spec::RUNTIME, "/tmp"] {
        files.folder(folder, 0o1777, (0, 0))?;
    }
    if let Some(program) = program {
        files.file(spec::AGENT, 0o755, program)?;
    }
    files.file(spec::CONFIG, 0o644, config.as_bytes())?;
    Ok(files)
}

/// Returns where a workspace has volumes of its own that it can write to.
fn own_volumes(options: &DockerOptions) -> Vec<String> {
    let mounts = options.own_mounts.iter();
    let volumes = mounts
        .filter(|mount| !mount.read_only && matches!(mount.kind, OwnMountKind::Volume { .. }));
    let mut folders = Vec::new();
    for volume in volumes {
        // In the home the engine makes what is above it, and nobody could write there.
        let above = volume.target.ancestors().skip(1);
        let above: Vec<_> = above
            .take_while(|it| it.starts_with(&options.home) && *it != options.home)
            .collect();
        folders.extend(above.into_iter().rev().map(text));
        folders.push(text(&volume.target));
    }
    folders.dedup();
    folders
}
