//! A repository that a git server of the test's own hands out.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::component::program;
use crate::ports;
use crate::process::{Running, run};
use crate::wait::{SOON, until};

/// How long one git command may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A repository named `api` and its server, which ends with this.
pub struct Repository {
    folder: PathBuf,
    port: u16,
    server: Option<Running>,
}

/// A server that hands a [`Repository`] out to those alone who may have it. It ends with
/// this.
pub struct Private {
    port: u16,
    _server: Running,
}

impl Private {
    /// Returns the repository's address there.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.port)
    }
}

impl Repository {
    /// Makes one in a folder with those files, and a server for it.
    #[track_caller]
    pub fn start(folder: &Path, files: &[(&str, &str)]) -> Self {
        let repository = Self::empty(folder);
        repository.commit(files);
        repository
    }

    /// Makes one in a folder without any commit, and a server for it.
    #[track_caller]
    pub fn empty(folder: &Path) -> Self {
        let root = folder.join("git");
        fs::create_dir_all(root.join("api")).expect("the test's folder is writable");
        let mut repository = Self {
            folder: root,
            port: ports::free(),
            server: None,
        };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.serve();
        repository
    }

    /// Says which branch is cloned where nobody names one, whether it is there or not.
    #[track_caller]
    pub fn set_default_branch(&self, branch: &str) {
        self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("git://127.0.0.1:{}/api", self.port)
    }

    /// Writes files, and commits all that changed.
    #[track_caller]
    pub fn commit(&self, files: &[(&str, &str)]) {
        for (file, text) in files {
            let path = self.folder.join("api").join(file);
            let parent = path.parent().expect("a file is in a folder");
            fs::create_dir_all(parent).expect("the test's folder is writable");
            fs::write(path, text).expect("the test's folder is writable");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=Change"]);
    }

    /// Commits what is small and unfolds to 10⁸ files.
    #[track_caller]
    pub fn commit_bomb(&self) {
        let script = "one=$(echo x | git hash-object -w --stdin) kind='100644 blob'; \
             for level in 1 2 3 4 5 6 7 8; do \
               one=$(for file in 0 1 2 3 4 5 6 7 8 9; do \
                 printf '%s %s\\t%s\\n' \"$kind\" $one $file; done | git mktree); \
               kind='040000 tree'; \
             done; \
             git update-ref refs/heads/main $(git -c user.name=Ada -c user.email=ada@example.org \
               commit-tree -m Bomb $one)";
        let mut shell = Command::new(program("sh"));
        shell
            .current_dir(self.folder.join("api"))
            .args(["-euc", script]);
        let _ = run(&mut shell, b"", LIMIT).ok();
    }

    /// Ends its server.
    pub fn take_away(&mut self) {
        self.server = None;
    }

    /// Starts its server, on the same port.
    #[track_caller]
    pub fn serve(&mut self) {
        let mut daemon = Command::new(program("git"));
        daemon
            .args([
                "daemon",
                "--reuseaddr",
                "--export-all",
                "--listen=127.0.0.1",
            ])
            .arg(format!("--port={}", self.port))
            .arg(format!("--base-path={}", self.folder.display()))
            .arg(&self.folder);
        self.server = Some(Running::start(&mut daemon));
        until(SOON, "git's server", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
        });
    }

    /// Starts a server that hands it out to those alone who show `USER:PASSWORD`, by HTTP.
    #[track_caller]
    pub fn serve_privately(&self, shown: &str) -> Private {
        let port = ports::free();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/private_git.py");
        let mut server = Command::new(program("python3"));
        server
            .arg(script)
            .arg(port.to_string())
            .arg(&self.folder)
            .arg(shown);
        let server = Running::start(&mut server);
        until(SOON, "git's server by HTTP", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Private {
            port,
            _server: server,
        }
    }

    #[track_caller]
    fn git(&self, args: &[&str]) {
        let mut git = Command::new(program("git"));
        git.current_dir(self.folder.join("api"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(args);
        let _ = run(&mut git, b"", LIMIT).ok();
    }
}
