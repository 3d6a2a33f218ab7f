//! The home of a workspace in a snapshot's image.
//!
//! It is in a folder of ours and not where the workspace has it: an image may declare a volume
//! there or above, and what is in a volume is no part of an image that is made of a container.

use std::path::Path;

use bollard::query_parameters::InspectContainerOptions;
use tracing::info;

use super::bare::{Source, not_packed};
use super::containers::Containers;
use super::doings::Doing;
use super::files::Files;
use super::{DockerDriver, spec, text, transfer};
use crate::drivers::DriverError;

/// How often a home is copied while programs may write to it. The engine gives up where a file
/// becomes shorter while it is read.
const TRIES: u32 = 3;

impl DockerDriver {
    /// Puts a workspace's home into the container that its snapshot is made of. Returns where
    /// it is in there.
    pub(super) async fn keep_home(
        &self,
        source: &Source,
        helper: &str,
        doing: &Doing<'_>,
    ) -> Result<String, DriverError> {
        let containers = &self.containers;
        containers.check_kept(helper).await?;
        let home = text(&self.options.home);
        let home = home.trim_end_matches('/');
        let copy = async || {
            doing.tell("copying the home".to_owned());
            let engine = containers.engine();
            // What an earlier snapshot or try has put there goes.
            let empty = empty().map_err(not_packed)?;
            empty.upload(engine, helper).await?;
            let names = (source.name.as_str(), helper);
            transfer::copy_folder(engine, names, (home, spec::KEPT), doing).await
        };
        let mut tries = 1;
        let mut copied = copy().await;
        while let Err(DriverError::Engine { detail, .. }) = &copied
            && source.runs
            && tries <= TRIES
        {
            info!(tries, detail, "a home that is written to is copied again");
            copied = if tries < TRIES {
                copy().await
            } else {
                // Programs that never rest are held up, where nothing else helps.
                containers.still(&source.name, copy()).await?
            };
            tries += 1;
        }
        copied?;
        let name = home.rsplit('/').next().unwrap_or_default();
        Ok(format!("{}/{name}", spec::KEPT))
    }
}

impl Containers {
    /// Fails where what is put into a container as its home isn't part of an image of it.
    async fn check_kept(&self, helper: &str) -> Result<(), DriverError> {
        let client = self.engine().client().await?;
        let found = client
            .inspect_container(helper, None::<InspectContainerOptions>)
            .await;
        let found = found.map_err(|error| self.engine().failed("look at a container", error))?;
        let volumes = found.config.and_then(|config| config.volumes);
        let mut volumes = volumes.into_iter().flatten();
        match volumes.find(|volume| Path::new(spec::KEPT).starts_with(volume)) {
            None => Ok(()),
            Some(volume) => Err(DriverError::Engine {
                action: "keep the home",
                detail: format!("the image declares {volume} a volume, which is devgate's folder"),
            }),
        }
    }

    /// Does something while what runs in a container stands still. Dropped in the middle, it
    /// leaves that so until its workspace is taken up again.
    async fn still<T>(
        &self,
        container: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, DriverError> {
        let client = self.engine().client().await?;
        let paused = client.pause_container(container).await;
        self.done("pause the container", paused)?;
        let done = work.await;
        self.unpause(container).await?;
        Ok(done)
    }
}

/// Packs an empty folder in the place of a home that may be there. What is no folder replaces
/// one with all that is in it.
fn empty() -> std::io::Result<Files> {
    let mut files = Files::new();
    files.folder(spec::FOLDER, 0o755, (0, 0))?;
    files.file(spec::KEPT, 0o600, b"")?;
    files.folder(spec::KEPT, 0o700, (0, 0))?;
    Ok(files)
}
