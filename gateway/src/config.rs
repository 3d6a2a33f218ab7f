//! What an installation can set, and where each value comes from.
//!
//! Later wins: the defaults, a TOML file, the environment, the flags of the
//! command line. `config.example.toml` documents every key for its reader and is
//! tested to be equal to [`Config::default`].

mod check;
mod docker;
mod http;
mod image_name;
mod limits;
mod load;
mod mounts;
mod named;
mod network;
mod sleep;
mod ssh;
mod startup;
mod units;

/// Rules for values that are written in other files than the configuration's, too.
pub(crate) mod rules {
    pub(crate) use super::check::{sleep_after, sleep_warn, startup_timeout, variable};
    pub(crate) use super::docker::{is_name, is_user};
    pub(crate) use super::image_name::{check_image, is_image};
    pub(crate) use super::mounts::is_mount_point;
}

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use docker::{
    Cpus, DEFAULT_SHELL, DockerConfig, DockerHostConfig, DockerValueError, EngineUrl, ExtraHost,
    Gpus,
};
pub use http::{Applications, ForwardedHeaders, HttpConfig, TlsMode};
pub use limits::{AllowanceConfig, LimitsConfig};
pub use load::{ConfigError, Flags, Loaded, load};
pub use mounts::BindMount;
pub(crate) use named::is_program;
pub use named::named;
pub use network::{InvalidNetwork, Network};
pub use sleep::SleepConfig;
pub use ssh::{OfferChacha20, SshConfig};
pub use startup::StartupConfig;
pub use units::{Listen, Period, Size, UnitError};

/// Configuration of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Folder of everything that the server keeps. Default:
    /// `$XDG_DATA_HOME/devgate`, else `~/.local/share/devgate`.
    pub data_dir: PathBuf,
    /// How long open connections may go on after SIGTERM. Default: 30 s.
    pub drain_timeout: Period,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The SSH listener.
    pub ssh: SshConfig,
    /// The HTTPS listener.
    pub http: HttpConfig,
    /// How guessing is stopped.
    pub lockout: LockoutConfig,
    /// How workspaces start and stop.
    pub workspaces: WorkspacesConfig,
    /// What people may have.
    pub limits: LimitsConfig,
    /// When workspaces go to sleep.
    pub sleep: SleepConfig,
    /// Workspaces as processes on this host.
    pub process: ProcessConfig,
    /// Workspaces as containers on this host.
    pub docker: DockerConfig,
    /// The editor in the browser.
    pub editor: EditorConfig,
    /// Terminals in the browser.
    pub terminals: TerminalsConfig,
    /// What is done in each workspace when it starts.
    pub startup: StartupConfig,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// Directives of `tracing-subscriber`, such as `info,devgate::ssh=debug`.
    /// Default: `info`.
    pub filter: String,
    /// Form of a line. Default: text.
    pub format: LogFormat,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// How guessing is stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockoutConfig {
    /// Failed log-ins of one address, or for one user, that lock it out.
    /// Default: 20.
    pub failures: u32,
    /// Time in which they are counted. Default: 10 min.
    pub period: Period,
    /// How long the lock-out lasts. Default: 15 min.
    pub duration: Period,
}

/// How workspaces start and stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkspacesConfig {
    /// What workspaces are. Default: process.
    pub driver: DriverName,
    /// Folder of the templates, files named `NAME.toml`. Absent: `templates` in the data
    /// folder.
    pub templates: Option<PathBuf>,
    /// Time in which a started agent has to report. Default: 30 s.
    pub start_timeout: Period,
    /// Time that a stopped workspace's programs have to end by themselves.
    /// Default: 10 s.
    pub stop_grace: Period,
    /// How long a deleted workspace's home is kept, so that it can be restored; 0 is not
    /// at all. Default: 7 d.
    pub delete_grace: Period,
}

/// What workspaces are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverName {
    /// Processes of the gateway's user.
    Process,
    /// Containers of a Docker Engine.
    Docker,
}

/// Workspaces as processes on this host. They are not isolated from each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProcessConfig {
    /// The binary `devgate-agent`, for the other drivers too. Absent: the one beside `devgate`, else the
    /// first in `PATH`.
    pub agent: Option<PathBuf>,
    /// How the gateway reaches the agents. Default: unix.
    pub reach: ReachBy,
    /// Login shell of the workspaces. Absent: that of the account that devgate
    /// runs as.
    pub shell: Option<PathBuf>,
    /// Environment of everything that runs in the workspaces; what a client sends wins.
    /// Default: empty.
    pub environment: BTreeMap<String, String>,
}

/// The editor in the browser: code-server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EditorConfig {
    /// The program, a path or a name in the workspace's `PATH`. Absent:
    /// `code-server`.
    pub program: Option<PathBuf>,
    /// Extensions that a workspace's editor installs when it first starts: ids of its
    /// marketplace, or paths of `.vsix` files in the workspace. Default: none.
    pub extensions: Vec<String>,
    /// How long it runs on without a connection; 0 is for ever. Default: 1 h.
    pub idle_timeout: Period,
    /// How long a start may take. Default: 1 min.
    pub start_timeout: Period,
}

/// Terminals in the browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TerminalsConfig {
    /// How long one lives after its last tab closed. Default: 7 d.
    pub keep: Period,
    /// Lines that are kept of what scrolled out of the screen. Default: 1000.
    pub scrollback: u32,
}

/// How the gateway reaches an agent on its own host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReachBy {
    /// By the agent's Unix socket.
    Unix,
    /// The agent dials the HTTPS listener, as it would from another host.
    Dial,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: crate::person::data_folder(),
            drain_timeout: Period::seconds(30),
            log: LogConfig::default(),
            ssh: SshConfig::default(),
            http: HttpConfig::default(),
            lockout: LockoutConfig::default(),
            workspaces: WorkspacesConfig::default(),
            limits: LimitsConfig::default(),
            sleep: SleepConfig::default(),
            process: ProcessConfig::default(),
            docker: DockerConfig::default(),
            editor: EditorConfig::default(),
            terminals: TerminalsConfig::default(),
            startup: StartupConfig::default(),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl Default for LockoutConfig {
    fn default() -> Self {
        Self {
            failures: 20,
            period: Period::seconds(10 * 60),
            duration: Period::seconds(15 * 60),
        }
    }
}

impl Default for WorkspacesConfig {
    fn default() -> Self {
        Self {
            driver: DriverName::Process,
            templates: None,
            start_timeout: Period::seconds(30),
            stop_grace: Period::seconds(10),
            delete_grace: Period::seconds(7 * 24 * 3600),
        }
    }
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            agent: None,
            reach: ReachBy::Unix,
            shell: None,
            environment: BTreeMap::new(),
        }
    }
}

impl Default for EditorConfig {
    fn default() -> Self {
        Self {
            program: None,
            extensions: Vec::new(),
            idle_timeout: Period::seconds(3600),
            start_timeout: Period::seconds(60),
        }
    }
}

impl Default for TerminalsConfig {
    fn default() -> Self {
        Self {
            keep: Period::seconds(7 * 24 * 3600),
            scrollback: 1000,
        }
    }
}

impl Config {
    /// Returns the path of the administration socket.
    pub fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.data_dir)
    }

    /// Returns the configuration as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

/// Returns the path of the administration socket of a data folder.
pub fn admin_socket(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");

    #[test]
    fn the_example_is_equal_to_the_defaults() {
        // Keys whose default depends on the machine stand in it as comments.
        let example: toml::Table = EXAMPLE.parse().unwrap();
        let mut defaults = toml::Table::try_from(Config::default()).unwrap();
        defaults.remove("data-dir");
        assert_eq!(example, defaults);
    }

    #[test]
    fn the_example_names_every_key_that_there_is() {
        for key in load::keys() {
            let last = key.rsplit('.').next().unwrap();
            let named = EXAMPLE.lines().any(|line| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{last} = "))
                    || line == format!("[{key}]")
            });
            assert!(named, "config.example.toml doesn't document {key}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let printed = Config::default().to_toml().unwrap();
        assert_eq!(
            toml::from_str::<Config>(&printed).unwrap(),
            Config::default()
        );
    }
}
