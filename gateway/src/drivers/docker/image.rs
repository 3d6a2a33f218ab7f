//! Getting the image.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::engine::{Engine, is_missing};
use crate::drivers::DriverError;

/// How long a pull may go without any progress.
const PATIENCE: Duration = Duration::from_mins(5);

/// Returns the id of an image that is on the engine's host.
pub(super) async fn find(engine: &Engine, image: &str) -> Result<Option<String>, DriverError> {
    match engine.client().await?.inspect_image(image).await {
        Ok(found) => Ok(found.id),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(engine.failed("look for the image", error)),
    }
}

/// How far the pull is that is under way, in words.
#[derive(Debug, Default)]
pub(super) struct Pulling(Mutex<Option<String>>);

/// The layers of an image that is being pulled: whether each is there.
#[derive(Debug, Default)]
struct Layers(HashMap<String, bool>);

/// Takes the words back when the pull ends, however it does.
struct Told<'a>(&'a Pulling);

impl Pulling {
    pub(super) fn text(&self) -> Option<String> {
        self.words().clone()
    }

    fn words(&self) -> MutexGuard<'_, Option<String>> {
        // A text is whole after every change: a panic elsewhere breaks nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, image: &str, layers: &Layers) {
        *self.words() = Some(format!("pulling the image {image}{layers}"));
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        *self.0.words() = None;
    }
}

impl Layers {
    /// Takes note of one of the engine's steps.
    fn note(&mut self, layer: &str, status: &str) {
        match status {
            "Pulling fs layer" => drop(self.0.insert(layer.to_owned(), false)),
            "Pull complete" | "Already exists" => drop(self.0.insert(layer.to_owned(), true)),
            _ => {}
        }
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
pub(super) async fn pull(
    engine: &Engine,
    image: &str,
    pulling: &Pulling,
) -> Result<(), DriverError> {
    let since = Instant::now();
    info!(image, "pulling an image");
    let mut layers = Layers::default();
    let _told = Told(pulling);
    pulling.tell(image, &layers);
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
                    pulling.tell(image, &layers);
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
async fn next<T>(
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
fn names_a_version(image: &str) -> bool {
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
        let (pulling, mut layers) = (Pulling::default(), Layers::default());
        let told = Told(&pulling);
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
            pulling.tell("debian", &layers);
            assert_eq!(pulling.text().as_deref(), Some(text), "{status}");
        }
        drop(told);
        assert_eq!(pulling.text(), None);
    }
}
