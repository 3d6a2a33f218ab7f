//! Installs the configured extensions, beside the editor's first start.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;
use tracing::{info, warn};

use super::log;
use super::process::Settings;
use crate::agent::Agent;
use crate::process::Exit;

/// How long one may take.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Whether they were taken care of since the agent started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extensions {
    /// They weren't.
    Due,
    /// They were, or are being.
    Done,
}

/// Installs all, one after the other. What fails is written to the logs.
pub(super) async fn install(agent: Weak<Agent>, settings: Arc<Settings>) {
    for extension in &settings.config.extensions {
        let Some(agent) = agent.upgrade() else { return };
        let started = settings.install(&agent, extension).await;
        drop(agent);
        let failure = match started {
            Err(error) => Some(format!("it can't be run: {error}")),
            Ok((child, mut end)) => match timeout(TIMEOUT, end.wait()).await {
                Ok(Exit::Status(0)) => None,
                Ok(Exit::Status(status)) => Some(format!("it ended with status {status}")),
                Ok(Exit::Signal { signal, .. }) => Some(format!("signal {signal} ended it")),
                Err(_) => {
                    child.signal_group(Signal::KILL);
                    Some(format!("it took longer than {} s", TIMEOUT.as_secs()))
                }
            },
        };
        match failure {
            None => info!(extension, "extension installed"),
            Some(why) => {
                let note = format!("the extension {extension} wasn't installed: {why}");
                log::note(settings.log(), &note);
                warn!(extension, why, "an extension wasn't installed");
            }
        }
    }
}
