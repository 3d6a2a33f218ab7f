//! SSH clients other than OpenSSH's: libraries, driven by the programs in `tests/clients`,
//! and what tells such a program where to go.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::component::{cache, program};
use crate::keys;
use crate::process::run;
use crate::ssh::plain;
use crate::target::Target;
use crate::{ports, servers};

/// How long such a program may take.
const LIMIT: Duration = Duration::from_mins(1);

/// How large the file is that goes there and back, in bytes.
const LARGE: usize = 5_000_000;

/// Where Debian puts `JSch`.
const JSCH: &str = "/usr/share/java/jsch.jar";

/// A library, by the program that uses it.
#[derive(Clone, Copy, Debug)]
pub enum Library {
    /// One for Python.
    Python(&'static str),
    /// One for Node.
    Node(&'static str),
    /// One for Java.
    Java(&'static str),
}

/// What the programs are told.
pub struct Errand {
    file: PathBuf,
    large: PathBuf,
}

impl Errand {
    /// Prepares an errand with a key, and a folder and servers of its own.
    #[track_caller]
    pub fn new(target: &Target, identity: &Path) -> Self {
        let access = target.access();
        let large = large(target);
        let lines = [
            ("host", access.address.ip().to_string()),
            ("port", access.address.port().to_string()),
            ("user", access.user),
            ("identity", identity.display().to_string()),
            ("host_keys", access.host_keys.join(",")),
            ("folder", target.make_folder("here").display().to_string()),
            ("large", large.display().to_string()),
            ("echo", servers::echo("127.0.0.1:0").port().to_string()),
            ("closed", ports::free().to_string()),
        ];
        let text = lines.iter().fold(String::new(), |mut text, (name, value)| {
            writeln!(text, "{name}={value}").unwrap();
            text
        });
        let file = target.path("errand.properties");
        fs::write(&file, text).expect("the test's folder is writable");
        Self { file, large }
    }

    /// Returns the path of the large file.
    pub fn large(&self) -> &Path {
        &self.large
    }

    /// Runs a library's program to its end and returns the steps that it says are done.
    #[track_caller]
    pub fn run(&self, library: Library, more: &[&str]) -> Vec<String> {
        let mut command = library.command();
        let done = run(command.arg(&self.file).args(more), b"", LIMIT).ok();
        let out = done.out();
        let steps = out.lines().filter_map(|line| line.strip_prefix("done: "));
        steps.map(str::to_owned).collect()
    }
}

impl Library {
    #[track_caller]
    fn command(self) -> Command {
        let folder = cache().join("clients");
        let source = |name: &str| {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("clients")
                .join(name)
        };
        match self {
            Self::Python(name) => {
                let mut python = python("python");
                python.arg(source(name)).env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
            Self::Node(name) => {
                let modules = folder.join("node_modules");
                assert_installed(&modules.join("ssh2"));
                let mut node = plain("node");
                node.arg(source(name)).env("NODE_PATH", modules);
                node
            }
            Self::Java(name) => {
                assert_installed(Path::new(JSCH));
                let mut java = plain("java");
                // It starts faster so.
                java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", JSCH])
                    .arg(source(name));
                java
            }
        }
    }
}

/// Returns a program of the Python libraries' environment.
#[track_caller]
pub fn python(name: &str) -> Command {
    let path = cache().join("clients/python/bin").join(name);
    assert_installed(&path);
    let mut command = Command::new(path);
    command.env_remove("SSH_AUTH_SOCK").env("LC_ALL", "C.UTF-8");
    command
}

/// Makes a file of some MB in which no part is like another, and returns its path.
#[track_caller]
pub fn large(target: &Target) -> PathBuf {
    let path = target.path("large");
    let words = (0u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    fs::write(&path, words.take(LARGE).collect::<Vec<_>>()).expect("the folder is writable");
    path
}

/// Makes an ECDSA key in the format that everybody reads, and has it let in.
#[track_caller]
pub fn old_key(target: &Target) -> PathBuf {
    let file = target.path("ecdsa");
    let mut command = Command::new(program("ssh-keygen"));
    command
        .args([
            "-q", "-t", "ecdsa", "-b", "256", "-m", "PEM", "-N", "", "-f",
        ])
        .arg(&file);
    let _ = run(&mut command, b"", LIMIT).ok();
    target.admit(&keys::public(&file));
    file
}

#[track_caller]
fn assert_installed(path: &Path) {
    assert!(
        path.exists(),
        "{} is missing: sh scripts/setup-tests.sh",
        path.display()
    );
}
