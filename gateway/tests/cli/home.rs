//! A person's account for one test: a home, keys, a data folder, and the binary.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A home of its own for one test.
pub(crate) struct Home {
    root: tempfile::TempDir,
}

/// A server that accepts connections. Dropping it ends it and its agents.
pub(crate) struct Server<'a> {
    home: &'a Home,
    child: Child,
    /// What it said on stdout.
    pub(crate) greeting: String,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(".ssh")).unwrap();
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file and returns its path as text.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Returns the binary with this home and nothing of the tests' environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_devgate"));
        let agent = binary.with_file_name("devgate-agent");
        assert!(
            agent.exists(),
            "{} is missing: run `cargo build -p devgate-agent` first",
            agent.display()
        );
        let mut command = Command::new(binary);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.root.path())
            .env("DEVGATE_DATA_DIR", self.data())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// Runs a command that must succeed, and returns what it says in JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--json"]].concat();
        let said = self.run(&args);
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {said:?}"))
    }

    /// Starts a server on free ports and waits until it accepts connections.
    pub(crate) fn up(&self, args: &[&str]) -> Server<'_> {
        let fixed = [
            "up",
            "--ssh-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
        ];
        let mut child = self
            .command(&[&fixed, args].concat())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.path("log")).unwrap())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("Ctrl-C") {
            let read = said.read_line(&mut greeting).unwrap();
            assert_ne!(read, 0, "the server ended: {}", self.log());
        }
        Server {
            home: self,
            child,
            greeting,
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Server<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a service manager does, and returns its exit code.
    /// Its agents go on.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(self.pid().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Agents outlive their server: delete what would stay behind.
        let listed = self.home.run(&["list", "--json"]);
        let workspaces: Vec<Value> = serde_json::from_str(&listed.out).unwrap_or_default();
        for workspace in workspaces {
            let (name, owner) = (&workspace["name"], &workspace["owner"]);
            let target = format!("{}.{}", name.as_str().unwrap(), owner.as_str().unwrap());
            self.home.run(&["delete", "--yes", &target]);
        }
        self.terminate();
    }
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Asserts that it failed with this code and one line that has these words.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {self:?}");
        }
    }
}
