//! A container without what is ours in it: the agent, what it is told, which may be secret,
//! and what the gateway knows it by.
//!
//! None of that is to be in an image, so it is taken out for as long as the engine reads the
//! files. The agent lives in memory meanwhile; what it dials in with it reads anew each time,
//! so a gateway that ended in between is made good for by the next one.

use std::collections::BTreeMap;
use std::io;

use bollard::models::ContainerConfig;
use tokio::time::Instant;
use tracing::{info, warn};

use super::doings::Doing;
use super::files::{self, Files};
use super::volumes::Volume;
use super::{DockerDriver, DockerOptions, DockerReach, agent, agent_config, identity, spec};
use crate::chain::chain;
use crate::drivers::{DriverError, blocking};
use crate::workspaces::Workspace;

/// The container that a snapshot is taken of.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) runs: bool,
    /// Whether it shares the agent's program, and has none of its own.
    pub(super) shares_agent: bool,
    /// The image that it was made of.
    pub(super) image: Option<String>,
    /// The engine's name for its home.
    pub(super) home: String,
    /// Its volumes that the image declares.
    pub(super) volumes: Vec<Volume>,
}

impl DockerDriver {
    /// Commits a container without what is ours.
    pub(super) async fn commit_without_ours(
        &self,
        workspace: &Workspace,
        source: &Source,
        image: (&str, &str),
        doing: &Doing<'_>,
    ) -> Result<(), DriverError> {
        let engine = self.containers.engine();
        let installation = self.containers.installation();
        let options = self.options.of(&workspace.blueprint, installation);
        let nothing = pack_nothing(&options, source.shares_agent).map_err(not_packed)?;
        nothing.upload(engine, &source.name).await?;
        let still = source.runs.then(|| {
            let text = "saving what the container changed: the workspace stands still meanwhile";
            doing.tell(text.to_owned());
            (self.containers.pauses.still(&workspace.id), Instant::now())
        });
        let committed = self
            .containers
            .commit(&source.name, image, ContainerConfig::default());
        let committed = committed.await;
        if let Some((told, since)) = still {
            drop(told);
            info!(workspace = %workspace.id, elapsed = ?since.elapsed(), "the container goes on");
        }
        // A start puts them in anyway.
        if source.runs
            && let Err(error) = self.put_back(workspace, source, options).await
        {
            let error = chain(&error);
            warn!(error, socket = ?engine, "can't put the agent back");
        }
        committed
    }

    /// Puts back into a container that runs what its agent needs to dial in, where a gateway
    /// took that out and ended before it put it back.
    pub(super) async fn make_good(
        &self,
        workspace: &Workspace,
        options: &DockerOptions,
    ) -> Result<(), DriverError> {
        let name = spec::container(&workspace.id);
        for path in identity::files(options) {
            let found =
                files::read(self.containers.engine(), &name, &path, files::MAX_OF_IMAGE).await?;
            if found.is_none_or(|text| text.is_empty()) {
                warn!("what the agent dials in with is missing: it is put back");
                let source = Source {
                    name,
                    runs: true,
                    shares_agent: false,
                    image: None,
                    home: String::new(),
                    volumes: Vec::new(),
                };
                return self.put_back(workspace, &source, options.clone()).await;
            }
        }
        Ok(())
    }

    /// Puts the agent, what it is told and its identity back into a container that runs.
    async fn put_back(
        &self,
        workspace: &Workspace,
        source: &Source,
        options: DockerOptions,
    ) -> Result<(), DriverError> {
        let config = agent_config(workspace, &options, &BTreeMap::new())?;
        let owner = match options.reach {
            DockerReach::Folder => (0, 0),
            DockerReach::Dial { .. } => {
                let (account, _) = self.account(&source.name, &options).await?;
                (account.uid, account.gid)
            }
        };
        let identity = identity::of(&workspace.id, &options);
        let program = (!source.shares_agent).then_some(options.agent);
        let packed = blocking(move || {
            let program = program.as_deref().map(agent::read).transpose()?;
            let identity = identity.issue()?;
            let pack = || {
                let mut files = Files::new();
                files.folder(spec::FOLDER, 0o755, (0, 0))?;
                if let Some(program) = &program {
                    files.file(spec::AGENT, 0o755, program)?;
                }
                files.file(spec::CONFIG, 0o644, config.as_bytes())?;
                identity.pack(&mut files, owner)?;
                Ok(files)
            };
            pack().map_err(not_packed)
        });
        let packed = packed.await?;
        packed.upload(self.containers.engine(), &source.name).await
    }
}

/// Packs nothing in the place of all that is put into a container.
pub(super) fn pack_nothing(options: &DockerOptions, shares_agent: bool) -> io::Result<Files> {
    let mut files = Files::new();
    files.folder(spec::FOLDER, 0o755, (0, 0))?;
    if !shares_agent {
        files.file(spec::AGENT, 0o755, b"")?;
    }
    files.file(spec::CONFIG, 0o644, b"")?;
    identity::pack_nothing(&mut files, options)?;
    Ok(files)
}

/// Says that what goes into a container can't be packed.
pub(super) fn not_packed(source: io::Error) -> DriverError {
    DriverError::File {
        action: "pack",
        path: spec::AGENT.into(),
        source,
    }
}
