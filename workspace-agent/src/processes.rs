//! The workspace's processes, as `/proc` shows them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use devgate_protocol::mark::Mark;
use rustix::process::{Pid, getpid};

/// Most processes that are looked at.
const MAX_PROCESSES: usize = 16 * 1024;

/// Returns the name of a process, as `ps` shows it.
pub(crate) fn name(pid: Pid) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// Returns the descendants of the agent and of `others`, those included; parents come
/// before their children.
///
/// It asks each process for its children, so that it costs what the workspace has, not
/// what the host has.
pub(crate) fn descendants(others: &[Pid]) -> Vec<Pid> {
    let own = getpid();
    let mut found = vec![own];
    found.extend_from_slice(others);
    let mut seen: HashSet<Pid> = found.iter().copied().collect();
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        for child in children(pid) {
            if found.len() < MAX_PROCESSES && seen.insert(child) {
                found.push(child);
            }
        }
    }
    found.retain(|&pid| pid != own);
    found
}

/// Returns those processes of the workspace that don't descend from the agent: what a
/// predecessor that was killed has left, and in a container everything else. Looks at
/// all processes of the host.
pub(crate) fn strays(mark: &Mark) -> Vec<Pid> {
    let mut strays = crate::init::all(mark);
    let own: HashSet<Pid> = descendants(&[]).into_iter().collect();
    strays.retain(|pid| !own.contains(pid));
    strays
}

fn children(pid: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{pid}/task");
    let mut children = Vec::new();
    for task in fs::read_dir(Path::new(&tasks))
        .into_iter()
        .flatten()
        .flatten()
    {
        let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let pids = list.split_ascii_whitespace();
        children.extend(pids.filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)));
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn children_and_their_children_are_found_in_that_order() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 300 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = shell.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let sleep = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let pid = Pid::from_child(&shell);
        let found = descendants(&[]);
        let place = |pid| found.iter().position(|&found| found == pid);
        assert!(place(pid).unwrap() < place(sleep).unwrap());
        // Its number is known before it runs its program.
        let deadline = Instant::now() + Duration::from_mins(1);
        while name(sleep).as_deref() != Some("sleep") {
            assert!(Instant::now() < deadline, "{:?}", name(sleep));
            std::thread::sleep(Duration::from_millis(1));
        }
        rustix::process::kill_process(sleep, rustix::process::Signal::KILL).unwrap();
        shell.wait().unwrap();
        assert!(!descendants(&[]).contains(&pid));
    }
}
