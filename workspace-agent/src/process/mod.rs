//! The programs that the agent starts, and their ends.
//!
//! Invariant: a process id is signalled only while its process hasn't been reaped,
//! so never somebody else's. Forking, reaping and signalling hold one lock for that; of
//! those who fork, only one waits for it at a time.

mod environment;
mod launch;
mod modes;
mod script;
pub(crate) mod shell;
pub(crate) mod terminal;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait, waitpid,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::memory::Memory;

pub(crate) use environment::Environment;
pub(crate) use launch::Program;
pub use launch::raise_open_files;
pub(crate) use shell::Line;

/// What becomes of processes whose parent died and that fall to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// They are reaped, and so is every other child of this process: for the agent's
    /// own binary.
    Reap,
    /// Nothing but the agent's own children is reaped: for an agent in a process
    /// that has other children too.
    Leave,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this status.
    Status(u32),
    /// By a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
        /// Whether it was the kernel's, because the workspace's memory was used up.
        out_of_memory: bool,
    },
}

impl Exit {
    fn of(status: WaitStatus, was_out_of_memory: bool) -> Self {
        match Self::from(status) {
            Self::Signal {
                signal,
                core_dumped,
                ..
            } => Self::Signal {
                signal,
                core_dumped,
                out_of_memory: was_out_of_memory,
            },
            exit @ Self::Status(_) => exit,
        }
    }
}

impl From<WaitStatus> for Exit {
    fn from(status: WaitStatus) -> Self {
        match status.terminating_signal() {
            Some(signal) => Self::Signal {
                signal,
                core_dumped: status.as_raw() & 0x80 != 0, // WCOREDUMP
                out_of_memory: false,
            },
            None => Self::Status(
                status
                    .exit_status()
                    .and_then(|status| u32::try_from(status).ok())
                    .unwrap_or(u32::MAX),
            ),
        }
    }
}

/// The agent's own children.
#[derive(Debug)]
pub(crate) struct Children {
    orphans: Orphans,
    memory: Arc<Memory>,
    /// Who forks next. Those who wait for that are in nobody's way who reaps or signals: the
    /// end of a program isn't to wait until a hundred others have begun.
    turn: Mutex<()>,
    running: Mutex<Running>,
}

/// The children that haven't been reaped.
#[derive(Debug, Default)]
struct Running {
    /// How many there were so far.
    count: u64,
    /// Which one each is, by process id, and who waits for it.
    children: HashMap<i32, (u64, oneshot::Sender<Exit>)>,
}

/// A program that was started. It isn't ended by dropping this.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    /// Which one it is: its process id may be another's later.
    number: u64,
    children: Arc<Children>,
}

/// The end of a program, to be waited for.
#[derive(Debug)]
pub(crate) struct End(oneshot::Receiver<Exit>);

impl Children {
    pub(crate) fn new(orphans: Orphans, memory: Arc<Memory>) -> Self {
        Self {
            orphans,
            memory,
            turn: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// Begins to watch for the ends of processes; the returned future does so until
    /// `stop`.
    pub(crate) fn watch(
        self: Arc<Self>,
        stop: CancellationToken,
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let mut ended = signal(SignalKind::child())?;
        Ok(async move {
            while let Some(Some(())) = stop.run_until_cancelled(ended.recv()).await {
                match self.orphans {
                    Orphans::Reap => self.reap_all(),
                    Orphans::Leave => self.reap_own(),
                }
            }
        })
    }

    /// Starts a program; returns once it runs.
    ///
    /// # Errors
    /// What the system said to the fork or to the program's execution.
    pub(crate) async fn spawn(self: &Arc<Self>, program: Program) -> io::Result<(Child, End)> {
        let children = Arc::clone(self);
        // Executing may wait for a slow file system: not on a worker of the runtime.
        let started = spawn_blocking(move || children.spawn_blocking(&program));
        started.await.map_err(io::Error::other)?
    }

    fn spawn_blocking(self: Arc<Self>, program: &Program) -> io::Result<(Child, End)> {
        let (report, failure) = launch::report_pipe()?;
        let (sender, exit) = oneshot::channel();
        let turn = self.turn.lock();
        let mut running = self.lock();
        let pid = launch::fork(program, &failure)?;
        running.count += 1;
        let number = running.count;
        let id = pid.as_raw_nonzero().get();
        running.children.insert(id, (number, sender));
        // Whoever waits for it has it before the next fork.
        MutexGuard::unlock_fair(running);
        drop(turn);
        drop(failure);
        launch::started(report)?;
        let child = Child {
            pid,
            number,
            children: self,
        };
        Ok((child, End(exit)))
    }

    fn reap_all(&self) {
        let mut running = self.lock();
        loop {
            // Its name is known until it is reaped.
            let out_of_memory = killed().is_some_and(|pid| self.memory.claims(pid));
            let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) else {
                return;
            };
            let child = running.children.remove(&pid.as_raw_nonzero().get());
            if let Some((_, waits)) = child {
                // The session may be gone: a child that nobody waits for is only reaped.
                let _ = waits.send(Exit::of(status, out_of_memory));
            }
        }
    }

    fn reap_own(&self) {
        let mut running = self.lock();
        let pids: Vec<i32> = running.children.keys().copied().collect();
        for pid in pids {
            if let Ok(Some((_, status))) = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG)
                && let Some((_, waits)) = running.children.remove(&pid)
            {
                let _ = waits.send(status.into());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock()
    }
}

impl Running {
    fn has(&self, child: &Child) -> bool {
        let known = self.children.get(&child.pid.as_raw_nonzero().get());
        known.is_some_and(|(number, _)| *number == child.number)
    }
}

/// Returns the child that is reaped next, where it was killed with SIGKILL.
fn killed() -> Option<Pid> {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::Signaled(pid, nix::sys::signal::Signal::SIGKILL, _)) => {
            Pid::from_raw(pid.as_raw())
        }
        _ => None,
    }
}

impl End {
    /// Waits for the program's end. Cancel-safe; to be called no more once it returned.
    pub(crate) async fn wait(&mut self) -> Exit {
        match (&mut self.0).await {
            Ok(exit) => exit,
            // Nobody watches any more: the agent is ending.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Child {
    /// Returns the program's process id, which may be another's once it has ended.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns whether its end hasn't been noticed yet.
    pub(crate) fn is_running(&self) -> bool {
        self.children.lock().has(self)
    }

    /// Signals the program alone, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let running = self.children.lock();
        if running.has(self) {
            // It may have ended meanwhile.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Signals the program's process group, unless the program has ended.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let running = self.children.lock();
        if running.has(self) {
            // It may have left its group, which is then empty.
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

/// What a program finds at the descriptors 0, 1 and 2.
#[derive(Debug)]
pub(crate) enum Stdio {
    /// Three pipes.
    Pipes {
        /// stdin.
        stdin: OwnedFd,
        /// stdout.
        stdout: OwnedFd,
        /// stderr.
        stderr: OwnedFd,
    },
    /// A terminal, which becomes the controlling one.
    Terminal(OwnedFd),
}

#[cfg(test)]
mod tests;
