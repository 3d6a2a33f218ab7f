//! Programs that the kernel killed because the workspace's memory was used up.
//!
//! The kernel counts such kills for the container's control group and tells nobody whom it
//! has killed. The agent's own children, and whatever falls to it, are known by name when
//! they are reaped; of others the largest is taken that was there a moment before, while
//! memory was short. Each is logged, and told to one gateway.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::control::FromAgent;
use parking_lot::Mutex;
use rustix::process::Pid;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::notices::Notices;
use crate::{init, processes};

/// How often the count is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Looks after which a kill that nobody was reaped for was another's child.
const PATIENCE: u32 = 2;

/// Most processes that are remembered while memory is short.
const REMEMBERED: usize = 64;

/// Where a container's control group is, in version 2 and 1: who counts the kills, what is
/// used, and what may be.
const FILES: [Files; 2] = [
    Files {
        kills: "/sys/fs/cgroup/memory.events",
        used: "/sys/fs/cgroup/memory.current",
        limit: "/sys/fs/cgroup/memory.max",
    },
    Files {
        kills: "/sys/fs/cgroup/memory/memory.oom_control",
        used: "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        limit: "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    },
];

#[derive(Clone, Copy, Debug)]
struct Files {
    kills: &'static str,
    used: &'static str,
    limit: &'static str,
}

/// A program that was killed.
#[derive(Debug)]
struct Victim {
    /// Its name, as far as it is known.
    program: Option<String>,
    /// Its process id, as far as it is known.
    pid: Option<u32>,
}

/// Finds out who was killed.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Absent outside a container: the counts would be the host's.
    files: Option<Files>,
    state: Mutex<State>,
    notices: Notices,
}

#[derive(Debug, Default)]
struct State {
    /// Kills that were counted.
    counted: u64,
    /// How many of them are nobody's yet.
    open: u64,
    /// Looks since one of them was.
    waited: u32,
    /// The largest processes while memory was short.
    largest: Vec<(Pid, String)>,
}

impl Memory {
    /// Watches this process's container; outside of one, nothing.
    pub(crate) fn new(notices: Notices) -> Self {
        let files = FILES
            .into_iter()
            .filter(|_| init::is_first_process())
            .find(|files| kills(files.kills).is_some());
        let counted = files.and_then(|files| kills(files.kills));
        Self {
            files,
            state: Mutex::new(State {
                counted: counted.unwrap_or_default(),
                ..State::default()
            }),
            notices,
        }
    }

    /// Looks at the count until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let Some(files) = self.files else { return };
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look(files);
        }
    }

    /// Tells whether a child that was killed with SIGKILL, and isn't reaped yet, was killed
    /// for want of memory.
    pub(crate) fn claims(&self, pid: Pid) -> bool {
        let Some(files) = self.files else {
            return false;
        };
        let mut state = self.state.lock();
        state.count(files);
        if state.open == 0 {
            return false;
        }
        state.open -= 1;
        state.waited = 0;
        let victim = Victim {
            program: processes::name(pid),
            pid: u32::try_from(pid.as_raw_nonzero().get()).ok(),
        };
        self.tell(victim);
        true
    }

    fn look(&self, files: Files) {
        let mut state = self.state.lock();
        state.count(files);
        if state.open > 0 {
            state.waited += 1;
            if state.waited > PATIENCE {
                while state.open > 0 {
                    state.open -= 1;
                    let victim = state.missing();
                    self.tell(victim);
                }
                state.waited = 0;
            }
            return;
        }
        state.largest = if is_short(files) {
            largest()
        } else {
            Vec::new()
        };
    }

    fn tell(&self, victim: Victim) {
        let Victim { program, pid } = victim;
        warn!(
            program = program.as_deref().unwrap_or("?"),
            pid, "the workspace's memory is used up: the kernel killed a program"
        );
        self.notices.tell(FromAgent::OutOfMemory { program, pid });
    }
}

impl State {
    fn count(&mut self, files: Files) {
        if let Some(now) = kills(files.kills) {
            self.open += now.saturating_sub(self.counted);
            self.counted = now;
        }
    }

    /// Returns the largest process that was there and is no more.
    fn missing(&mut self) -> Victim {
        let gone = |(pid, name): &(Pid, String)| processes::name(*pid).as_ref() != Some(name);
        let found = self.largest.iter().position(gone);
        let found = found.map(|place| self.largest.remove(place));
        let (pid, program) = found.unzip();
        Victim {
            program,
            pid: pid.and_then(|pid: Pid| u32::try_from(pid.as_raw_nonzero().get()).ok()),
        }
    }
}

/// Reads how many processes of a control group were killed for want of memory.
fn kills(path: &str) -> Option<u64> {
    parse_kills(&fs::read_to_string(path).ok()?)
}

fn parse_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, count) = line.split_once(' ')?;
        (name == "oom_kill").then(|| count.trim().parse().ok())?
    })
}

/// Whether more than half of the memory is used.
fn is_short(files: Files) -> bool {
    let number = |path| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    // Without a limit there is no number, or one beyond all memory.
    match (number(files.used), number(files.limit)) {
        (Some(used), Some(limit)) => used > limit / 2,
        _ => false,
    }
}

/// Returns the processes of the workspace, the largest first.
fn largest() -> Vec<(Pid, String)> {
    let mut found: Vec<_> = processes::descendants(&[])
        .into_iter()
        .filter_map(|pid| Some((resident(pid)?, pid, processes::name(pid)?)))
        .collect();
    found.sort_by_key(|(pages, ..)| std::cmp::Reverse(*pages));
    let all = found.into_iter().take(REMEMBERED);
    all.map(|(_, pid, name)| (pid, name)).collect()
}

/// Reads how many pages of a process are in memory (proc(5), `statm`).
fn resident(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_in_both_versions() {
        let two = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(parse_kills(two), Some(2));
        let one = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";
        assert_eq!(parse_kills(one), Some(5));
        assert_eq!(parse_kills("oom_kill_disable 0\n"), None);
    }
}
