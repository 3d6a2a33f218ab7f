//! The real gateway, `devgate up`, in a folder of its own.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::component::built;
use crate::keys;
use crate::process::{Finished, Running, run, wait_until_gone};
use crate::reach::Reach;
use crate::ssh::Access;
use crate::survivors::{self, Process};
use crate::wait::eventually;

/// How long a gateway may take to be ready: keys are made on its first run, by
/// an unoptimised build on a loaded machine.
const READY: Duration = Duration::from_mins(1);

/// How long the command line may take.
const COMMAND: Duration = Duration::from_mins(1);

/// What the gateway writes once it accepts connections.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// Where SSH is served.
    pub ssh: SocketAddr,
    /// Where HTTPS is served.
    pub http: SocketAddr,
    /// The workspace that is there from the start.
    pub workspace: String,
    /// The gateway's process id.
    pub pid: u32,
}

/// A running gateway. Dropping it ends it and everything that it started.
pub struct Gateway {
    folder: PathBuf,
    data: PathBuf,
    settings: Vec<(String, String)>,
    identity: PathBuf,
    process: Option<Running>,
    ready: Ready,
    /// What the shell does that becomes the gateway.
    first: String,
}

impl Gateway {
    /// Starts one in `folder`, which is the caller's to remove afterwards.
    #[track_caller]
    pub fn start(folder: &Path, reach: Reach) -> Self {
        Self::start_with(folder, reach, &[])
    }

    /// Starts one with settings, given as the environment variables of its
    /// configuration.
    #[track_caller]
    pub fn start_with(folder: &Path, reach: Reach, settings: &[(&str, &str)]) -> Self {
        keys::prepare_host_key(&folder.join("data"));
        Self::start_untouched(folder, reach, settings)
    }

    /// Starts one in an empty `folder`, where it makes everything itself.
    #[track_caller]
    pub fn start_untouched(folder: &Path, reach: Reach, settings: &[(&str, &str)]) -> Self {
        let mut all = vec![(
            "DEVGATE_PROCESS_REACH".to_owned(),
            reach.as_str().to_owned(),
        )];
        all.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut gateway = Self {
            folder: folder.to_owned(),
            data: folder.join("data"),
            settings: all,
            identity: keys::generate(folder, "identity"),
            process: None,
            ready: Ready {
                ssh: SocketAddr::from(([127, 0, 0, 1], 0)),
                http: SocketAddr::from(([127, 0, 0, 1], 0)),
                workspace: "default".to_owned(),
                pid: 0,
            },
            first: String::new(),
        };
        gateway.start_again();
        gateway
    }

    /// Starts it again after it ended, on the same ports.
    #[track_caller]
    pub fn start_again(&mut self) {
        let ready_file = self.folder.join("ready.json");
        fs::remove_file(&ready_file).ok();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the test's folder is writable");
        let mut command = self.command();
        command
            .arg("up")
            .arg("--ssh-listen")
            .arg(self.ready.ssh.to_string())
            .arg("--http-listen")
            .arg(self.ready.http.to_string())
            .arg("--authorized-key")
            .arg(keys::public(&self.identity))
            .arg("--workspace")
            .arg(&self.ready.workspace)
            .arg("--ready-file")
            .arg(&ready_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"));
        // The log takes both; `Running` follows standard error, so a shell joins them.
        let mut joined = Command::new("/bin/sh");
        joined
            .arg("-c")
            .arg(format!("{}exec \"$@\" 2>&1", self.first))
            .arg("sh")
            .arg(command.get_program())
            .args(command.get_args())
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(log);
        for (name, value) in command.get_envs() {
            if value.is_none() {
                joined.env_remove(name);
            }
        }
        let mut process = Running::start_as_it_is(&mut joined);
        let ready = eventually(READY, "devgate's ready file", || {
            if let Some(status) = process.ended() {
                panic!("devgate up ended early, {status}:\n{}", self.log());
            }
            serde_json::from_str(&fs::read_to_string(&ready_file).ok()?).ok()
        });
        self.ready = ready;
        self.process = Some(process);
    }

    /// Starts it again after it ended, on whatever ports it picks.
    #[track_caller]
    pub fn start_again_on_port_0(&mut self) {
        self.ready.ssh.set_port(0);
        self.ready.http.set_port(0);
        self.start_again();
    }

    /// Has it start with a low limit of open files from now on.
    pub fn limit_open_files(&mut self, files: u32) {
        self.first = format!("ulimit -Sn {files} && ");
    }

    /// Returns what the gateway said about itself.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Returns its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the private key that it lets in.
    pub fn identity(&self) -> &Path {
        &self.identity
    }

    /// Returns how to connect to its first workspace.
    #[track_caller]
    pub fn access(&self) -> Access {
        let host_keys = files_below(&self.data)
            .into_iter()
            .filter(|file| {
                file.file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| name.starts_with("ssh_host_") && name.ends_with("_key.pub"))
            })
            .filter_map(|file| {
                let line = fs::read_to_string(file).ok()?;
                Some(
                    line.split_whitespace()
                        .take(2)
                        .collect::<Vec<_>>()
                        .join(" "),
                )
            })
            .collect::<Vec<_>>();
        assert!(!host_keys.is_empty(), "no host keys in the data folder");
        Access {
            address: self.ready.ssh,
            user: self.ready.workspace.clone(),
            identity: self.identity.clone(),
            host_keys,
        }
    }

    /// Runs `devgate` with arguments against this gateway's data folder.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Finished {
        self.cli_with(args, b"")
    }

    /// Runs `devgate` with arguments and something on its stdin.
    #[track_caller]
    pub fn cli_with(&self, args: &[&str], input: &[u8]) -> Finished {
        run(self.command().args(args), input, COMMAND)
    }

    /// Starts `devgate` with arguments against this gateway's data folder, and goes on.
    #[track_caller]
    pub fn start_cli(&self, args: &[&str]) -> Running {
        Running::start(self.command().args(args))
    }

    /// Kills the gateway, and it alone, with SIGKILL.
    #[track_caller]
    pub fn kill(&mut self) {
        crate::process::signal(self.ready.pid, Signal::SIGKILL);
        wait_until_gone(self.ready.pid, READY);
        self.process = None;
    }

    /// Asks the gateway to end and returns its exit status.
    #[track_caller]
    pub fn terminate(&mut self) -> i32 {
        let process = self.process.take().expect("the gateway runs");
        process.signal(Signal::SIGTERM);
        process.finish(READY).code()
    }

    /// Ends the gateway, if it runs.
    pub fn end(&mut self) {
        self.process = None;
    }

    /// Waits until the gateway has ended by itself and returns its exit status.
    #[track_caller]
    pub fn ended(&mut self) -> i32 {
        let process = self.process.take().expect("the gateway ran");
        process.finish(READY).code()
    }

    /// Returns the agents that run.
    pub fn agents(&self) -> Vec<Process> {
        let mut agents = survivors::of(&self.data);
        agents.retain(|process| process.program.starts_with("devgate-agent"));
        agents
    }

    /// Waits until exactly one agent runs and returns its process id.
    #[track_caller]
    pub fn agent(&self) -> u32 {
        eventually(READY, "one agent", || match self.agents().as_slice() {
            [agent] => Some(agent.pid),
            _ => None,
        })
    }

    /// Returns the home directory of the only workspace.
    #[track_caller]
    pub fn home(&self) -> PathBuf {
        let mut homes = fs::read_dir(self.data.join("workspaces"))
            .expect("there are workspaces")
            .filter_map(|entry| Some(entry.ok()?.path().join("home")));
        let home = homes.next().expect("there is a workspace");
        assert!(homes.next().is_none(), "there is one workspace");
        home
    }

    /// Returns what the gateway has logged.
    pub fn log(&self) -> String {
        fs::read(self.log_file())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("gateway.log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(built("devgate"));
        command
            .env("DEVGATE_DATA_DIR", &self.data)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("DISPLAY");
        command
    }

    /// Prints the end of every log: a test has failed.
    fn show_logs(&self) {
        let agents = files_below(&self.data);
        let agents = agents.iter().filter(|file| file.ends_with("agent.log"));
        for file in [self.log_file()].iter().chain(agents) {
            let text = fs::read(file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            let from = lines.len().saturating_sub(80);
            eprintln!("--- {}\n{}", file.display(), lines[from..].join("\n"));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        self.process = None;
        survivors::kill(&self.folder);
    }
}

/// Makes an empty file that can be written to.
pub fn file(path: &Path) -> File {
    File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns every regular file below a folder; homes, which hold anything, apart.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != "home" => {
                files.extend(files_below(&entry.path()));
            }
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}
