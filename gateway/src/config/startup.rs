//! What is done in each workspace when it starts.

use serde::{Deserialize, Serialize};

use super::Period;
use crate::secrets::SecretName;

/// Name of the only step.
const STEP: &str = "script";

/// What is done in each workspace when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StartupConfig {
    /// Command line for the log-in shell, in the home. Absent: nothing runs.
    pub script: Option<String>,
    /// How long it may take; 0 is for ever. Default: 10 min.
    pub timeout: Period,
    /// Whether a workspace is starting until it is over. Default: no.
    pub wait: bool,
    /// Names of the secrets that workspaces get as variables, where their owner or the
    /// installation has them. Default: none.
    pub secrets: Vec<SecretName>,
}

impl Default for StartupConfig {
    fn default() -> Self {
        Self {
            script: None,
            timeout: Period::seconds(10 * 60),
            wait: false,
            secrets: Vec::new(),
        }
    }
}

impl StartupConfig {
    /// Returns what agents are told of it.
    pub(crate) fn for_agents(&self) -> devgate_protocol::config::Startup {
        use devgate_protocol::config::{Command, OnFailure, Runs, Startup, Step};
        let step = self.script.clone().map(|script| Step {
            name: STEP.to_owned(),
            command: Command::Shell(script),
            directory: None,
            environment: std::collections::BTreeMap::new(),
            timeout: self.timeout.get(),
            runs: Runs::Always,
            on_failure: OnFailure::Stop,
            wait: self.wait,
        });
        Startup {
            steps: step.into_iter().collect(),
            secrets: self.secrets.iter().map(SecretName::to_string).collect(),
            ..Startup::default()
        }
    }
}
