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

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

pub(crate) use emulator::Cells;
pub(crate) use screen::Outgoing;
pub(crate) use terminal::{Attachment, Terminal};

use crate::agent::Agent;

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
    entries: Entries,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Terminals, and places of those that are being started, by name.
#[derive(Clone, Debug, Default)]
struct Entries(Arc<Mutex<BTreeMap<String, Option<Arc<Terminal>>>>>);

impl Entries {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Arc<Terminal>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminals {
    /// Makes an empty set, whose terminals end with `stop`.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            entries: Entries::default(),
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
        let id = format!("{:08x}", rand::random::<u32>());
        let place = Place::take(self.entries.clone(), &id)?;
        let ended = self.stop.child_token();
        let started = terminal::start(agent, id.clone(), size, command, ended).await;
        let (terminal, owner) = started.map_err(|source| StartError::System {
            shell: agent.shell().display().to_string(),
            source,
        })?;
        self.entries.lock().insert(id, Some(Arc::clone(&terminal)));
        info!(terminal = terminal.id, "terminal started");
        self.tasks.spawn(async move {
            owner.run().await;
            info!(terminal = place.id, "terminal ended");
            drop(place);
        });
        Ok(terminal)
    }

    /// Returns all terminals, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Terminal>> {
        let mut all: Vec<_> = self.entries.lock().values().flatten().cloned().collect();
        all.sort_by_key(|terminal| terminal.created);
        all
    }

    /// Returns the terminal of that name.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Terminal>> {
        self.entries.lock().get(id).cloned().flatten()
    }

    /// Ends the terminal of that name, if there is one.
    pub(crate) fn end(&self, id: &str) -> Option<()> {
        let terminal = self.entries.lock().remove(id).flatten()?;
        terminal.end();
        Some(())
    }
}

/// A terminal's place in the set, from before its start to its end.
struct Place {
    entries: Entries,
    id: String,
}

impl Place {
    fn take(entries: Entries, id: &str) -> Result<Self, StartError> {
        let mut held = entries.lock();
        if held.len() >= MAX_TERMINALS {
            return Err(StartError::TooMany);
        }
        held.insert(id.to_owned(), None);
        drop(held);
        Ok(Self {
            entries,
            id: id.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.entries.lock().remove(&self.id);
    }
}
