//! code-server's process: where it is, what it is told, and how it is started.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devgate_protocol::SessionOpen;
use devgate_protocol::config::{AgentConfig, EditorConfig};
use devgate_protocol::mark::Mark;

use super::machine;
use crate::agent::Agent;
use crate::log::LogFile;
use crate::process::{Child, End, Environment, Program, Stdio};

/// Name of the program.
const PROGRAM: &str = "code-server";

/// Its usual folder in the home directory.
const DATA_FOLDER: &str = ".local/share/code-server";

/// Names in the runtime folder.
const SOCKET: &str = "editor.sock";
const SESSION_SOCKET: &str = "editor-session.sock";
const CONFIG: &str = "editor.yaml";
const LOG: &str = "editor.log";

/// What doesn't change while the agent runs.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) mark: Mark,
    pub(super) config: EditorConfig,
    home: PathBuf,
    runtime: PathBuf,
    log: LogFile,
}

impl Settings {
    pub(super) fn new(config: &AgentConfig) -> Self {
        Self {
            mark: config.mark(),
            config: config.editor.clone(),
            home: config.home.clone(),
            runtime: config.runtime.clone(),
            log: LogFile::new(config.runtime.join(LOG)),
        }
    }

    /// Returns the socket that it listens on.
    pub(super) fn socket(&self) -> PathBuf {
        self.runtime.join(SOCKET)
    }

    /// Returns its log.
    pub(super) fn log(&self) -> &LogFile {
        &self.log
    }

    /// Returns how long somebody waits for it: a start, and a little more.
    pub(super) fn patience(&self) -> Duration {
        self.config.start_timeout + Duration::from_secs(5)
    }

    /// Finds the program.
    pub(super) fn find(&self, agent: &Agent) -> Option<PathBuf> {
        let environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
        environment.find(self.program())
    }

    /// Returns the program's path, or its name on `PATH`.
    pub(super) fn program(&self) -> &Path {
        self.config.program.as_deref().unwrap_or(Path::new(PROGRAM))
    }

    /// Starts the server.
    pub(super) async fn start(&self, agent: &Agent) -> io::Result<(Child, End)> {
        let socket = self.socket();
        // A predecessor that was killed has left it.
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut arguments: Vec<OsString> = vec![
            "--auth".into(),
            "none".into(),
            "--socket".into(),
            socket.into(),
            "--socket-mode".into(),
            "600".into(),
            "--session-socket".into(),
            self.runtime.join(SESSION_SOCKET).into(),
            // Its own proxy would put applications on the editor's origin.
            "--disable-proxy".into(),
            "--disable-telemetry".into(),
            "--disable-update-check".into(),
            "--disable-workspace-trust".into(),
            "--disable-getting-started-override".into(),
        ];
        arguments.extend(self.places()?);
        // What opens where the address names no folder.
        arguments.push(self.home.clone().into());
        self.run(agent, &arguments).await
    }

    /// Installs an extension.
    pub(super) async fn install(&self, agent: &Agent, extension: &str) -> io::Result<(Child, End)> {
        let mut arguments: Vec<OsString> = vec!["--install-extension".into(), extension.into()];
        arguments.extend(self.places()?);
        self.run(agent, &arguments).await
    }

    /// Returns the arguments that name its configuration and its folders, which are
    /// made where they are missing.
    fn places(&self) -> io::Result<[OsString; 6]> {
        // Without one it would write a password to one in the home directory.
        let config = self.runtime.join(CONFIG);
        fs::write(&config, "auth: none\n")?;
        let data = match &self.config.data_folder {
            Some(folder) => self.home.join(folder),
            None => self.home.join(DATA_FOLDER),
        };
        let extensions = match &self.config.extensions_folder {
            Some(folder) => self.home.join(folder),
            None => data.join("extensions"),
        };
        for folder in [&data, &extensions] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        if let Some(settings) = &self.config.settings {
            machine::add(&data, settings)?;
        }
        Ok([
            "--config".into(),
            config.into(),
            "--user-data-dir".into(),
            data.into(),
            "--extensions-dir".into(),
            extensions.into(),
        ])
    }

    async fn run(&self, agent: &Agent, arguments: &[OsString]) -> io::Result<(Child, End)> {
        let environment = Environment::new(agent, &SessionOpen::default(), Vec::new());
        let file = self.find(agent).ok_or(io::ErrorKind::NotFound)?;
        let log = self.log.open()?;
        let text = |text: &OsStr| CString::new(text.as_bytes());
        let mut all = vec![text(file.as_os_str())?];
        for argument in arguments {
            all.push(text(argument)?);
        }
        let program = Program {
            file: text(file.as_os_str())?,
            arguments: all,
            environment: environment.to_c(),
            folder: text(self.home.as_os_str())?,
            stdio: Stdio::Pipes {
                stdin: nothing()?,
                stdout: log.try_clone()?.into(),
                stderr: log.into(),
            },
            inherited: None,
        };
        agent.children().spawn(program).await
    }
}

fn nothing() -> io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}
