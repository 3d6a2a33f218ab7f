//! The home of a workspace in a snapshot's image, and the volumes that its image declares.
//!
//! They are in a folder of ours and not where the workspace has them: what is in a volume is no
//! part of an image that is made of a container.
//!
//! They are read from a container of its own that has them in that same folder, so that nothing
//! is read that is mounted in them, and one archive has all; and the archive is unpacked at the
//! root, as the engine only there gives a file with several links its mode back that runs as
//! its owner.

use std::collections::HashMap;
use std::path::Path;

use bollard::query_parameters::InspectContainerOptions;
use tracing::info;

use super::bare::{Source, not_packed};
use super::containers::{Containers, PATIENCE};
use super::doings::Doing;
use super::files::Files;
use super::{DockerDriver, spec, transfer, volumes};
use crate::drivers::DriverError;
use crate::workspaces::Workspace;

/// How often a home is copied while programs may write to it. The engine gives up where a file
/// becomes shorter while it is read.
const TRIES: u32 = 3;

/// The folder of a snapshot's image that has the home in it, and the volumes by their numbers.
/// None but root looks into it: who works in a container that is made of the image has a home
/// of their own.
pub(super) const KEPT: &str = "/.devgate-kept";

/// The folder that had the home in it before.
const KEPT_BEFORE: &str = "/.devgate/kept";

/// What is told while it is copied.
const COPYING: &str = "copying the home";

/// What the home is called in there.
const HOME: &str = "home";

impl DockerDriver {
    /// Puts a workspace's home and its image's volumes into the container that its snapshot is
    /// made of. Returns labels that say where they are in there.
    pub(super) async fn keep_home(
        &self,
        (workspace, source): (&Workspace, &Source),
        (base, helper): (String, &str),
        doing: &Doing<'_>,
    ) -> Result<HashMap<String, String>, DriverError> {
        let containers = &self.containers;
        containers.check_kept(helper).await?;
        let from = from(helper);
        let numbers = (0..).map(|number: u32| number.to_string());
        let names = source.volumes.iter().map(|volume| volume.name.clone());
        let all = std::iter::once((HOME.to_owned(), source.home.clone())).chain(numbers.zip(names));
        let body = volumes::holder(containers.installation(), base, all);
        containers.make_helper(&from, body).await?;
        let engine = containers.engine();
        let copy = async |what: &str| {
            doing.tell(what.to_owned());
            // What an earlier snapshot or try has put there goes.
            let empty = empty().map_err(not_packed)?;
            empty.upload(engine, helper).await?;
            transfer::copy_folder(engine, (&from, helper), (KEPT, "/"), (doing, what)).await
        };
        let mut tries = 1;
        let mut copied = copy(COPYING).await;
        while let Err(DriverError::Engine { detail, .. }) = &copied
            && source.runs
            && tries <= TRIES
        {
            info!(tries, detail, "a home that is written to is copied again");
            copied = if tries < TRIES {
                copy(COPYING).await
            } else {
                // Programs that never rest are held up, where nothing else helps.
                let _told = containers.pauses.still(&workspace.id);
                let copy = copy("copying the home: the workspace stands still meanwhile");
                Box::pin(containers.still(&source.name, copy)).await?
            };
            tries += 1;
        }
        copied?;
        closed().map_err(not_packed)?.upload(engine, helper).await?;
        containers.remove_helper(&from, PATIENCE).await?;
        let paths: Vec<_> = source.volumes.iter().map(|volume| &volume.path).collect();
        let paths = serde_json::to_string(&paths).unwrap_or_default();
        Ok(HashMap::from([
            (spec::SNAPSHOT_HOME.to_owned(), format!("{KEPT}/{HOME}")),
            (spec::SNAPSHOT_VOLUMES.to_owned(), paths),
        ]))
    }
}

/// Names the container that has the volumes which are copied into another one.
pub(super) fn from(helper: &str) -> String {
    format!("{helper}-from")
}

/// Returns what a snapshot's image says of where the home and the volumes are in it; `None`
/// where it is none.
pub(super) fn said(labels: &HashMap<String, String>) -> Option<HashMap<String, String>> {
    let home = labels.get(spec::SNAPSHOT_HOME)?;
    let volumes = labels.get(spec::SNAPSHOT_VOLUMES);
    let none = || "[]".to_owned();
    Some(HashMap::from([
        (spec::SNAPSHOT_HOME.to_owned(), home.clone()),
        (
            spec::SNAPSHOT_VOLUMES.to_owned(),
            volumes.cloned().unwrap_or_else(none),
        ),
    ]))
}

/// Returns which volumes a snapshot's image says that it has, and where in it they are.
pub(super) fn volumes_in(labels: &HashMap<String, String>) -> Vec<(String, String)> {
    let said = labels.get(spec::SNAPSHOT_VOLUMES);
    let paths: Vec<String> = said
        .and_then(|said| serde_json::from_str(said).ok())
        .unwrap_or_default();
    let numbered = paths.into_iter().enumerate();
    numbered
        .map(|(number, path)| (path, format!("{KEPT}/{number}")))
        .collect()
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
        let kept = Path::new(KEPT);
        match volumes.find(|volume| kept.starts_with(volume) || Path::new(volume).starts_with(kept))
        {
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

/// Packs empty folders in the place of homes that may be there. What is no folder replaces one
/// with all that is in it.
fn empty() -> std::io::Result<Files> {
    let mut files = Files::new();
    files.folder(spec::FOLDER, 0o755, (0, 0))?;
    for kept in [KEPT_BEFORE, KEPT] {
        files.file(kept, 0o600, b"")?;
        files.folder(kept, 0o700, (0, 0))?;
    }
    Ok(files)
}

/// Packs the folder itself, which is root's alone.
fn closed() -> std::io::Result<Files> {
    let mut files = Files::new();
    files.folder(KEPT, 0o700, (0, 0))?;
    Ok(files)
}
