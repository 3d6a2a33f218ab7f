//! Commands that an agent was running when it was killed: they are ended before its
//! successor runs them again.
//!
//! Each command has a note in the runtime folder while it runs. What a command has left
//! behind on purpose, when it had ended itself, isn't touched.

use std::fs;
use std::path::{Path, PathBuf};

use devgate_protocol::mark::Mark;
use procfs::process::Process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tracing::info;

use crate::init;

/// What the names of the notes begin with.
const PREFIX: &str = "startup-";

/// How long a killed command has to vanish: one in an uninterruptible call doesn't.
const KILL_TIMEOUT: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

/// A note that a command runs; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Note(PathBuf);

impl Note {
    pub(super) fn of(runtime: &Path, pid: Pid) -> Self {
        let path = runtime.join(format!("{PREFIX}{pid}"));
        if let Some(started) = started(pid) {
            // Without it the command isn't found again, and that is all.
            let _ = fs::write(&path, started.to_string());
        }
        Self(path)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Ends the commands that a predecessor was running. Blocks.
pub(super) fn end(runtime: &Path, mark: &Mark) {
    for entry in fs::read_dir(runtime).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        let noted = fs::read_to_string(entry.path()).ok();
        let noted = noted.and_then(|text| text.parse::<u64>().ok());
        // The number may be another process's by now, and the note copied with its folder.
        let is_ours = |pid| noted.is_some() && started(pid) == noted && init::is_on(mark, pid);
        if let Some(pid) = pid.filter(|&pid| is_ours(pid)) {
            info!(%pid, "ending what a killed agent was running");
            let process = pidfd_open(pid, PidfdFlags::empty());
            let _ = kill_process_group(pid, Signal::KILL);
            init::kill_session(mark, pid);
            // Its successor must not meet it: a kill is over a moment later.
            if let Ok(process) = process {
                let mut ended = [PollFd::new(&process, PollFlags::IN)];
                let _ = poll(&mut ended, Some(&KILL_TIMEOUT));
            }
        }
        let _ = fs::remove_file(entry.path());
    }
}

/// Returns when a process started, in ticks since the system did.
fn started(pid: Pid) -> Option<u64> {
    let process = Process::new(pid.as_raw_nonzero().get()).ok()?;
    process.stat().ok().map(|stat| stat.starttime)
}
