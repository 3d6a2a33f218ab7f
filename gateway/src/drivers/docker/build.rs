//! Building an image from a template's Dockerfile.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};
use tokio_util::io::ReaderStream;
use tracing::{debug, info};

use super::engine::Engine;
use super::image::Images;
use super::spec;
use crate::build_context::{DOCKERFILE, Sources};
use crate::drivers::{DriverError, blocking};
use crate::names::InstallationId;
use crate::workspaces::Build;

/// How long a step of a build may say nothing.
const PATIENCE: Duration = Duration::from_mins(30);

/// How long a build may take.
const TIME: Duration = Duration::from_hours(2);

/// Most of a build's output that is told when it fails, in characters.
const TOLD: usize = 600;

/// Builds an image. Dropped in the middle, the build ends; its finished steps are kept.
pub(super) async fn build(
    engine: &Engine,
    installation: &InstallationId,
    build: &Build,
    images: &Images,
) -> Result<(), DriverError> {
    let since = Instant::now();
    let image = spec::built(installation, build);
    info!(image, "building an image");
    let _told = images.tell(&image, format!("building the image {image}"));
    let archive = pack(&image, build).await?;
    let labels = [(spec::INSTALLATION, installation.as_str())];
    let mut options = BuildImageOptionsBuilder::new()
        .dockerfile(DOCKERFILE)
        .t(&image)
        .rm(true)
        .forcerm(true)
        .labels(&HashMap::from(labels));
    if !build.arguments.is_empty() {
        options = options.buildargs(&build.arguments.clone().into_iter().collect());
    }
    if let Some(target) = &build.target {
        options = options.target(target);
    }
    let body = bollard::body_try_stream(ReaderStream::new(tokio::fs::File::from_std(archive)));
    let client = engine.client().await?;
    let mut steps = client.build_image(options.build(), None, Some(body));
    let mut said = String::new();
    let failed = |said: &str, detail: &str| DriverError::BuildFailed {
        detail: tail(&format!("{said}{detail}")),
    };
    loop {
        if since.elapsed() > TIME {
            let hours = TIME.as_secs() / 3600;
            return Err(failed(
                &said,
                &format!("it takes longer than {hours} hours"),
            ));
        }
        let step = timeout(PATIENCE, steps.next()).await;
        let step = step.map_err(|_| {
            let minutes = PATIENCE.as_secs() / 60;
            failed(&said, &format!("no output for {minutes} minutes"))
        })?;
        let step = match step {
            None => break,
            Some(Ok(step)) => step,
            Some(Err(error)) => {
                return Err(match engine.failed("build the image", error) {
                    DriverError::Engine { detail, .. } => failed(&said, &detail),
                    error => error,
                });
            }
        };
        if let Some(error) = step.error_detail.and_then(|detail| detail.message) {
            return Err(failed(&said, &error));
        }
        let Some(words) = step.stream.or(step.status) else {
            continue;
        };
        debug!(image, output = words.trim_end(), "building");
        // "Step 3/7 : RUN …"
        if let Some((number, _)) = words.strip_prefix("Step ").and_then(|s| s.split_once(" :")) {
            images.update(
                &image,
                format!("building the image {image} (step {number})"),
            );
        }
        said.push_str(&words);
        if said.len() > 2 * TOLD {
            said = tail(&said);
        }
    }
    info!(image, elapsed = ?since.elapsed(), "built an image");
    Ok(())
}

/// Packs what goes into a build, as long as it is what was meant.
async fn pack(image: &str, build: &Build) -> Result<std::fs::File, DriverError> {
    let build = build.clone();
    let image = image.to_owned();
    blocking(move || {
        let sources = Sources {
            dockerfile: &build.dockerfile,
            context: build.context.as_deref(),
            folders: &build.folders,
            arguments: &build.arguments,
            target: build.target.as_deref(),
        };
        let packed = sources.digest().and_then(|digest| {
            if digest == build.digest {
                return sources.pack().map(Some);
            }
            Ok(None)
        });
        match packed {
            Ok(Some(archive)) => Ok(archive),
            Ok(None) => Err(DriverError::ImageMissing {
                image,
                detail: "the files that it was built from have changed since: rebuild the \
                         workspace"
                    .to_owned(),
            }),
            Err(error) => Err(DriverError::BuildFailed {
                detail: error.to_string(),
            }),
        }
    })
    .await
}

/// Returns the end of a text, in one line.
fn tail(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    let skipped = line.chars().count().saturating_sub(TOLD);
    line.chars().skip(skipped).collect()
}
