//! What a template says: the form of its file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{BindMount, Cpus, ExtraHost, Gpus, Period, Size};
use crate::secrets::SecretName;
use crate::workspaces::{PortRule, ReadinessRule, Repository, SleepRule, StartupScript};

/// A template's file. What it doesn't say is as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Template {
    /// What it is for, in a line.
    pub description: String,
    /// The image, which is pulled where the engine doesn't have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How the image is built, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildRecipe>,
    /// Labels that a Docker host must have.
    pub host_labels: Vec<String>,
    /// The user that everything runs as, `USER[:GROUP]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Login shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<PathBuf>,
    /// What a workspace may use.
    pub resources: Resources,
    /// Environment of everything that runs.
    pub environment: BTreeMap<String, String>,
    /// What else is mounted.
    pub mounts: Vec<BindMount>,
    /// Further lines for `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Ports that applications listen on.
    pub ports: Vec<PortRule>,
    /// The repository that is worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// The script that runs when a workspace starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<StartupScript>,
    /// How it is found out that a workspace can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<ReadinessRule>,
    /// Secrets that programs find as variables.
    pub secrets: Vec<SecretName>,
    /// When a workspace goes to sleep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sleep: Option<SleepRule>,
    /// How long a workspace lives, unless that is extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<Period>,
    /// Workspaces that are kept ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// Extensions of the editor, in groups that have a name.
    pub extensions: BTreeMap<String, Vec<String>>,
}

/// Workspaces that are kept ready for whoever makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pool {
    /// How many.
    pub ready: u32,
}

/// How a template's image is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuildRecipe {
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// Folder whose files it may copy, relative to the templates' folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<PathBuf>,
    /// Values of its `ARG`s.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// The stage that is wanted; the last one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// What a workspace may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Resources {
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Memory, `/tmp` included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Size of the `/tmp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmp_size: Option<Size>,
    /// GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Gpus>,
    /// Most processors that a user may choose; none may be chosen where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cpus: Option<Cpus>,
    /// Most memory that a user may choose; none may be chosen where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<Size>,
}

impl Template {
    /// Returns how many workspaces are kept ready.
    pub fn ready(&self) -> u32 {
        self.pool.map_or(0, |pool| pool.ready)
    }

    /// Names the first thing in it that only containers have.
    pub fn needs_containers(&self) -> Option<&'static str> {
        let resources = &self.resources;
        let only = Resources::default();
        [
            (self.image.is_some(), "image"),
            (self.build.is_some(), "build"),
            (!self.host_labels.is_empty(), "host-labels"),
            (self.user.is_some(), "user"),
            (*resources != only, "resources"),
            (!self.mounts.is_empty(), "mounts"),
            (!self.extra_hosts.is_empty(), "extra-hosts"),
        ]
        .into_iter()
        .find_map(|(is_said, key)| is_said.then_some(key))
    }
}
