//! What is done in the workspace when its agent starts: a repository is cloned, steps
//! run one after the other, and it is found out when the workspace can be used.
//!
//! One task does it, once; everybody else reads the status and the log. Gateways come
//! and go meanwhile. A step that is to run once is marked when it has succeeded, so that
//! one that was cut short runs again.

mod auth;
mod clone;
mod command;
mod left;
mod log;
mod marks;
mod readiness;
mod run;

use std::sync::Arc;

use devgate_protocol::config::AgentConfig;
use devgate_protocol::startup::{State, Status, StepState, StepStatus};
use tokio::sync::watch;

use crate::agent::Agent;
use auth::AuthAgents;
pub(crate) use auth::Offer;
pub(crate) use log::Log;

/// Name of the step that clones the repository.
const CLONE: &str = "clone";

/// A workspace's start-up.
#[derive(Debug)]
pub(crate) struct Startup {
    status: watch::Sender<Status>,
    log: Log,
    auth_agents: AuthAgents,
}

impl Startup {
    pub(crate) fn new(config: &AgentConfig) -> Self {
        Self {
            status: watch::Sender::new(first(config)),
            log: Log::new(&config.home),
            auth_agents: AuthAgents::default(),
        }
    }

    /// Begins it, where there is anything to do.
    pub(crate) fn begin(agent: &Arc<Agent>) {
        if agent.config().startup.is_empty() {
            return;
        }
        let owned = Arc::clone(agent);
        agent.tasks().spawn(async move {
            let ending = owned.ending();
            // What was started is ended with everything else in the workspace.
            ending.run_until_cancelled(run::run(&owned)).await;
        });
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn follow(&self) -> watch::Receiver<Status> {
        let mut receiver = self.status.subscribe();
        // The first one is news to whoever comes.
        receiver.mark_changed();
        receiver
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Lets the repository's host be shown a forwarded authentication agent, until what
    /// is returned is dropped.
    pub(crate) fn offer(&self, socket: &std::path::Path) -> Offer {
        self.auth_agents.offer(socket)
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }
}

/// Returns the status before anything was done.
fn first(config: &AgentConfig) -> Status {
    let startup = &config.startup;
    if startup.is_empty() {
        return Status::none();
    }
    let clone = startup.repository.iter().map(|_| CLONE);
    let names = clone.chain(startup.steps.iter().map(|step| step.name.as_str()));
    let steps = names.map(|name| StepStatus {
        name: name.to_owned(),
        state: StepState::Pending,
        exit: None,
        seconds: None,
    });
    let waits = startup.steps.iter().any(|step| step.wait)
        || startup.repository.iter().any(|repository| repository.wait)
        || startup.readiness.is_some();
    Status {
        run: format!("{:016x}", rand::random::<u64>()),
        state: State::Running,
        steps: steps.collect(),
        ready: !waits,
        ..Status::none()
    }
}
