//! Copying snapshots to registries and from them.

use std::collections::HashMap;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, PushImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures_util::Stream;
use tracing::debug;

use super::image::{self, Layers, PATIENCE};
use super::snapshots::{helper_body, labels};
use super::{DockerDriver, kept_home, spec};
use crate::drivers::{Credentials, DriverError, Label, Taken};
use crate::names::SnapshotId;

/// Longest text that is taken from an image's label, in characters.
const MAX_TEXT: usize = 500;

impl DockerDriver {
    pub(super) async fn push_one(
        &self,
        id: &SnapshotId,
        image: &str,
        credentials: Option<&Credentials>,
    ) -> Result<(), DriverError> {
        let containers = &self.containers;
        let engine = containers.engine();
        let text = format!("pushing to {image}");
        let doing = containers.doings.begin(id.as_str(), &text);
        let own = spec::snapshot(containers.installation(), id);
        containers.check_snapshot(&own).await?;
        let (repository, tag) = split(image);
        let client = engine.patient_client().await?;
        let options = TagImageOptionsBuilder::new()
            .repo(repository)
            .tag(tag)
            .build();
        let tagged = client.tag_image(&own, Some(options)).await;
        tagged.map_err(|error| engine.failed("name an image", error))?;
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let steps = client.push_image(repository, Some(options), shown(image, credentials));
        self.follow(steps, ("push to", image), |step| {
            let progress = step.progress_detail.as_ref();
            let bytes = progress.and_then(|progress| progress.current);
            if let (Some(status), Some(bytes)) = (&step.status, bytes) {
                doing.tell(format!(
                    "{text} ({}, {} MiB)",
                    status.to_lowercase(),
                    bytes >> 20
                ));
            }
        })
        .await
    }

    pub(super) async fn pull_one(
        &self,
        id: &SnapshotId,
        image: &str,
        credentials: Option<&Credentials>,
    ) -> Result<(Label, Taken), DriverError> {
        let containers = &self.containers;
        self.remove_one(id).await?;
        let text = format!("pulling {image}");
        let doing = containers.doings.begin(id.as_str(), &text);
        let (repository, tag) = split(image);
        let client = containers.engine().patient_client().await?;
        let options = CreateImageOptionsBuilder::new()
            .from_image(repository)
            .tag(tag)
            .build();
        let mut layers = Layers::default();
        let steps = client.create_image(Some(options), None, shown(image, credentials));
        self.follow(steps, ("pull", image), |step| {
            if let (Some(layer), Some(status)) = (&step.id, &step.status) {
                layers.note(layer, status);
                doing.tell(format!("{text}{layers}"));
            }
        })
        .await?;
        let said = image::labels(containers.engine(), image).await?;
        let label = label(&said);
        let kept = kept_home::said(&said).filter(|_| said.contains_key(spec::SNAPSHOT));
        let kept = kept.ok_or_else(|| DriverError::NoSnapshot {
            image: image.to_owned(),
        })?;
        doing.tell("writing the image".to_owned());
        // An image of this installation's own, whosever it was.
        let helper = spec::helper(containers.installation(), id.as_str());
        let body = helper_body(containers, image.to_owned());
        containers.make_helper(&helper, body).await?;
        let own = labels(id, &label, kept);
        let taken = self.finish(id, &helper, own, None, &doing).await?;
        Ok((label, taken))
    }

    /// Takes back a name that a snapshot's image has for a registry.
    pub(super) async fn forget_name(&self, image: &str) -> Result<(), DriverError> {
        let said = image::labels(self.containers.engine(), image).await?;
        if said.contains_key(spec::SNAPSHOT) {
            self.containers.remove_image(image).await?;
        }
        Ok(())
    }

    /// Follows what the engine says of a copy to its end.
    async fn follow<T: std::fmt::Debug>(
        &self,
        mut steps: impl Stream<Item = Result<T, Error>> + Unpin,
        (action, image): (&'static str, &str),
        mut note: impl FnMut(&T),
    ) -> Result<(), DriverError> {
        while let Some(step) = image::next(&mut steps, image, PATIENCE).await? {
            match step {
                Ok(step) => {
                    debug!(image, ?step, "copying");
                    note(&step);
                }
                Err(error) => {
                    return Err(match self.containers.engine().failed(action, error) {
                        DriverError::Engine { detail, .. } => DriverError::Registry {
                            action,
                            image: image.to_owned(),
                            detail,
                        },
                        error => error,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Returns what an image says of itself, as far as it fits.
fn label(said: &HashMap<String, String>) -> Label {
    let text = |label: &str| {
        let text = said.get(label).map(String::as_str).unwrap_or_default();
        let printable = text.chars().filter(|c| !c.is_control() || *c == '\n');
        printable.take(MAX_TEXT).collect::<String>()
    };
    let user = text(spec::SNAPSHOT_USER);
    Label {
        name: text(spec::SNAPSHOT_NAME),
        description: text(spec::SNAPSHOT_DESCRIPTION),
        user: crate::config::rules::is_user(&user).then_some(user),
    }
}

/// Returns what the registry of an image is shown.
fn shown(image: &str, credentials: Option<&Credentials>) -> Option<DockerCredentials> {
    let registry = image.split('/').next().unwrap_or_default();
    credentials.map(|credentials| DockerCredentials {
        username: Some(credentials.username.clone()),
        password: Some(credentials.password.clone()),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    })
}

/// Returns an image's repository and its tag.
fn split(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_port_is_no_tag() {
        for (image, expected) in [
            ("127.0.0.1:5000/api", ("127.0.0.1:5000/api", "latest")),
            ("127.0.0.1:5000/api:1", ("127.0.0.1:5000/api", "1")),
            ("ghcr.io/team/api:v2", ("ghcr.io/team/api", "v2")),
        ] {
            assert_eq!(split(image), expected, "{image}");
        }
    }

    #[test]
    fn what_an_image_says_is_cut_and_without_control_characters() {
        let said = HashMap::from([
            (
                spec::SNAPSHOT_DESCRIPTION.to_owned(),
                "a\u{1b}[2J".repeat(1000),
            ),
            (spec::SNAPSHOT_USER.to_owned(), "no user".to_owned()),
        ]);
        let label = label(&said);
        assert!(!label.description.contains('\u{1b}'));
        assert_eq!(label.description.chars().count(), MAX_TEXT);
        assert_eq!(label.user, None);
    }
}
