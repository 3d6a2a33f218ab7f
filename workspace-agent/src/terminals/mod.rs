//! Terminals that live in the agent.
//!
//! A browser's terminal isn't bound to its connection: the program runs on, what it
//! writes goes to an emulator, and whoever comes sees the screen as it is. Each
//! terminal is owned by one task ([`terminal`]); who looks at it holds an
//! [`Attachment`].

mod emulator;
mod recorder;
mod repaint;
mod replies;
mod screen;
mod style;
mod tail;
mod terminal;

use std::io;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

pub(crate) use emulator::{Cells, MAX_CELLS};
pub(crate) use screen::Outgoing;
pub(crate) use terminal::{Attachment, Terminal};

use crate::agent::Agent;
use crate::places::Places;

/// Most terminals at once.
const MAX_TERMINALS: usize = 64;

/// Why a terminal couldn't be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// There are too many.
    #[error("there are {MAX_TERMINALS} terminals already: end one of them first")]
    TooMany,
    /// The system refused.
    #[error("can't run {shell} in the workspace")]
    System {
        /// The shell.
        shell: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// All terminals of a workspace.
#[derive(Debug)]
pub(crate) struct Terminals {
    places: Places<Terminal>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Terminals {
    /// Makes an empty set, whose terminals end with `stop`.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            places: Places::new(|_| format!("{:08x}", rand::random::<u32>())),
            tasks,
            stop,
        }
    }

    /// Starts a log-in shell or a command line on a new terminal.
    pub(crate) async fn start(
        &self,
        agent: &Agent,
        size: Cells,
        command: Option<String>,
    ) -> Result<Arc<Terminal>, StartError> {
        let place = self.places.take(MAX_TERMINALS);
        let place = place.ok_or(StartError::TooMany)?;
        let ended = self.stop.child_token();
        let id = place.id().to_owned();
        let started = terminal::start(agent, id, size, command, ended).await;
        let (terminal, owner) = started.map_err(|source| StartError::System {
            shell: agent.shell().display().to_string(),
            source,
        })?;
        place.fill(Arc::clone(&terminal));
        info!(terminal = terminal.id, "terminal started");
        self.tasks.spawn(async move {
            owner.run().await;
            info!(terminal = place.id(), "terminal ended");
            drop(place);
        });
        Ok(terminal)
    }

    /// Returns all terminals, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Terminal>> {
        let mut all = self.places.all();
        all.sort_by_key(|terminal| terminal.created);
        all
    }

    /// Returns the terminal of that name.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Terminal>> {
        self.places.find(id)
    }

    /// Ends the terminal of that name, if there is one.
    pub(crate) fn end(&self, id: &str) -> Option<()> {
        self.places.remove(id)?.end();
        Some(())
    }
}
