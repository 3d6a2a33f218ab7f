//! One workspace's agent: found, or started.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use devgate_protocol::mark::WORKSPACE_VARIABLE;
use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Resource, Rlimit, setrlimit};
use tracing::warn;

use super::folder::{self, Folder};
use super::pidfd::Process;
use super::{ProcessOptions, find, logs};
use crate::drivers::{DriverError, Exit, Started};
use crate::names::WorkspaceId;
use crate::open_files;
use crate::workspaces::Workspace;

/// What an agent inherits from the gateway's environment. Nothing else: that may
/// hold the gateway's own secrets.
pub(super) const INHERITED: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "DEVGATE_AGENT_LOG",
];

/// The last known agent of a workspace. Held while one is looked for or started,
/// so that even a start whose caller has gone comes to its end first. Locked on
/// threads that may block only.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<Arc<Process>>>);

impl Slot {
    fn held(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.0.lock()
    }

    /// Returns the agent that runs now, or how the last one ended. Blocks.
    pub(super) fn find(&self, folder: &Folder) -> Result<Result<Arc<Process>, Exit>, DriverError> {
        find_in(&mut self.held(), folder)
    }

    /// Starts an agent where none runs. Blocks.
    pub(super) fn start(
        &self,
        folder: &Folder,
        options: &ProcessOptions,
        workspace: &Workspace,
    ) -> Result<Started, DriverError> {
        let mut held = self.held();
        if let Ok(agent) = find_in(&mut held, folder)? {
            return Ok(Started::Found(agent.pid()));
        }
        if !options.agent.is_file() {
            return Err(DriverError::AgentMissing {
                path: options.agent.clone(),
            });
        }
        folder.write_config(options, workspace)?;
        if let Err(error) = logs::rotate(&folder.log()) {
            warn!(%error, "can't set a full log aside");
        }
        let agent = Arc::new(spawn(folder, options, &workspace.id)?);
        let pid = agent.pid();
        *held = Some(Arc::clone(&agent));
        find::record(folder, &agent)?;
        Ok(Started::New(pid))
    }
}

fn find_in(
    held: &mut Option<Arc<Process>>,
    folder: &Folder,
) -> Result<Result<Arc<Process>, Exit>, DriverError> {
    if let Some(agent) = held {
        if !agent.has_ended() {
            return Ok(Ok(Arc::clone(agent)));
        }
        agent.reap();
    }
    // It may have ended while another one, which nobody recorded, lives.
    match find::agent(folder)? {
        Some(agent) => Ok(Ok(Arc::clone(held.insert(Arc::new(agent))))),
        None => Ok(Err(held
            .as_ref()
            .map_or(Exit::Unseen, |agent| agent.reap()))),
    }
}

/// Starts an agent in a session of its own, with the limit of open files that the
/// gateway was given.
fn spawn(
    folder: &Folder,
    options: &ProcessOptions,
    id: &WorkspaceId,
) -> Result<Process, DriverError> {
    let log = folder::open_log(&folder.log())?;
    let failed = |source| DriverError::SpawnFailed {
        path: options.agent.clone(),
        source,
    };
    let errors = log.try_clone().map_err(failed)?;
    let mut command = Command::new(&options.agent);
    command
        .arg("--config")
        .arg(folder.config())
        .current_dir(folder.root())
        .env_clear()
        .envs(
            INHERITED
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env(WORKSPACE_VARIABLE, id.as_str())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    prepare(&mut command);
    let child = command.spawn().map_err(failed)?;
    // The child isn't waited for here: its pidfd is, by whoever asks for its end.
    Process::hold(child.id()).map_err(failed)
}

#[expect(
    unsafe_code,
    reason = "the only way to make calls between fork and exec; these are async-signal-safe"
)]
fn prepare(command: &mut Command) {
    let open_files = open_files::before();
    // SAFETY: the closure makes two system calls and touches no memory but its own.
    unsafe {
        command.pre_exec(move || {
            if let Some(limit) = &open_files {
                let (current, maximum) = (limit.current, limit.maximum);
                setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
            }
            Ok(rustix::process::setsid().map(drop)?)
        });
    }
}
