//! Getting the images.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{Stream, StreamExt as _};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::build;
use super::engine::{Engine, is_missing};
use crate::drivers::DriverError;
use crate::names::{InstallationId, WorkspaceId};
use crate::workspaces::Build;

/// How long a pull may go without any progress.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// Returns the id of an image that is on the engine's host.
pub(super) async fn find(engine: &Engine, image: &str) -> Result<Option<String>, DriverError> {
    match engine.client().await?.inspect_image(image).await {
        Ok(found) => Ok(found.id),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(engine.failed("look for the image", error)),
    }
}

/// Returns the folders that an image declares volumes; none where it is missing.
pub(super) async fn volumes(engine: &Engine, image: &str) -> Result<Vec<String>, DriverError> {
    match engine.client().await?.inspect_image(image).await {
        Ok(found) => {
            let volumes = found.config.and_then(|config| config.volumes);
            Ok(volumes.unwrap_or_default())
        }
        Err(error) if is_missing(&error) => Ok(Vec::new()),
        Err(error) => Err(engine.failed("look for the image", error)),
    }
}

/// Returns the labels of an image; none where it is missing.
pub(super) async fn labels(
    engine: &Engine,
    image: &str,
) -> Result<HashMap<String, String>, DriverError> {
    match engine.client().await?.inspect_image(image).await {
        Ok(found) => {
            let labels = found.config.and_then(|config| config.labels);
            Ok(labels.unwrap_or_default())
        }
        Err(error) if is_missing(&error) => Ok(HashMap::new()),
        Err(error) => Err(engine.failed("look for the image", error)),
    }
}

/// What is being got, one of each: how far each is, who waits for it.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// How far what is being got is, by the image's name, in words.
    texts: Mutex<HashMap<String, String>>,
    /// What workspaces wait for.
    waiting: Mutex<HashMap<WorkspaceId, String>>,
    /// Held while an image is got, by its name.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// The layers of an image that is being pulled: whether each is there.
#[derive(Debug, Default)]
pub(super) struct Layers(HashMap<String, bool>);

/// Takes the words about an image back when it is there, or isn't to be had.
pub(super) struct Told<'a>(&'a Images, &'a str);

/// Takes a workspace off the list of those that wait.
struct Waits<'a>(&'a Images, &'a WorkspaceId);

fn locked<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock()
}

impl Images {
    /// Gets a workspace's image unless it is there, and returns its id.
    pub(super) async fn have(
        &self,
        engine: &Engine,
        installation: &InstallationId,
        (workspace, image, build): (&WorkspaceId, &str, Option<&Build>),
    ) -> Result<Option<String>, DriverError> {
        let found = find(engine, image).await?;
        if found.is_some() {
            return Ok(found);
        }
        locked(&self.waiting).insert(workspace.clone(), image.to_owned());
        let _waits = Waits(self, workspace);
        let turn = {
            let mut turns = locked(&self.turns);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(image.to_owned()).or_default())
        };
        let _turn = turn.lock().await;
        if find(engine, image).await?.is_none() {
            match build {
                Some(sources) => build::build(engine, installation, sources, self).await?,
                None => pull(engine, image, self).await?,
            }
        }
        find(engine, image).await
    }

    /// Tells how far the image is that a workspace waits for.
    pub(super) fn text(&self, workspace: &WorkspaceId) -> Option<String> {
        let image = locked(&self.waiting).get(workspace).cloned()?;
        locked(&self.texts).get(&image).cloned()
    }

    /// Says how far an image is, until that is dropped.
    pub(super) fn tell<'a>(&'a self, image: &'a str, text: String) -> Told<'a> {
        self.update(image, text);
        Told(self, image)
    }

    /// Says how far it is now.
    pub(super) fn update(&self, image: &str, text: String) {
        locked(&self.texts).insert(image.to_owned(), text);
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        locked(&self.0.texts).remove(self.1);
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        locked(&self.0.waiting).remove(self.1);
    }
}

impl Layers {
    /// Takes note of one of the engine's steps.
    pub(super) fn note(&mut self, layer: &str, status: &str) {
        match status {
            "Pulling fs layer" => drop(self.0.insert(layer.to_owned(), false)),
            "Pull complete" | "Already exists" => drop(self.0.insert(layer.to_owned(), true)),
            _ => {}
        }
    }

    /// Says in words how far the pull of an image is.
    fn text(&self, image: &str) -> String {
        format!("pulling the image {image}{self}")
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let there = self.0.values().filter(|is_there| **is_there).count();
        write!(f, " ({there} of {} layers)", self.0.len())
    }
}

/// Pulls an image. Dropped in the middle, the pull ends; what was loaded is kept.
async fn pull(engine: &Engine, image: &str, images: &Images) -> Result<(), DriverError> {
    let since = Instant::now();
    info!(image, "pulling an image");
    let mut layers = Layers::default();
    let _told = images.tell(image, layers.text(image));
    let mut options = CreateImageOptionsBuilder::new().from_image(image);
    if !names_a_version(image) {
        // Otherwise the engine takes all that there are.
        options = options.tag("latest");
    }
    let client = engine.client().await?;
    let mut progress = client.create_image(Some(options.build()), None, None);
    while let Some(step) = next(&mut progress, image, PATIENCE).await? {
        match step {
            Ok(CreateImageInfo { id, status, .. }) => {
                debug!(image, layer = id, status, "pulling");
                if let (Some(layer), Some(status)) = (id, status) {
                    layers.note(&layer, &status);
                    images.update(image, layers.text(image));
                }
            }
            Err(error) => {
                return Err(match engine.failed("pull the image", error) {
                    DriverError::Engine { detail, .. } => DriverError::ImageMissing {
                        image: image.to_owned(),
                        detail,
                    },
                    error => error,
                });
            }
        }
    }
    info!(image, elapsed = ?since.elapsed(), "pulled an image");
    Ok(())
}

/// Returns a pull's next step; fails where none comes.
pub(super) async fn next<T>(
    progress: &mut (impl Stream<Item = T> + Unpin),
    image: &str,
    patience: Duration,
) -> Result<Option<T>, DriverError> {
    let next = timeout(patience, progress.next()).await;
    next.map_err(|_| DriverError::ImageMissing {
        image: image.to_owned(),
        detail: format!("no progress for {} s", patience.as_secs()),
    })
}

/// Tells whether a reference has a tag or a digest; a registry's port is none.
pub(super) fn names_a_version(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_port_is_no_tag() {
        for (image, expected) in [
            ("debian", false),
            ("debian:12", true),
            ("registry:5000/team/tools", false),
            ("registry:5000/team/tools:1", true),
            ("debian@sha256:00", true),
        ] {
            assert_eq!(names_a_version(image), expected, "{image}");
        }
    }

    #[tokio::test]
    async fn a_pull_without_progress_fails() {
        let patience = Duration::from_secs(1);
        let mut steps = futures_util::stream::iter([1]).chain(futures_util::stream::pending());
        assert_eq!(next(&mut steps, "debian", patience).await.unwrap(), Some(1));
        let error = next(&mut steps, "debian", patience).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no progress for 1 s"), "{text}");
    }

    #[test]
    fn what_is_told_of_a_pull_counts_its_layers_and_ends_with_it() {
        let (images, mut layers) = (Images::default(), Layers::default());
        let (ours, other) = (WorkspaceId::random(), WorkspaceId::random());
        locked(&images.waiting).insert(ours.clone(), "debian".to_owned());
        locked(&images.waiting).insert(other.clone(), "alpine".to_owned());
        let told = images.tell("debian", layers.text("debian"));
        for (layer, status, text) in [
            (
                "latest",
                "Pulling from library/debian",
                "pulling the image debian",
            ),
            (
                "a",
                "Pulling fs layer",
                "pulling the image debian (0 of 1 layers)",
            ),
            (
                "b",
                "Already exists",
                "pulling the image debian (1 of 2 layers)",
            ),
            (
                "a",
                "Downloading",
                "pulling the image debian (1 of 2 layers)",
            ),
            (
                "a",
                "Pull complete",
                "pulling the image debian (2 of 2 layers)",
            ),
        ] {
            layers.note(layer, status);
            images.update("debian", layers.text("debian"));
            assert_eq!(images.text(&ours).as_deref(), Some(text), "{status}");
            assert_eq!(images.text(&other), None);
        }
        drop(told);
        assert_eq!(images.text(&ours), None);
    }
}
