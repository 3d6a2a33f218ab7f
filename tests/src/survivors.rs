//! Processes that belong to a test by the name of its folder, which is unique:
//! what they were started with holds it.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::process::{contains, is_running, signal};

/// One process of a test.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The last part of its executable's path.
    pub program: String,
    /// Its command line, words apart by spaces.
    pub command: String,
}

/// Returns the processes, apart from this one, whose command line or environment
/// names `folder`.
pub fn of(folder: &Path) -> Vec<Process> {
    let name = folder.as_os_str().as_encoded_bytes();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid: &u32| pid != std::process::id() && is_running(pid))
        .filter_map(|pid| {
            let read = |file| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let command = read("cmdline");
            if !contains(&command, name) && !contains(&read("environ"), name) {
                return None;
            }
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            Some(Process {
                pid,
                program: program.file_name()?.to_string_lossy().into_owned(),
                command: String::from_utf8_lossy(&command).replace('\0', " "),
            })
        })
        .collect()
}

/// Kills them all, and those that they start meanwhile.
pub fn kill(folder: &Path) {
    for _ in 0..100 {
        let left = of(folder);
        if left.is_empty() {
            return;
        }
        for process in left {
            signal(process.pid, Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}
