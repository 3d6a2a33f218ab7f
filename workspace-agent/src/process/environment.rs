//! The environment of a session's program.
//!
//! Later wins: the agent's own (a few variables; in a container all of them, because
//! the image's are among them), the workspace's configuration, what the gateway told since,
//! what it adds for the session, the workspace's secrets, what an SSH client sends, what the
//! session itself decides, and what is asked for a process over the API.
//!
//! Either may set anything but what starts with `LD_`, which would change every
//! program of the session before its first instruction, and `DEVGATE_`, which is ours.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use devgate_protocol::SessionOpen;
use devgate_protocol::environment::{is_allowed, is_reserved};
use devgate_protocol::frame::Variable;
use tracing::debug;

use crate::agent::Agent;
use crate::awake::SOCKET_VARIABLE;
use crate::init::{WORKSPACE_VARIABLE, is_first_process};

/// PATH where nobody sets one.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// LANG where nobody sets one: every C library has it, and it is UTF-8.
const DEFAULT_LANG: &str = "C.UTF-8";

/// What is taken from the agent's own environment where it isn't process 1.
const INHERITED: [&str; 4] = ["PATH", "LANG", "TZ", "LC_ALL"];

/// Variables that a program is started with.
#[derive(Debug)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Gathers the variables that don't depend on what the session prepares.
    pub(crate) fn new(agent: &Agent, open: &SessionOpen, client: Vec<Variable>) -> Self {
        let which = if is_first_process() {
            Inherit::All
        } else {
            Inherit::Few
        };
        let mut variables = Self(inherited(&which));
        variables.default("PATH", DEFAULT_PATH);
        variables.default("LANG", DEFAULT_LANG);
        let told = agent.secrets().environment();
        let configured = agent.config().environment.iter();
        for (name, value) in configured.chain(&told).chain(&open.environment) {
            variables.put(name, value);
        }
        for (name, value) in agent.secrets().variables() {
            variables.put(name, value.expose());
        }
        for Variable { name, value } in client {
            if is_allowed(&name, &value) {
                variables.put(&name, value);
            } else {
                debug!(name, "a client's variable was ignored");
            }
        }
        variables.put("HOME", agent.home());
        variables.put("USER", &agent.account().name);
        variables.put("LOGNAME", &agent.account().name);
        variables.put("SHELL", agent.shell());
        variables.put(WORKSPACE_VARIABLE, &agent.config().workspace);
        variables.put(SOCKET_VARIABLE, agent.awake().socket());
        variables.append_path(&agent.awake().programs());
        if let Some(peer) = &open.peer {
            let (client, client_port, server_port) =
                (peer.client, peer.client_port, peer.server_port);
            variables.put(
                "SSH_CLIENT",
                format!("{client} {client_port} {server_port}"),
            );
            let server = peer.server;
            variables.put(
                "SSH_CONNECTION",
                format!("{client} {client_port} {server} {server_port}"),
            );
        }
        variables
    }

    /// Sets what is asked for a process, as far as that is anybody's to set.
    pub(crate) fn ask(&mut self, asked: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in asked {
            if is_reserved(&name) {
                debug!(name, "a process's variable was ignored");
            } else {
                self.put(name, value);
            }
        }
    }

    /// Sets a variable, whatever it was.
    pub(crate) fn put(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.0
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
    }

    /// Returns the first executable file of that name on PATH.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = self.0.get(OsStr::new("PATH"))?;
        env::split_paths(path)
            .map(|folder| folder.join(name))
            .find(|file| is_executable(file))
    }

    /// Returns the executable file that is meant by a name on PATH or by a path, a
    /// relative one starting at the home directory.
    pub(crate) fn find(&self, program: &Path) -> Option<PathBuf> {
        if let Some(name) = program.to_str()
            && !name.contains('/')
        {
            return self.find_program(name);
        }
        let home = self.0.get(OsStr::new("HOME"))?;
        let file = Path::new(home).join(program);
        is_executable(&file).then_some(file)
    }

    /// Returns the variables as a program takes them.
    pub(crate) fn to_c(&self) -> Vec<CString> {
        let join = |(name, value): (&OsString, &OsString)| {
            // One with a null byte inside can't be passed on.
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
        };
        self.0.iter().filter_map(join).collect()
    }

    /// Adds a folder behind the others on PATH.
    fn append_path(&mut self, folder: &Path) {
        let path = self.0.entry("PATH".into()).or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push(folder);
    }

    fn default(&mut self, name: &str, value: &str) {
        self.0.entry(name.into()).or_insert_with(|| value.into());
    }
}

/// Which of the agent's own variables programs get.
enum Inherit {
    All,
    Few,
}

fn inherited(which: &Inherit) -> BTreeMap<OsString, OsString> {
    env::vars_os()
        .filter(|(name, _)| match which {
            Inherit::All => !name.as_bytes().starts_with(b"DEVGATE_"),
            Inherit::Few => INHERITED.iter().any(|inherited| name == inherited),
        })
        .collect()
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_a_process_comes_last() {
        let mut environment = Environment(BTreeMap::new());
        environment.put("HOME", "/home/dev");
        environment.put("DEVGATE_WORKSPACE_ID", "own");
        let asked = [
            ("HOME", "/tmp"),
            ("DEVGATE_WORKSPACE_ID", "other"),
            ("LD_PRELOAD", "x"),
        ];
        environment.ask(asked.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let variables = environment.to_c();
        let variables: Vec<_> = variables.iter().map(CString::as_c_str).collect();
        assert_eq!(variables, [c"DEVGATE_WORKSPACE_ID=own", c"HOME=/tmp"]);
    }
}
