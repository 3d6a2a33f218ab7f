//! How containers are made: what the installation sets, and what a workspace is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use devgate_protocol::config::{EditorConfig, Startup, TerminalsConfig};

use super::engine::Endpoint;
use super::spec;
use crate::config::{BindMount, Cpus, Gpus, Size};
use crate::drivers::Issue;
use crate::names::InstallationId;
use crate::workspaces::{Blueprint, Build, Image, OwnMount};

/// Billionths of a processor in a thousandth.
const NANOS: i64 = 1_000_000;

/// How agents in containers are reached.
#[derive(Clone)]
pub enum DockerReach {
    /// By their socket in a folder that both see; for an engine on this host.
    Folder,
    /// They dial in.
    Dial {
        /// The gateway's HTTPS addresses, `host:port`, as containers reach them.
        gateways: Vec<String>,
        /// Makes an agent's certificate; called at each start, may block.
        issue: Issue,
    },
}

impl fmt::Debug for DockerReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("Folder"),
            Self::Dial { gateways, .. } => f
                .debug_struct("Dial")
                .field("gateways", gateways)
                .finish_non_exhaustive(),
        }
    }
}

/// How the Docker driver runs agents.
#[derive(Clone, Debug)]
pub struct DockerOptions {
    /// Folder that holds one folder a workspace, and the installation's id.
    pub folder: PathBuf,
    /// Where the engine is.
    pub engine: Endpoint,
    /// How agents are reached.
    pub reach: DockerReach,
    /// The agent's program: shared by the containers of this host, and put into others.
    pub agent: PathBuf,
    /// The image.
    pub image: String,
    /// How it is built where it is missing; pulled where absent.
    pub build: Option<Build>,
    /// The user in it, `USER[:GROUP]`, names or numbers.
    pub user: String,
    /// Where the home is mounted: absolute.
    pub home: PathBuf,
    /// Login shell; the image's user's own where absent.
    pub shell: Option<PathBuf>,
    /// Processor time, in billionths of a processor; all where absent.
    pub nano_cpus: Option<i64>,
    /// Memory, in bytes; all where absent.
    pub memory: Option<u64>,
    /// Most processes and threads.
    pub pids: u32,
    /// Size of the `/tmp` in memory, in bytes.
    pub tmp_size: u64,
    /// What else is mounted.
    pub mounts: Vec<BindMount>,
    /// What is mounted that is the workspace's own.
    pub own_mounts: Vec<OwnMount>,
    /// Lines for `/etc/hosts`, `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Whether workspaces get the host's GPUs.
    pub gpus: bool,
    /// A network that is there already; one of the installation's own where absent.
    pub network: Option<String>,
    /// Environment of everything that runs in the workspaces.
    pub environment: BTreeMap<String, String>,
    /// Further environment, in which `${containerEnv:NAME}` stands for what the
    /// container's own has.
    pub remote_environment: BTreeMap<String, String>,
    /// The editor in the browser.
    pub editor: EditorConfig,
    /// Terminals in the browser.
    pub terminals: TerminalsConfig,
    /// What is done when an agent starts.
    pub startup: Startup,
}

impl DockerOptions {
    /// Tells whether something of it refers to the container's own environment.
    pub(super) fn needs_environment(&self, blueprint: &Blueprint) -> bool {
        !self.remote_environment.is_empty() || !blueprint.lifecycle.is_empty()
    }

    /// Returns the options of a workspace that is made of that.
    pub(super) fn of(&self, blueprint: &Blueprint, installation: &InstallationId) -> Self {
        let mut options = self.clone();
        match &blueprint.image {
            Some(Image::Named(name)) => options.image.clone_from(name),
            Some(Image::Built(build)) => {
                options.image = spec::built(installation, build);
                options.build = Some(build.clone());
            }
            Some(Image::Snapshot(id)) => options.image = spec::snapshot(installation, id),
            None => {}
        }
        if let Some(user) = &blueprint.user {
            options.user.clone_from(user);
        }
        if blueprint.shell.is_some() {
            options.shell.clone_from(&blueprint.shell);
        }
        options.nano_cpus = blueprint.cpus.map(nanos).or(options.nano_cpus);
        options.memory = blueprint.memory.map(Size::bytes).or(options.memory);
        options.pids = blueprint.pids.unwrap_or(options.pids);
        options.tmp_size = blueprint.tmp_size.map_or(options.tmp_size, Size::bytes);
        options.gpus = blueprint
            .gpus
            .map_or(options.gpus, |gpus| gpus == Gpus::All);
        options.mounts.extend_from_slice(&blueprint.mounts);
        options.own_mounts.clone_from(&blueprint.own_mounts);
        let hosts = blueprint.extra_hosts.iter().map(ToString::to_string);
        options.extra_hosts.extend(hosts);
        options.environment.extend(blueprint.environment.clone());
        let remote = &mut options.remote_environment;
        remote.extend(blueprint.remote_environment.clone());
        let extensions = &mut options.editor.extensions;
        extensions.extend_from_slice(&blueprint.extensions);
        options.editor.settings = blueprint.settings_of_editor();
        options
    }
}

/// Returns a number of processors in billionths of one.
pub(crate) fn nanos(cpus: Cpus) -> i64 {
    i64::from(cpus.thousandths()) * NANOS
}
