//! What an agent is told when it starts: the file `agent.toml`.
//!
//! The gateway writes it and the agent reads it. Unknown fields are ignored, so
//! that an agent one version older than its gateway keeps working.

mod startup;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mark::Mark;
pub use startup::{
    Command, Credentials, OnFailure, Readiness, Repository, Runs, Single, Startup, Step,
    token_server, token_user,
};

/// Scrollback that a terminal keeps where nothing else is configured, in lines.
const SCROLLBACK: usize = 1000;

/// One agent's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AgentConfig {
    /// Id of the workspace that it serves.
    pub workspace: String,
    /// Home directory of the workspace's user; made where it is missing.
    pub home: PathBuf,
    /// Folder of mode 0700 for what lives only while the agent runs: its socket,
    /// forwarded authentication agents.
    pub runtime: PathBuf,
    /// Login shell; the user's own where absent, else `/bin/sh`.
    #[serde(default)]
    pub shell: Option<PathBuf>,
    /// How the gateway reaches the agent.
    pub reach: Reach,
    /// Environment of everything that runs in the workspace.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The editor in the browser.
    #[serde(default)]
    pub editor: EditorConfig,
    /// Terminals that live on without a client.
    #[serde(default)]
    pub terminals: TerminalsConfig,
    /// What is done when the agent starts.
    #[serde(default)]
    pub startup: Startup,
}

impl AgentConfig {
    /// Returns what marks the workspace's processes.
    pub fn mark(&self) -> Mark {
        Mark::new(&self.workspace, &self.runtime)
    }
}

/// The editor in the browser: code-server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct EditorConfig {
    /// The program, a path or a name on `PATH`; `code-server` where absent.
    pub program: Option<PathBuf>,
    /// Extensions that are installed when it first starts: ids of its marketplace
    /// or paths of `.vsix` files.
    pub extensions: Vec<String>,
    /// Folder of its settings and state; code-server's usual one in the home
    /// directory where absent.
    pub data_folder: Option<PathBuf>,
    /// Folder of its extensions; `extensions` in the data folder where absent.
    pub extensions_folder: Option<PathBuf>,
    /// Settings of its machine that are added where they are missing: a JSON object.
    pub settings: Option<String>,
    /// How long it runs on without a connection, in seconds; 0 is for ever. One
    /// hour where absent.
    #[serde(with = "seconds")]
    pub idle_timeout: Duration,
    /// How long a start may take, in seconds. One minute where absent.
    #[serde(with = "seconds")]
    pub start_timeout: Duration,
}

impl Default for EditorConfig {
    fn default() -> Self {
        Self {
            program: None,
            extensions: Vec::new(),
            data_folder: None,
            extensions_folder: None,
            settings: None,
            idle_timeout: Duration::from_hours(1),
            start_timeout: Duration::from_mins(1),
        }
    }
}

/// Terminals that live on without a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct TerminalsConfig {
    /// How long one lives after its last client left, in seconds. Seven days where
    /// absent.
    #[serde(with = "seconds")]
    pub keep: Duration,
    /// Lines that scrolled out of the screen and are kept; 1000 where absent.
    pub scrollback: usize,
}

impl Default for TerminalsConfig {
    fn default() -> Self {
        Self {
            keep: Duration::from_hours(7 * 24),
            scrollback: SCROLLBACK,
        }
    }
}

/// Lengths of time as seconds, fractions allowed.
mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if time.subsec_nanos() == 0 {
            time.as_secs().serialize(serializer)
        } else {
            time.as_secs_f64().serialize(serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}

/// How a gateway reaches an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "by",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Reach {
    /// The gateway connects to a Unix socket.
    Socket {
        /// Its path: in [`AgentConfig::runtime`], or in a folder that the workspace
        /// shares with the gateway.
        path: PathBuf,
        /// The gateway's user id where it isn't the agent's own. The folder is then what
        /// keeps others away, and the socket takes whoever gets there.
        #[serde(default)]
        gateway: Option<u32>,
    },
    /// The agent dials the gateway.
    Dial {
        /// The gateway's HTTPS addresses, `host:port`, tried in turn.
        gateways: Vec<String>,
        /// PEM file with the gateway's CA.
        ca: PathBuf,
        /// PEM file with the agent's certificate chain; replaced on renewal.
        certificate: PathBuf,
        /// PEM file with the agent's private key; replaced on renewal.
        key: PathBuf,
        /// How data connections are carried.
        #[serde(default)]
        data: DataTransport,
    },
}

/// How data connections of an agent that dials are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataTransport {
    /// Raw after an HTTP upgrade; WebSocket once a proxy has refused that.
    #[default]
    Auto,
    /// WebSocket messages, for proxies that let nothing else through.
    Websocket,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_gateway_does_not_say_has_its_usual_value() {
        let editor: EditorConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(editor, EditorConfig::default());
        let terminals: TerminalsConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(terminals, TerminalsConfig::default());
    }

    #[test]
    fn times_are_seconds_with_or_without_a_fraction() {
        let read = |text: &str| serde_json::from_str::<TerminalsConfig>(text).unwrap().keep;
        assert_eq!(read(r#"{"keep": 90}"#), Duration::from_secs(90));
        assert_eq!(read(r#"{"keep": 0.5}"#), Duration::from_millis(500));
        for keep in [Duration::from_secs(90), Duration::from_millis(500)] {
            let written = TerminalsConfig {
                keep,
                ..TerminalsConfig::default()
            };
            let text = serde_json::to_string(&written).unwrap();
            assert_eq!(read(&text), keep, "{text}");
        }
        assert!(serde_json::from_str::<TerminalsConfig>(r#"{"keep": -1}"#).is_err());
    }
}
