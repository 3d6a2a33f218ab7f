//! The files of one workspace, and a note beside them all that it has a home: where the folder
//! is on a disk of its own which isn't mounted, or that was restored by half, it tells that from
//! a workspace that is new.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use devgate_protocol::config::{AgentConfig, DataTransport, Reach, Startup};

use super::{ProcessOptions, ProcessReach};
use crate::devcontainer::with_container;
use crate::drivers::{DEFAULT_PATH, DriverError, MAX_FILE, startup};
use crate::files::{read_regular, remove_tree, replace};
use crate::names::WorkspaceId;
use crate::workspaces::Workspace;

/// What the names of folders begin with that are being removed.
const REMOVED: &str = ".removed-";

/// Name of what an agent is told when it starts.
pub(super) const CONFIG: &str = "agent.toml";

/// Name of the folder of the notes, beside that of all workspaces.
pub(super) const NOTES: &str = "homes";

/// Where the files of one workspace are.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    all: PathBuf,
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(all: &Path, id: &WorkspaceId) -> Self {
        Self {
            all: all.to_owned(),
            root: all.join(id.as_str()),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.run().join("agent.sock")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.run().join(CONFIG)
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.run().join("agent.lock")
    }

    pub(super) fn pid(&self) -> PathBuf {
        self.run().join("agent.pid")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("log").join("agent.log")
    }

    fn note(&self) -> PathBuf {
        let id = self.root.file_name().unwrap_or_default();
        self.all.with_file_name(NOTES).join(id)
    }

    /// Refuses a home that was there and is gone: an empty one would be taken for it. One that is
    /// restored from elsewhere than the last one was may be missing.
    pub(super) fn check_home(&self, restoring: &str) -> Result<(), DriverError> {
        let note = self.note();
        let noted = match fs::read_to_string(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|source| DriverError::File {
                action: "read",
                path: note,
                source,
            })?,
        };
        let is_another = !restoring.is_empty() && noted != restoring;
        let home = self.home();
        if is_another || home.is_dir() {
            return Ok(());
        }
        Err(DriverError::HomeGone { path: home })
    }

    /// Takes note that the home is there, and from which restoring; empty where from none.
    pub(super) fn note_home(&self, restoring: &str) -> Result<(), DriverError> {
        let note = self.note();
        if fs::read(&note).is_ok_and(|noted| noted == restoring.as_bytes()) {
            return Ok(());
        }
        if let Some(notes) = note.parent() {
            make_folders(&[notes])?;
        }
        write(&note, restoring.as_bytes())
    }

    /// Makes all folders, and checks that the home can be written to.
    pub(super) fn create(&self) -> Result<(), DriverError> {
        make_folders(&[&self.all, &self.root, &self.run(), &self.root.join("log")])?;
        let home = self.home();
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        make_folder(&home)
            .and_then(|()| Ok(rustix::fs::access(&home, access)?))
            .map_err(|source| DriverError::HomeUnwritable { path: home, source })
    }

    /// Removes everything; what a removal that was cut short has left, too.
    pub(super) fn remove(&self) -> Result<(), DriverError> {
        let failed = |path: &Path, source| DriverError::File {
            action: "remove",
            path: path.to_owned(),
            source,
        };
        let name = self.root.file_name().unwrap_or_default().to_string_lossy();
        let removed = self.all.join(format!("{REMOVED}{name}"));
        // First out of the way, so that it never looks like one that can be used.
        match fs::rename(&self.root, &removed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // One is there from a removal that was cut short before.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                remove_tree(&removed).map_err(|source| failed(&removed, source))?;
                fs::rename(&self.root, &removed).map_err(|source| failed(&self.root, source))?;
            }
            Err(source) => return Err(failed(&self.root, source)),
            Ok(()) => {}
        }
        remove_tree(&removed).map_err(|source| failed(&removed, source))?;
        let note = self.note();
        remove_tree(&note).map_err(|source| failed(&note, source))
    }

    /// Writes what the agent is told when it starts.
    pub(super) fn write_config(
        &self,
        options: &ProcessOptions,
        workspace: &Workspace,
    ) -> Result<(), DriverError> {
        let reach = match &options.reach {
            ProcessReach::Socket => Reach::Socket {
                path: self.socket(),
                gateway: None,
            },
            ProcessReach::Dial { gateways, issue } => {
                let credentials = issue(&workspace.id).map_err(DriverError::Certificate)?;
                let (ca, certificate, key) = (
                    self.run().join("ca.pem"),
                    self.run().join("agent.pem"),
                    self.run().join("agent.key"),
                );
                write(&ca, credentials.ca_pem.as_bytes())?;
                write(&certificate, credentials.identity.chain_pem.as_bytes())?;
                write(&key, credentials.identity.key_pem.expose().as_bytes())?;
                Reach::Dial {
                    gateways: gateways.clone(),
                    ca,
                    certificate,
                    key,
                    data: DataTransport::Auto,
                }
            }
        };
        let mut editor = options.editor.clone();
        let extensions = &workspace.blueprint.extensions;
        editor.extensions.extend_from_slice(extensions);
        editor.settings = workspace.blueprint.settings_of_editor();
        let known = environment(options, workspace);
        let config = AgentConfig {
            workspace: workspace.id.to_string(),
            home: self.home(),
            runtime: self.run(),
            shell: workspace.blueprint.shell.clone().or(options.shell.clone()),
            reach,
            environment: known.clone(),
            editor,
            terminals: options.terminals.clone(),
            startup: Startup {
                // A process has no container: what is once in one is once in the folder.
                state_folder: Some(self.root.join("state")),
                ..startup::of(&options.startup, &workspace.blueprint, |name| {
                    known.get(name).cloned().or_else(|| inherited(name))
                })
            },
        };
        let path = self.config();
        let text = toml::to_string(&config).map_err(|error| DriverError::File {
            action: "write",
            path: path.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, error),
        })?;
        write(&path, text.as_bytes())
    }
}

/// Returns the workspaces that have a folder; one whose removal was cut short has.
pub(super) fn kept(all: &Path) -> Result<Vec<WorkspaceId>, DriverError> {
    let entries = match fs::read_dir(all) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(DriverError::File {
                action: "read",
                path: all.to_owned(),
                source,
            });
        }
        Ok(entries) => entries,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter_map(|name| name.strip_prefix(REMOVED).unwrap_or(&name).parse().ok())
        .collect())
}

/// Returns a variable of what an agent inherits, which is all that a container's would be.
fn inherited(name: &str) -> Option<String> {
    if !super::slot::INHERITED.contains(&name) {
        return None;
    }
    let default = || (name == "PATH").then(|| DEFAULT_PATH.to_owned());
    std::env::var(name).ok().or_else(default)
}

fn environment(options: &ProcessOptions, workspace: &Workspace) -> BTreeMap<String, String> {
    let mut environment = options.environment.clone();
    environment.extend(workspace.blueprint.environment.clone());
    for (name, value) in &workspace.blueprint.remote_environment {
        let known = |name: &str| environment.get(name).cloned().or_else(|| inherited(name));
        let value = with_container(value, known);
        environment.insert(name.clone(), value);
    }
    environment.extend(workspace.variables());
    environment
}

/// Replaces a file as a whole, with mode 0600.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), DriverError> {
    replace(path, bytes).map_err(|source| DriverError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// Opens a log to be appended to, with mode 0600.
pub(super) fn open_log(path: &Path) -> Result<File, DriverError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| DriverError::File {
            action: "open",
            path: path.to_owned(),
            source,
        })
}

/// Makes folders that aren't there, for nobody but their owner.
pub(super) fn make_folders(folders: &[&Path]) -> Result<(), DriverError> {
    folders.iter().try_for_each(|folder| {
        make_folder(folder).map_err(|source| DriverError::File {
            action: "make the folder",
            path: folder.to_path_buf(),
            source,
        })
    })
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}
/// Returns a file as text; `None` where there is none.
pub(super) fn text(path: PathBuf) -> Result<Option<String>, DriverError> {
    match read_regular(&path, MAX_FILE) {
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DriverError::File {
            action: "read",
            path,
            source,
        }),
    }
}
