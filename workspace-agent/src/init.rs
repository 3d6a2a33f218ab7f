//! The agent as the first process of a workspace, and the workspace's end.
//!
//! In a container the agent is process 1, and everything falls to it. As a plain
//! process it is made the subreaper of its descendants, so that a program that
//! detaches itself still falls to it. The environment of everything that it starts
//! names the workspace: that finds what an agent that was killed has left.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::fs;
use std::io;
use std::time::Duration;

use devgate_protocol::mark::Mark;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getsid, pidfd_open, pidfd_send_signal, set_child_subreaper,
};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

pub use devgate_protocol::mark::WORKSPACE_VARIABLE;

/// How long processes have to end after they were asked to.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long processes have to vanish after they were killed. One in an
/// uninterruptible system call doesn't.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the processes that are left are looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What a process is asked with: shells end by SIGHUP only, and a stopped process
/// acts on neither before it is continued.
const POLITE: [Signal; 3] = [Signal::HUP, Signal::TERM, Signal::CONT];

/// Returns whether this is the first process of a container.
pub fn is_first_process() -> bool {
    getpid().is_init()
}

/// Makes the orphans among this process's descendants its own children.
pub fn adopt_orphans() -> io::Result<()> {
    if !is_first_process() {
        // The argument is only a flag: any process id means "on".
        set_child_subreaper(Some(getpid()))?;
    }
    Ok(())
}

/// Ends all processes of a workspace: asks them, and kills those that are left after
/// `grace`. Who reaps children must go on doing so meanwhile.
pub async fn end_everything(mark: &Mark, grace: Duration) {
    let mut asked = HashSet::new();
    let deadline = Instant::now() + grace;
    loop {
        let left = processes(mark);
        if left.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            break;
        }
        // What was started since the last look is asked as well.
        for pid in left {
            if asked.insert(pid) {
                for signal in POLITE {
                    send(pid, signal, mark);
                }
            }
        }
        sleep(POLL_INTERVAL).await;
    }
    let left = processes(mark);
    info!(processes = left.len(), "killing what is left");
    let deadline = Instant::now() + KILL_TIMEOUT;
    while Instant::now() < deadline {
        let left = processes(mark);
        if left.is_empty() {
            return;
        }
        for pid in left {
            send(pid, Signal::KILL, mark);
        }
        sleep(POLL_INTERVAL).await;
    }
    warn!("some processes can't be killed");
}

/// Returns all processes of a workspace but this one.
pub(crate) fn all(mark: &Mark) -> Vec<Pid> {
    processes(mark)
}

/// Kills those processes of a workspace that belong to a session (setsid(2)) whose
/// leader has just ended.
pub(crate) fn kill_session(mark: &Mark, leader: Pid) {
    for pid in processes(mark) {
        if getsid(Some(pid)) == Ok(leader) {
            send(pid, Signal::KILL, mark);
        }
    }
}

/// Signals a process if it still is one of the workspace's.
fn send(pid: Pid, signal: Signal, mark: &Mark) {
    // The descriptor pins the process: its number can't become somebody else's
    // between the look and the signal.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let mut parents = Parents::new();
    let mut next = Some(pid);
    while let Some(ancestor) = next
        && let Entry::Vacant(entry) = parents.entry(ancestor)
        && let Living::Yes { parent } = look(ancestor)
    {
        entry.insert(parent);
        next = parent;
    }
    if belongs(pid, &parents, mark) {
        // It may have ended meanwhile.
        let _ = pidfd_send_signal(process, signal);
    }
}

/// Living processes and their parents.
type Parents = HashMap<Pid, Option<Pid>>;

/// Whether a process lives.
enum Living {
    /// It does; the first process of a container has no parent in it.
    Yes { parent: Option<Pid> },
    /// It is gone, or only waits to be reaped.
    No,
}

/// Returns this process's descendants and the marked processes, this one and those
/// that only wait to be reaped left out. As process 1: everything.
fn processes(mark: &Mark) -> Vec<Pid> {
    let mut parents = Parents::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
            && let Living::Yes { parent } = look(pid)
        {
            parents.insert(pid, parent);
        }
    }
    let mut found: Vec<Pid> = parents.keys().copied().collect();
    found.retain(|&pid| belongs(pid, &parents, mark));
    found
}

fn belongs(pid: Pid, parents: &Parents, mark: &Mark) -> bool {
    let own = getpid();
    pid != own && (own.is_init() || descends(pid, own, parents) || is_on(mark, pid))
}

fn descends(mut pid: Pid, ancestor: Pid, parents: &Parents) -> bool {
    // The table was not read at one instant, so a cycle isn't impossible.
    for _ in 0..parents.len() {
        match parents.get(&pid).copied().flatten() {
            Some(parent) if parent == ancestor => return true,
            Some(parent) => pid = parent,
            None => return false,
        }
    }
    false
}

/// Reads a process's state and parent (proc(5), `stat`).
fn look(pid: Pid) -> Living {
    fs::read(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| parse(&stat))
        .unwrap_or(Living::No)
}

fn parse(stat: &[u8]) -> Option<Living> {
    // The command's name may hold spaces and parentheses; the state follows the last.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(match fields.next()? {
        "Z" | "X" | "x" => Living::No,
        _ => Living::Yes {
            parent: Pid::from_raw(fields.next()?.parse().ok()?),
        },
    })
}

/// Tells whether a process bears the mark of a workspace.
pub(crate) fn is_on(mark: &Mark, pid: Pid) -> bool {
    u32::try_from(pid.as_raw_nonzero().get()).is_ok_and(|pid| mark.is_on(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_hides_neither_state_nor_parent() {
        let parent = |stat: &[u8]| match parse(stat) {
            Some(Living::Yes { parent }) => parent,
            _ => None,
        };
        assert_eq!(parent(b"7 (a) Z 9 (b)) S 5 7 7"), Pid::from_raw(5));
        assert_eq!(parent(b"7 (sh) Z 5 7 7"), None);
    }
}
