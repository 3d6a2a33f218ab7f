//! Processes that belong to a test by the name of its folder, which is unique:
//! what they were started with holds it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use tempfile::TempDir;

use crate::process::{contains, is_running, signal};

/// Ends what belongs to a test once that test's process is gone, however it went:
/// a test that takes too long is killed and drops nothing.
const WATCH: &str = r#"
read nothing
for pid in $(grep -lsaF -- "$1" /proc/[0-9]*/cmdline /proc/[0-9]*/environ | cut -d/ -f3 | sort -u); do
    [ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
done
rm -rf -- "$1"
"#;

/// A folder for one test, with a name that is unique and short: paths of Unix
/// sockets have at most 107 bytes. It goes, and with it every process whose
/// command line or environment names it, when this is dropped or the test dies.
pub struct Folder {
    folder: TempDir,
    watch: Child,
}

impl Folder {
    /// Makes one.
    #[track_caller]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("dgt-")
            .tempdir_in("/tmp")
            .expect("/tmp is writable");
        let mut watch = at_the_end(WATCH, folder.path());
        let watch = watch.spawn().expect("/bin/sh runs");
        Self { folder, watch }
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Returns a shell that runs a script with one argument once its standard input ends,
/// which it does with this process; the script begins with `read nothing`.
pub fn at_the_end(script: &str, argument: impl AsRef<OsStr>) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", script, "at-the-end"])
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    shell
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.watch.kill().ok();
        self.watch.wait().ok();
        kill(self.folder.path());
    }
}

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
