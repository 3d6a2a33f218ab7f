//! Stock OpenSSH clients, told by one configuration file where to connect.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::component::program;
use crate::process::{Finished, Running, run, run_between};

/// The name under which the configuration file knows the workspace.
pub const HOST: &str = "ws";

/// How long one command may take.
const LIMIT: Duration = Duration::from_mins(1);

/// What a client needs to know to connect.
pub struct Access {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The user name to ask for: the workspace.
    pub user: String,
    /// File with the private key.
    pub identity: PathBuf,
    /// The server's public host keys, each `type base64`.
    pub host_keys: Vec<String>,
}

impl Access {
    /// Writes `folder/ssh_config` and the pinned host keys and returns the path
    /// of the former.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let known = folder.join("known_hosts");
        let keys = self.host_keys.iter().fold(String::new(), |mut all, key| {
            writeln!(all, "pinned {key}").unwrap();
            all
        });
        fs::write(&known, keys).expect("the test's folder is writable");
        let config = folder.join("ssh_config");
        let text = format!(
            "Host {HOST}\n\
             HostName {}\nPort {}\nUser {}\nIdentityFile {}\n\
             IdentitiesOnly yes\nIdentityAgent none\nHostKeyAlias pinned\n\
             UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\n\
             StrictHostKeyChecking yes\nUpdateHostKeys no\nBatchMode yes\n\
             ConnectTimeout 15\nLogLevel ERROR\n",
            self.address.ip(),
            self.address.port(),
            self.user,
            self.identity.display(),
            known.display(),
        );
        fs::write(&config, text).expect("the test's folder is writable");
        config
    }
}

/// An `ssh` command line in the making.
pub struct Ssh {
    command: Command,
    limit: Duration,
    input: Vec<u8>,
}

impl Ssh {
    /// Begins a command line with a configuration file.
    pub fn with_config(config: &Path) -> Self {
        let mut command = plain("ssh");
        command.arg("-F").arg(config);
        Self {
            command,
            limit: LIMIT,
            input: Vec::new(),
        }
    }

    /// Adds `-o option`. The first value given wins, over the file as well.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.command.arg("-o").arg(option);
        self
    }

    /// Adds arguments before the host's name.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the client's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Asks for another user name: another workspace.
    #[must_use]
    pub fn user(self, name: &str) -> Self {
        self.args(["-l", name])
    }

    /// Logs in with another key.
    #[must_use]
    pub fn identity(self, file: &Path) -> Self {
        // A file of the configuration would be tried as well.
        self.option(&format!("IdentityFile={}", file.display()))
    }

    /// Connects to another address, such as a proxy's.
    #[must_use]
    pub fn via(self, address: SocketAddr) -> Self {
        self.option(&format!("HostName={}", address.ip()))
            .option(&format!("Port={}", address.port()))
    }

    /// Sets what is on the command's standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs `remote` to its end.
    #[track_caller]
    pub fn run(mut self, remote: impl AsRef<OsStr>) -> Finished {
        self.command.arg(HOST).arg(remote);
        run(&mut self.command, &self.input, self.limit)
    }

    /// Runs `remote` to its end between two files.
    #[track_caller]
    pub fn run_between(mut self, remote: &str, from: File, to: File) -> Finished {
        self.command.arg(HOST).arg(remote);
        run_between(&mut self.command, from, to, self.limit)
    }

    /// Runs a connection without a command to its end, as for `-W`.
    #[track_caller]
    pub fn run_without_command(mut self) -> Finished {
        self.command.arg(HOST);
        run(&mut self.command, &self.input, self.limit)
    }

    /// Starts `remote` and goes on.
    #[track_caller]
    pub fn start(mut self, remote: impl AsRef<OsStr>) -> Running {
        self.command.arg(HOST).arg(remote);
        Running::start(&mut self.command)
    }

    /// Starts a connection without a command, as for `-N`.
    #[track_caller]
    pub fn start_without_command(mut self) -> Running {
        self.command.arg("-N").arg(HOST);
        Running::start(&mut self.command)
    }

    /// Starts `remote` with the caller's own standard input and output.
    #[track_caller]
    pub fn start_between(
        mut self,
        remote: &str,
        input: impl Into<Stdio>,
        output: impl Into<Stdio>,
    ) -> Running {
        self.command.arg(HOST).arg(remote);
        self.command.stdin(input).stdout(output);
        Running::start_as_it_is(&mut self.command)
    }
}

/// Returns a command that inherits nothing that would change how SSH behaves.
#[track_caller]
pub fn plain(name: &str) -> Command {
    let mut command = Command::new(program(name));
    for variable in [
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "SSH_CONNECTION",
        "SSH_CLIENT",
        "SSH_TTY",
        "DISPLAY",
        "XAUTHORITY",
        "TMUX",
        "GIT_DIR",
        "GIT_WORK_TREE",
    ] {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C.UTF-8");
    command
}
