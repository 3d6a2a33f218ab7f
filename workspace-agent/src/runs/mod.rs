//! Processes that are started over the API and kept: what they write, and how they ended.
//!
//! Each is owned by one task ([`owner`]), which alone reads and writes its descriptors. What
//! it wrote last is in rings that anybody may read; a reader that must have all of it holds
//! them, and stops the program by not reading. All end with the agent.

mod hold;
mod owner;
mod request;
mod ring;
mod run;
mod signals;
mod start;
mod stdin;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

pub(crate) use hold::Hold;
pub(crate) use request::{Cells, Request};
pub(crate) use run::{Input, Run, Stream, Target, View};

use crate::agent::Agent;
use request::Plan;
use ring::Budget;

/// Most processes that run at once.
const MAX_RUNNING: usize = 4096;

/// Most that have ended and are kept, and for how long.
const MAX_ENDED: usize = 1000;
const KEEP_ENDED: Duration = Duration::from_hours(1);

/// Why something can't be done with a process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The request makes no sense.
    #[error("{0}")]
    BadCommand(String),
    /// It can't be run.
    #[error("{0}")]
    CannotStart(String),
    /// There are too many.
    #[error("{MAX_RUNNING} processes run already: end one of them first, or wait for its end")]
    TooMany,
    /// The system has no room.
    #[error("the workspace has no room for another process ({0}): end some first")]
    NoRoom(#[source] io::Error),
    /// There is none of that id.
    #[error(
        "there is no such process: it was deleted, ended more than an hour ago, or the \
         workspace was restarted"
    )]
    NoProcess,
    /// It has ended.
    #[error("the process has ended")]
    Ended,
    /// It reads nothing.
    #[error("the process reads no input: start it with `\"stdin\": \"open\"`")]
    NoStdin,
    /// It reads no more.
    #[error("the process reads no more input: its input was ended, or it has closed it itself")]
    StdinClosed,
    /// It has no terminal.
    #[error("the process has no terminal: start it with `pty`")]
    NoTerminal,
    /// There is no such signal.
    #[error("there is no signal of that name: `TERM`, `INT`, `HUP` and `KILL` are some")]
    BadSignal,
}

/// Whether a reader has to get all that a process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// One that stops the process by not reading.
    Holds,
    /// None: what isn't read in time is dropped.
    Looks,
}

/// Whether a process is shown to whoever asks for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Yes,
    /// It is the agent's own.
    No,
}

/// All processes of a workspace that were started over the API.
#[derive(Debug)]
pub(crate) struct Runs {
    next: AtomicU64,
    entries: Entries,
    running: Arc<AtomicUsize>,
    budget: Budget,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Processes by their ids, which grow.
#[derive(Clone, Debug, Default)]
struct Entries(Arc<Mutex<BTreeMap<String, Arc<Run>>>>);

impl Entries {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Run>>> {
        self.0.lock()
    }

    /// Forgets the oldest of too many that have ended; where all keep too much, much of
    /// what they wrote, but for `last`, which ended just now and whose client reads it.
    fn tidy(&self, budget: &Budget, last: &Run) {
        let mut entries = self.lock();
        let mut ended: Vec<_> = entries
            .values()
            .filter_map(|run| Some((run.ended_at()?, Arc::clone(run))))
            .collect();
        if ended.len() <= MAX_ENDED && !budget.is_exceeded() {
            return;
        }
        ended.sort_by_key(|(at, _)| *at);
        let too_many = ended.len().saturating_sub(MAX_ENDED);
        for (_, run) in ended.drain(..too_many) {
            entries.remove(&run.id);
            run.forget();
        }
        let running = entries.values().filter(|run| run.ended_at().is_none());
        let running: Vec<_> = running.cloned().collect();
        drop(entries);
        // Those that say nothing any more are told by nobody else.
        let ended = ended.into_iter().map(|(_, run)| run);
        for run in ended.chain(running).filter(|run| run.id != last.id) {
            if !budget.is_exceeded() {
                return;
            }
            run.trim();
        }
    }
}

impl Runs {
    /// Makes an empty set; nobody looks after its processes after `stop`.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            next: AtomicU64::new(1),
            entries: Entries::default(),
            running: Arc::default(),
            budget: Budget::default(),
            tasks,
            stop,
        }
    }

    /// Starts a process; where its reader holds it, with what it holds it by.
    pub(crate) async fn start(
        &self,
        agent: &Agent,
        request: Request,
        reader: Reader,
        listed: Listed,
    ) -> Result<(Arc<Run>, Option<Hold>), RunError> {
        let plan = Plan::of(agent, request)?;
        let place = Place::take(&self.running)?;
        // Sorted as they were started; the rest tells it from one of an agent before.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{number:08x}{:08x}", rand::random::<u32>());
        let (run, owner) = start::start(agent, id, plan, reader, &self.budget).await?;
        let hold = (reader == Reader::Holds).then(|| Hold::of(&run));
        info!(process = run.id, pid = run.pid, "process started");
        if listed == Listed::Yes {
            let mut entries = self.entries.lock();
            entries.insert(run.id.clone(), Arc::clone(&run));
        }
        let (entries, budget) = (self.entries.clone(), self.budget.clone());
        let (stop, kept) = (self.stop.clone(), Arc::clone(&run));
        self.tasks.spawn(async move {
            let life = async {
                owner.run().await;
                info!(process = kept.id, "process ended");
                drop(place);
                entries.tidy(&budget, &kept);
                if listed == Listed::Yes {
                    tokio::select! {
                        () = sleep(KEEP_ENDED) => {}
                        () = kept.forgotten() => {}
                    }
                    entries.lock().remove(&kept.id);
                }
            };
            stop.run_until_cancelled(life).await;
        });
        Ok((run, hold))
    }

    /// Returns all, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Run>> {
        self.entries.lock().values().cloned().collect()
    }

    /// Returns the one of that id.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Run>, RunError> {
        let found = self.entries.lock().get(id).cloned();
        found.ok_or(RunError::NoProcess)
    }

    /// Ends the one of that id, and forgets it.
    pub(crate) fn end(&self, id: &str) -> Result<(), RunError> {
        let run = self.entries.lock().remove(id);
        let run = run.ok_or(RunError::NoProcess)?;
        run.terminate();
        run.forget();
        Ok(())
    }
}

/// A place among the processes that run.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(running: &Arc<AtomicUsize>) -> Result<Self, RunError> {
        let taken = running.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(running));
        if taken >= MAX_RUNNING {
            return Err(RunError::TooMany);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
