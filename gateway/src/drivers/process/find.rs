//! Finding the processes of a workspace.
//!
//! The file `agent.pid` names the agent. A gateway that was killed between starting
//! an agent and writing that file leaves one that only its lock betrays: it is
//! found by its command line. What the agent's programs left behind is found by the
//! environment that they inherited.
//!
//! A folder can be copied or moved while its agent runs, files and all. So an agent is a
//! folder's only where it works in it, whatever its path is by now.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devgate_protocol::mark::{Mark, is_same};
use rustix::fs::FlockOperation;
use rustix::process::Signal;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::folder::{self, CONFIG, Folder};
use super::pidfd::{Identity, Process};
use crate::drivers::DriverError;
use crate::names::WorkspaceId;

/// How long a process may take to die once it is killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Finds the agent that runs in a folder.
pub(super) fn agent(folder: &Folder) -> Result<Option<Process>, DriverError> {
    if let Some(identity) = recorded(folder) {
        let found = Process::find(&identity).map_err(|source| DriverError::Process {
            action: "watch",
            pid: identity.pid,
            source,
        })?;
        if found
            .as_ref()
            .is_some_and(|process| works_in(process.pid(), folder))
        {
            return Ok(found);
        }
    }
    if !is_locked(folder) {
        return Ok(None);
    }
    let found = processes(|pid| config_of(pid).is_some() && works_in(pid, folder));
    match found.into_iter().next() {
        Some(process) => {
            info!(pid = process.pid(), "found an agent that was not recorded");
            record(folder, &process)?;
            Ok(Some(process))
        }
        // It has the lock no longer, or somebody else has it.
        None if is_locked(folder) => Err(DriverError::LostAgent {
            lock: folder.lock(),
        }),
        None => Ok(None),
    }
}

/// Tells whether an agent was told of a folder that isn't this one: what it would start now
/// would find no home.
pub(super) fn is_displaced(agent: &Process, folder: &Folder) -> bool {
    config_of(agent.pid()).is_some_and(|config| {
        let told = config.parent().unwrap_or(Path::new("/"));
        !is_same(told, &folder.run())
    })
}

fn works_in(pid: u32, folder: &Folder) -> bool {
    is_same(Path::new(&format!("/proc/{pid}/cwd")), folder.root())
}

/// Returns the configuration that an agent was started with; nothing for other processes.
fn config_of(pid: u32) -> Option<PathBuf> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.find(|argument| *argument == b"--config")?;
    let config = Path::new(OsStr::from_bytes(arguments.next()?));
    (config.file_name() == Some(OsStr::new(CONFIG))).then(|| config.to_owned())
}

/// Writes down which process the agent is.
pub(super) fn record(folder: &Folder, process: &Process) -> Result<(), DriverError> {
    let path = folder.pid();
    let json = serde_json::to_vec(process.identity()).map_err(|error| DriverError::File {
        action: "write",
        path: path.clone(),
        source: error.into(),
    })?;
    folder::write(&path, &json)
}

fn recorded(folder: &Folder) -> Option<Identity> {
    // A file that can't be read names nobody; the lock is asked then.
    serde_json::from_slice(&fs::read(folder.pid()).ok()?).ok()
}

fn is_locked(folder: &Folder) -> bool {
    let Ok(lock) = File::open(folder.lock()) else {
        return false;
    };
    let locked = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared);
    locked == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Ends all processes of a workspace that its agent left behind: asks until the
/// deadline, then kills.
pub(super) async fn sweep(
    folder: &Folder,
    id: &WorkspaceId,
    deadline: Instant,
) -> Result<(), DriverError> {
    let mark = Mark::new(id.as_str(), &folder.run());
    let mut signal = Signal::TERM;
    let mut until = deadline;
    loop {
        let wanted = mark.clone();
        let left = super::blocking(move || processes(|pid| wanted.is_on(pid))).await;
        if left.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        if now >= until {
            if signal == Signal::KILL {
                return Err(DriverError::Unstoppable { count: left.len() });
            }
            signal = Signal::KILL;
            until = now + KILL_TIMEOUT;
        }
        for process in &left {
            if let Err(error) = process.signal(signal) {
                warn!(pid = process.pid(), %error, "can't end a process of the workspace");
            }
        }
        let all_ended = async {
            for process in &left {
                // One that can't be watched is looked for again.
                let _ = process.ended().await;
            }
        };
        // Whichever comes first; the next round sees what is left.
        let _ = timeout_at(until, all_ended).await;
    }
}

/// Returns the processes that fit. Each is held before it is looked at, so that
/// what was looked at is what is returned.
fn processes(fits: impl Fn(u32) -> bool) -> Vec<Process> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own && fits(*pid))
        .filter_map(|pid| Process::open(pid).ok())
        .filter(|process| fits(process.pid()))
        .collect()
}

/// Kills a process and waits until it is dead.
pub(super) async fn kill(process: &Process) -> Result<(), DriverError> {
    let failed = |source: io::Error| DriverError::Process {
        action: "kill",
        pid: process.pid(),
        source,
    };
    process.signal(Signal::KILL).map_err(failed)?;
    match timeout_at(Instant::now() + KILL_TIMEOUT, process.ended()).await {
        Ok(ended) => ended.map(drop).map_err(failed),
        Err(_) => Err(DriverError::Unstoppable { count: 1 }),
    }
}

#[cfg(test)]
mod tests;
