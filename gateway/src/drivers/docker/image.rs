//! Getting the image.

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::{debug, info};

use super::engine::{Engine, is_missing, one_line};
use crate::drivers::DriverError;

/// Returns the id of an image that is on the engine's host.
pub(super) async fn find(engine: &Engine, image: &str) -> Result<Option<String>, DriverError> {
    match engine.client().await?.inspect_image(image).await {
        Ok(found) => Ok(found.id),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(engine.failed("look for the image", error)),
    }
}

/// Pulls an image. Dropped in the middle, the pull ends; what was loaded is kept.
pub(super) async fn pull(engine: &Engine, image: &str) -> Result<(), DriverError> {
    let since = Instant::now();
    info!(image, "pulling an image");
    let mut options = CreateImageOptionsBuilder::new().from_image(image);
    if !names_a_version(image) {
        // Otherwise the engine takes all that there are.
        options = options.tag("latest");
    }
    let client = engine.client().await?;
    let mut progress = client.create_image(Some(options.build()), None, None);
    while let Some(step) = progress.next().await {
        match step {
            Ok(CreateImageInfo { id, status, .. }) => {
                debug!(image, layer = id, status, "pulling");
            }
            Err(error) => {
                return Err(match engine.failed("pull the image", error) {
                    DriverError::Engine { detail, .. } => DriverError::ImageMissing {
                        image: image.to_owned(),
                        detail: one_line(&detail),
                    },
                    error => error,
                });
            }
        }
    }
    info!(image, elapsed = ?since.elapsed(), "pulled an image");
    Ok(())
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
}
