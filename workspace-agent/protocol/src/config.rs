//! What an agent is told when it starts: the file `agent.toml`.
//!
//! The gateway writes it and the agent reads it. Unknown fields are ignored, so
//! that an agent one version older than its gateway keeps working.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
        /// Its path, in [`AgentConfig::runtime`].
        path: PathBuf,
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
