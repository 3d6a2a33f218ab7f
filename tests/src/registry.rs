//! A registry for images: Debian's docker-registry.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::component::program;
use crate::process::{Running, run};
use crate::wait::eventually;

/// How long it may take to listen.
const READY: Duration = Duration::from_secs(20);

/// Who may use one that asks.
pub const USER: &str = "ada";

/// Their password.
pub const PASSWORD: &str = "a password that no log has";

/// Makes a line of a password file, as Apache's htpasswd does.
const HASH: &str = "import crypt, sys; print('%s:%s' % (sys.argv[1], \
                    crypt.crypt(sys.stdin.read(), crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))))";

/// A running registry. Dropping it ends it.
pub struct Registry {
    address: String,
    _process: Running,
}

/// Whether it asks who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Everybody may.
    Nobody,
    /// [`USER`] may.
    Everybody,
}

impl Registry {
    /// Starts one with its files in `folder`.
    #[track_caller]
    pub fn start(folder: &Path, asks: Asks) -> Self {
        let folder = folder.join("registry");
        fs::create_dir_all(folder.join("images")).expect("the test's folder is writable");
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             http: {{addr: '127.0.0.1:0'}}\n",
            folder.join("images").display()
        );
        if asks == Asks::Everybody {
            let passwords = folder.join("passwords");
            let mut python = Command::new(program("python3"));
            python.args(["-W", "ignore", "-c", HASH, USER]);
            let line = run(&mut python, PASSWORD.as_bytes(), READY).ok().out();
            fs::write(&passwords, line).expect("the test's folder is writable");
            let passwords = passwords.display();
            write!(
                config,
                "auth:\n  htpasswd: {{realm: tests, path: {passwords}}}\n"
            )
            .expect("a string takes it");
        }
        let file = folder.join("config.yml");
        fs::write(&file, config).expect("the test's folder is writable");
        let mut command = Command::new(program("docker-registry"));
        command.arg("serve").arg(&file).stdin(Stdio::null());
        let mut process = Running::start_as_it_is(&mut command);
        let address = eventually(READY, "a registry that listens", || {
            if let Some(status) = process.ended() {
                panic!(
                    "docker-registry ended early, {status}:\n{}",
                    process.errors()
                );
            }
            let said = process.errors() + &process.output();
            let (_, rest) = said.split_once("listening on ")?;
            let end = rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':'))?;
            rest.get(..end).map(str::to_owned)
        });
        Self {
            address,
            _process: process,
        }
    }

    /// Returns the name of an image there.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }
}
