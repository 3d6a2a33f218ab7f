//! What marks the processes of a workspace: variables that everything in it inherits.
//!
//! A data folder can be copied while its workspaces run, and a gateway started on the copy: its
//! workspaces have the same ids on the same host. So an id alone tells no process's workspace.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Environment variable that names the workspace which a process belongs to.
pub const WORKSPACE_VARIABLE: &str = "DEVGATE_WORKSPACE_ID";

/// Environment variable that tells programs where leases are taken: a socket in the runtime
/// folder of their workspace.
pub const KEEP_AWAKE_VARIABLE: &str = "DEVGATE_KEEP_AWAKE";

/// Tells the processes of one workspace from all others of the host.
#[derive(Clone, Debug)]
pub struct Mark {
    workspace: String,
    runtime: PathBuf,
}

impl Mark {
    /// Returns the mark of the workspace with that id and that runtime folder.
    pub fn new(workspace: &str, runtime: &Path) -> Self {
        Self {
            workspace: workspace.to_owned(),
            runtime: runtime.to_owned(),
        }
    }

    /// Tells whether a process bears it. Blocks for a moment.
    pub fn is_on(&self, pid: u32) -> bool {
        // Unreadable where the process is another user's, which no agent started.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
            return false;
        };
        if value(&environment, WORKSPACE_VARIABLE) != Some(self.workspace.as_bytes()) {
            return false;
        }
        match value(&environment, KEEP_AWAKE_VARIABLE) {
            Some(socket) => {
                let runtime = Path::new(OsStr::from_bytes(socket)).parent();
                !runtime.is_some_and(|runtime| is_another(runtime, &self.runtime))
            }
            None => !self.is_another_agent(pid),
        }
    }

    /// Tells whether it is the agent of a copy, which works in the folder of its workspace.
    fn is_another_agent(&self, pid: u32) -> bool {
        let link = PathBuf::from(format!("/proc/{pid}/cwd"));
        let works_in = fs::read_link(&link).unwrap_or_default();
        let own = self.runtime.parent().unwrap_or(&self.runtime);
        works_in.file_name() == Some(OsStr::new(&self.workspace)) && is_another(&link, own)
    }
}

/// Tells whether two paths lead to the same file or folder, by whatever links and mounts.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| {
        let found = fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// Tells whether a folder is there and isn't the other one. One that isn't there was moved or
/// removed, perhaps from where `own` is now.
fn is_another(folder: &Path, own: &Path) -> bool {
    folder.exists() && !is_same(folder, own)
}

fn value<'a>(environment: &'a [u8], name: &str) -> Option<&'a [u8]> {
    environment
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn running(workspace: &str, keep_awake: Option<PathBuf>, folder: &Path) -> Running {
        let mut command = Command::new("sleep");
        command.arg("600").stdin(Stdio::null()).current_dir(folder);
        command.env(WORKSPACE_VARIABLE, workspace);
        if let Some(socket) = keep_awake {
            command.env(KEEP_AWAKE_VARIABLE, socket);
        }
        Running(command.spawn().unwrap())
    }

    #[test]
    fn a_copy_of_a_workspace_has_other_processes() {
        let root = tempfile::tempdir().unwrap();
        let runtime = |name: &str| {
            let runtime = root.path().join(name).join("w1").join("run");
            fs::create_dir_all(&runtime).unwrap();
            runtime
        };
        let (own, copy) = (runtime("own"), runtime("copy"));
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        let socket = |runtime: &Path| Some(runtime.join("keep-awake.sock"));
        let elsewhere = Path::new("/");
        let gone = root.path().join("gone");
        for (what, workspace, keep_awake, folder, is_ours) in [
            ("a program", "w1", socket(&own), elsewhere, true),
            ("by a link", "w1", socket(&link), elsewhere, true),
            ("of before a move", "w1", socket(&gone), elsewhere, true),
            ("the copy's", "w1", socket(&copy), elsewhere, false),
            ("another's", "w2", socket(&own), elsewhere, false),
            ("the agent", "w1", None, own.parent().unwrap(), true),
            ("its agent", "w1", None, copy.parent().unwrap(), false),
            ("what it runs", "w1", None, elsewhere, true),
        ] {
            let process = running(workspace, keep_awake, folder);
            let mark = Mark::new("w1", &own);
            assert_eq!(mark.is_on(process.0.id()), is_ours, "{what}");
        }
    }
}
