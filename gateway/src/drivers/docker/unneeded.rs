//! What an engine keeps that nothing needs any more.
//!
//! An engine goes on with what a gateway asked it for when that is gone: what it makes then
//! comes after the next gateway has looked for what is half made, and belongs to nobody.

use std::collections::HashMap;

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};
use time::OffsetDateTime;

use super::containers::PATIENCE;
use super::{DockerDriver, spec};
use crate::drivers::DriverError;

/// How old an image without a name is that nobody makes any more, whatever goes on, in
/// seconds.
const ABANDONED: i64 = 3600;

impl DockerDriver {
    /// Removes the installation's images that were built and that nothing needs, and what
    /// was begun and is made by nobody any more. Returns what it removed.
    pub(super) async fn remove_unneeded(
        &self,
        needed: &[String],
    ) -> Result<Vec<String>, DriverError> {
        let calm = self.containers.doings.calm();
        let label = self.label();
        let images = self.images("label", &label).await?;
        let helpers = self.helpers().await?;
        let is_calm = calm.is_some() && calm == self.containers.doings.calm();
        let mut removed = Vec::new();
        for image in &images {
            for name in self.unneeded_names(image, needed, is_calm) {
                if self.containers.remove_image(name).await? {
                    removed.push(name.to_owned());
                }
            }
        }
        if is_calm {
            for helper in helpers {
                self.containers.remove_helper(&helper, PATIENCE).await?;
                removed.push(helper);
            }
        }
        Ok(removed)
    }

    /// Returns those of an image's names that nothing needs, or its id where it has none.
    fn unneeded_names<'a>(
        &self,
        image: &'a ImageSummary,
        needed: &[String],
        is_calm: bool,
    ) -> Vec<&'a str> {
        let installation = self.containers.installation();
        let built = format!("devgate-{installation}:");
        let snapshots = format!("{}:", spec::snapshots(installation));
        let names = image.repo_tags.iter().map(String::as_str);
        let names: Vec<_> = names.filter(|name| *name != "<none>:<none>").collect();
        if names.is_empty() {
            let age = OffsetDateTime::now_utc().unix_timestamp() - image.created;
            let is_abandoned = is_calm || age > ABANDONED;
            return is_abandoned
                .then_some(image.id.as_str())
                .into_iter()
                .collect();
        }
        let is_unneeded = |name: &&str| {
            if let Some(digest) = name.strip_prefix(&built) {
                return !needed.iter().any(|needed| needed == digest);
            }
            // A snapshot's own image has the snapshot's id alone.
            let half = name
                .strip_prefix(&snapshots)
                .is_some_and(|tag| tag.contains('-'));
            half && is_calm
        };
        names.into_iter().filter(is_unneeded).collect()
    }

    /// Returns the names of the containers that never run.
    pub(super) async fn helpers(&self) -> Result<Vec<String>, DriverError> {
        let engine = self.containers.engine();
        let label = self.label();
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let found = engine.client().await?.list_containers(Some(options)).await;
        let found = found.map_err(|error| engine.failed("list the containers", error))?;
        let prefix = spec::helpers(self.containers.installation());
        let names = found
            .into_iter()
            .flat_map(|one| one.names.unwrap_or_default());
        let names = names.filter_map(|name| name.strip_prefix('/').map(str::to_owned));
        Ok(names.filter(|name| name.starts_with(&prefix)).collect())
    }

    /// Returns the images that a filter of the engine's finds.
    pub(super) async fn images(
        &self,
        filter: &str,
        value: &str,
    ) -> Result<Vec<ImageSummary>, DriverError> {
        let engine = self.containers.engine();
        let filters = HashMap::from([(filter, vec![value])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let found = engine.client().await?.list_images(Some(options)).await;
        found.map_err(|error| engine.failed("list the images", error))
    }

    /// Returns the label of what is this installation's.
    fn label(&self) -> String {
        let installation = self.containers.installation();
        format!("{}={installation}", spec::INSTALLATION)
    }
}
