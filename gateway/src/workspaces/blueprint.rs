//! What a workspace is made of, where that isn't the installation's own settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::ending::as_recorded;
use super::repository::{Devcontainer, DevcontainerChoice, LifecycleCommand, OwnMount, Repository};
use crate::config::{BindMount, Cpus, ExtraHost, Gpus, Period, Size};
use crate::names::{SnapshotId, TemplateName};
use crate::secrets::SecretName;
use crate::store::Visibility;

/// What a workspace is made of. It is decided when the workspace is made or rebuilt and
/// kept with its record, so that a template that changes or goes away changes nothing
/// until somebody rebuilds. Absent values are the configuration's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Blueprint {
    /// The template that it was made from.
    pub template: Option<TemplateUse>,
    /// What was chosen beside it, for the next rebuild.
    pub choices: Choices,
    /// How often it was rebuilt. Each time everything but the home is made anew.
    pub rebuilds: u32,
    /// Where the image comes from.
    pub image: Option<Image>,
    /// Labels of the Docker hosts that it may be on.
    pub host_labels: Vec<String>,
    /// The snapshot that its home was last taken from, where it was.
    pub home: Option<HomeOf>,
    /// The user that everything runs as, `USER[:GROUP]`.
    pub user: Option<String>,
    /// Login shell.
    pub shell: Option<PathBuf>,
    /// Processors that it may use.
    pub cpus: Option<Cpus>,
    /// Memory that it may use.
    pub memory: Option<Size>,
    /// Most processes and threads.
    pub pids: Option<u32>,
    /// Size of the `/tmp`, which is in memory.
    pub tmp_size: Option<Size>,
    /// GPUs that it gets.
    pub gpus: Option<Gpus>,
    /// What is mounted beside what all workspaces have.
    pub mounts: Vec<BindMount>,
    /// Further lines for `/etc/hosts` beside those of all workspaces.
    pub extra_hosts: Vec<ExtraHost>,
    /// Environment of everything that runs in it; wins over that of all workspaces.
    pub environment: BTreeMap<String, String>,
    /// Extensions of the editor beside those of all workspaces.
    pub extensions: Vec<String>,
    /// Ports that applications listen on.
    pub ports: Vec<PortRule>,
    /// The repository that is worked on.
    pub repository: Option<Repository>,
    /// What was taken from it, once it was looked at.
    pub devcontainer: Option<Devcontainer>,
    /// Further environment, in which `${containerEnv:NAME}` stands for what the container's
    /// own has; wins over the rest.
    pub remote_environment: BTreeMap<String, String>,
    /// What is mounted that is this workspace's alone.
    pub own_mounts: Vec<OwnMount>,
    /// What runs when it starts, in order.
    pub lifecycle: Vec<LifecycleCommand>,
    /// The script that runs when it starts, in place of that of all workspaces.
    pub startup: Option<StartupScript>,
    /// How it is found out that it can be used.
    pub readiness: Option<ReadinessRule>,
    /// Secrets that programs find as variables, beside those of all workspaces.
    pub secrets: Vec<SecretName>,
    /// When it goes to sleep, in place of what the configuration says.
    pub sleep: Option<SleepRule>,
    /// How long it lives, unless that is extended; absent: until somebody deletes it.
    pub time_to_live: Option<Period>,
    /// Settings of the editor.
    pub editor_settings: Map<String, Value>,
}

/// A script that runs when a workspace starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StartupScript {
    /// Its text, for the log-in shell.
    pub script: String,
    /// How long it may take; 0 is for ever. Default: 10 min.
    #[serde(default = "ten_minutes")]
    pub timeout: Period,
    /// Whether the workspace is starting until it is over. Default: no.
    #[serde(default)]
    pub wait: bool,
}

const fn ten_minutes() -> Period {
    Period::seconds(10 * 60)
}

/// How it is found out that a workspace can be used: of what is given, all has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReadinessRule {
    /// A command line that succeeds then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A TCP port of the workspace that takes connections then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How long that may take; 0 is for ever. Default: 10 min.
    #[serde(default = "ten_minutes")]
    pub timeout: Period,
}

/// When a workspace goes to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SleepRule {
    /// After how long in which nothing goes on; 0 is never.
    pub after: Period,
    /// How long before people are warned. Absent: as the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Period>,
}

impl Blueprint {
    /// Returns the editor's settings as JSON, where there are any.
    pub fn settings_of_editor(&self) -> Option<String> {
        let settings = &self.editor_settings;
        (!settings.is_empty()).then(|| Value::Object(settings.clone()).to_string())
    }

    /// Returns when the life of a workspace ends that is made of this and begins then.
    pub fn end_of_life(&self, from: OffsetDateTime) -> Option<OffsetDateTime> {
        let length = time::Duration::try_from(self.time_to_live?.get()).ok()?;
        from.checked_add(length).map(as_recorded)
    }

    /// Returns the repository that is still to be looked at, if there is one.
    pub fn unread(&self) -> Option<&Repository> {
        let repository = self.repository.as_ref()?;
        let is_wanted = repository.devcontainer != DevcontainerChoice::Off;
        (is_wanted && self.devcontainer.is_none()).then_some(repository)
    }

    /// Returns the secrets that a workspace of this needs, beside those of all.
    pub fn needed_secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.secrets.iter().chain(self.token())
    }

    /// Returns the secret that only git needs, where programs don't need it as well.
    pub fn token(&self) -> Option<&SecretName> {
        self.repository.as_ref()?.token.as_ref()
    }

    /// Returns what isn't done of what the repository says.
    pub fn notices(&self) -> &[String] {
        let read = self.devcontainer.as_ref();
        read.map_or(&[], |read| read.notices.as_slice())
    }
}

/// A port that an application listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PortRule {
    /// The port.
    pub port: u16,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Who may open it.
    #[serde(default)]
    pub visibility: Visibility,
}

/// A template at one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TemplateUse {
    /// Its name.
    pub name: TemplateName,
    /// Its version: a digest of what it says.
    pub version: String,
}

/// What somebody chooses for a workspace of theirs, within what its template allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Choices {
    /// Processors.
    pub cpus: Option<Cpus>,
    /// Memory.
    pub memory: Option<Size>,
}

/// Where a workspace's image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Image {
    /// One of this name, pulled where it is missing.
    Named(String),
    /// One that is built where it is missing.
    Built(Build),
    /// A snapshot's, which can't be had elsewhere.
    Snapshot(SnapshotId),
}

/// Where a home comes from. It is put in place once: what is written to it later stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HomeOf {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Tells this restoring from others, also of the same snapshot.
    pub restoring: SnapshotId,
    /// What the workspace was made of until then; kept until this home is in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Blueprint>>,
}

impl Blueprint {
    /// Returns what a workspace is made of that is restored from a snapshot which was taken
    /// of one that is made of this.
    #[must_use]
    pub fn restored(&self, snapshot: &SnapshotId) -> Self {
        let mut blueprint = self.clone();
        blueprint.image = Some(Image::Snapshot(snapshot.clone()));
        blueprint.home = Some(HomeOf {
            snapshot: snapshot.clone(),
            restoring: SnapshotId::random(),
            before: None,
        });
        blueprint
    }

    /// Returns this for a workspace that was made of `before`, which it may go back to while
    /// the home isn't in its place that this one says.
    #[must_use]
    pub(super) fn after(&self, before: &Self) -> Self {
        let mut blueprint = self.clone();
        if let Some(home) = &mut blueprint.home {
            home.before = match &before.home {
                Some(same) if same.restoring == home.restoring => same.before.clone(),
                Some(_) | None => Some(Box::new(before.clone())),
            };
        }
        blueprint
    }

    /// Returns what the workspace was made of before this, while it may go back to that.
    pub(super) fn before(&self) -> Option<&Self> {
        self.home.as_ref()?.before.as_deref()
    }

    /// Returns this and all that the workspace may go back to, the latest first.
    pub(super) fn with_before(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.all_before())
    }

    /// Returns all that the workspace may go back to, the latest first.
    pub(super) fn all_before(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(self.before(), |blueprint| blueprint.before())
    }

    /// Returns the id of the restoring that its home is of; empty where it is of none.
    pub fn restoring(&self) -> &str {
        self.home
            .as_ref()
            .map_or("", |home| home.restoring.as_str())
    }

    /// Returns this without anything to go back to.
    #[must_use]
    pub(super) fn without_before(&self) -> Self {
        let mut blueprint = self.clone();
        if let Some(home) = &mut blueprint.home {
            home.before = None;
        }
        blueprint
    }

    /// Returns the snapshots that a workspace of this needs, or may need again.
    pub fn all_snapshots(&self) -> impl Iterator<Item = &SnapshotId> {
        self.with_before().flat_map(Self::snapshots)
    }

    /// Returns the snapshots that a workspace needs that is made of this.
    pub fn snapshots(&self) -> impl Iterator<Item = &SnapshotId> {
        let image = match &self.image {
            Some(Image::Snapshot(id)) => Some(id),
            Some(Image::Named(_) | Image::Built(_)) | None => None,
        };
        let home = self.home.as_ref().map(|home| &home.snapshot);
        image.into_iter().chain(home)
    }
}

/// How an image is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Build {
    /// Digest of all that goes into it.
    pub digest: String,
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// Folder whose files it may copy.
    #[serde(default)]
    pub context: Option<PathBuf>,
    /// Further folders, by where they are beside those files.
    #[serde(default)]
    pub folders: BTreeMap<String, PathBuf>,
    /// Values of its `ARG`s.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// The stage that is wanted; the last one where absent.
    #[serde(default)]
    pub target: Option<String>,
}
