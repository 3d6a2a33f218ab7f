//! What a `devcontainer.json` says (<https://containers.dev/implementors/json_reference>).

use std::collections::BTreeMap;

use super::common::{Common, Hook, environment, expected, table, text, texts};
use super::document::{Entry, Value};
use super::ports::Ports;
use super::{DevcontainerError, Notes, Purpose};
use crate::config::rules::{check_image, is_user};
use crate::names::InstallationId;

/// What the names of images begin with that devgate makes; its installation's id follows.
const OURS: &str = "devgate-";

/// Most features.
const MAX_FEATURES: usize = 50;

/// What it says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) common: Common,
    pub(super) image: Option<(usize, String)>,
    pub(super) build: Option<Build>,
    container_user: Option<(usize, String)>,
    remote_user: Option<(usize, String)>,
    pub(super) remote_environment: BTreeMap<String, String>,
    pub(super) ports: Ports,
    /// Features by what they are named, with their options.
    pub(super) features: Vec<Entry>,
    pub(super) order: Vec<String>,
    /// The last command that the workspace isn't usable before.
    pub(super) wait_for: Option<Hook>,
}

/// How an image is built.
#[derive(Debug, Default)]
pub(super) struct Build {
    pub(super) line: usize,
    pub(super) dockerfile: Option<(usize, String)>,
    pub(super) context: Option<(usize, String)>,
    pub(super) arguments: BTreeMap<String, String>,
    pub(super) target: Option<(usize, String)>,
}

impl Said {
    /// Returns the user that everything runs as, where it names one, and in which line.
    pub(super) fn user(&self) -> Option<(usize, &str)> {
        let user = self.remote_user.as_ref().or(self.container_user.as_ref())?;
        Some((user.0, &user.1))
    }
}

/// Reads a file's entries.
pub(super) fn read(
    entries: &[Entry],
    purpose: Purpose<'_>,
    notes: &mut Notes,
) -> Result<Said, DevcontainerError> {
    let mut said = Said {
        wait_for: Some(Hook::UpdateContent),
        ..Said::default()
    };
    for entry in entries {
        if !said.common.read(entry, notes)? && !said.own(entry, purpose, notes)? {
            unsupported(entry, notes);
        }
    }
    if let (Some((line, _)), Some(_)) = (&said.image, &said.build) {
        return Err(notes.wrong(
            *line,
            "image",
            "there is a build beside it: name one of the two",
        ));
    }
    if let Some(build) = &said.build
        && build.dockerfile.is_none()
    {
        let problem = "name the Dockerfile: \"dockerfile\": \"Dockerfile\"";
        return Err(notes.wrong(build.line, "build", problem));
    }
    if let (Some(remote), Some((line, container))) = (&said.remote_user, &said.container_user)
        && remote.1 != *container
    {
        notes.note(*line, "containerUser", "everything runs as remoteUser");
    }
    Ok(said)
}

/// Tells whether an image is one that an installation made, whichever: several may share an
/// engine. A registry's name before it may mean the same image.
fn is_ours(image: &str) -> bool {
    image.split('/').any(|part| {
        let id = part.strip_prefix(OURS).map(|rest| {
            let ends = |c: char| !c.is_ascii_alphanumeric();
            rest.split(ends).next().unwrap_or_default()
        });
        id.is_some_and(|id| id.parse::<InstallationId>().is_ok())
    })
}

impl Said {
    /// Reads an entry that a feature doesn't have; tells whether it is one.
    fn own(
        &mut self,
        entry: &Entry,
        purpose: Purpose<'_>,
        notes: &mut Notes,
    ) -> Result<bool, DevcontainerError> {
        let line = entry.line;
        match entry.name.as_str() {
            // What it is called is for people; and which schema checks it, for editors.
            "name" | "$schema" => {
                text(entry, notes)?;
            }
            "image" => {
                let image = text(entry, notes)?;
                check_image(image).map_err(|problem| notes.wrong(line, "image", &problem))?;
                if is_ours(image) {
                    let problem = "images of devgate's own, such as snapshots, are taken by \
                                   `devgate create --snapshot`";
                    return Err(notes.wrong(line, "image", problem));
                }
                self.image = Some((line, image.to_owned()));
            }
            "build" => {
                for inner in table(entry, notes)? {
                    self.build_part(inner, &inner.name, notes)?;
                }
                self.build.get_or_insert_default().line = line;
            }
            // As it was written before there was `build`.
            "dockerFile" => self.build_part(entry, "dockerfile", notes)?,
            "context" => self.build_part(entry, "context", notes)?,
            "remoteUser" => self.remote_user = user(entry, notes)?,
            "containerUser" => self.container_user = user(entry, notes)?,
            "remoteEnv" => self.remote_environment = environment(entry, notes)?,
            "forwardPorts" => self.ports.read(entry, notes)?,
            "appPort" => {
                self.ports.read(entry, notes)?;
                let why = "nothing is published: the ports are reached through devgate";
                notes.note(line, "appPort", why);
            }
            "portsAttributes" => self.ports.attributes(entry, notes)?,
            "extensions" | "settings" => self.common.editor(entry, notes)?,
            "features" => {
                let features = table(entry, notes)?;
                if features.len() > MAX_FEATURES {
                    let problem = format!("name at most {MAX_FEATURES}");
                    return Err(notes.wrong(line, "features", &problem));
                }
                self.features = features.to_vec();
            }
            "overrideFeatureInstallOrder" => self.order = texts(entry, notes)?,
            "waitFor" => self.wait_for = wait_for(entry, notes)?,
            "workspaceFolder" => {
                let folder = purpose.folder.to_string_lossy();
                if text(entry, notes)?.trim_end_matches('/') != folder {
                    let why = format!("the repository is in {folder}, in the home, which is kept");
                    notes.note(line, "workspaceFolder", &why);
                }
            }
            "overrideCommand" if matches!(entry.node.value, Value::Bool(true)) => {}
            "shutdownAction" if matches!(&entry.node.value, Value::Text(it) if it == "none") => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn build_part(
        &mut self,
        entry: &Entry,
        part: &str,
        notes: &mut Notes,
    ) -> Result<(), DevcontainerError> {
        let line = entry.line;
        let build = self.build.get_or_insert_with(|| Build {
            line,
            ..Build::default()
        });
        match part {
            "dockerfile" => build.dockerfile = Some((line, text(entry, notes)?.to_owned())),
            "context" => build.context = Some((line, text(entry, notes)?.to_owned())),
            "target" => build.target = Some((line, text(entry, notes)?.to_owned())),
            "args" => build.arguments = environment(entry, notes)?,
            "cacheFrom" => {
                let why = "it isn't used: steps that were built before are, by the engine";
                notes.note(line, "build.cacheFrom", why);
            }
            other => {
                notes.note(line, &format!("build.{other}"), "it isn't supported");
            }
        }
        Ok(())
    }
}

fn user(entry: &Entry, notes: &Notes) -> Result<Option<(usize, String)>, DevcontainerError> {
    let user = text(entry, notes)?;
    if user.is_empty() {
        return Ok(None);
    }
    if !is_user(user) {
        let problem = format!("{user:?} is not a user: write one that the image has");
        return Err(notes.wrong(entry.line, &entry.name, &problem));
    }
    Ok(Some((entry.line, user.to_owned())))
}

fn wait_for(entry: &Entry, notes: &Notes) -> Result<Option<Hook>, DevcontainerError> {
    let name = text(entry, notes)?;
    if name == "initializeCommand" {
        return Ok(None);
    }
    let hook = Hook::named(name);
    hook.map(Some).ok_or_else(|| {
        let names = Hook::ALL.map(Hook::key).join(", ");
        expected(entry, &format!("one of initializeCommand, {names}"), notes)
    })
}

/// Names what isn't done, with what is done instead where there is something.
fn unsupported(entry: &Entry, notes: &mut Notes) {
    let why = match entry.name.as_str() {
        "initializeCommand" => "it isn't run: it would be on the server's host",
        "runArgs" => "a repository can't say how its container is run",
        "dockerComposeFile" | "service" | "runServices" => {
            "Docker Compose isn't supported: the image is the template's"
        }
        "workspaceMount" => "the repository is in the home, which is kept",
        "hostRequirements" => "what a workspace may use is for its template to say",
        "updateRemoteUserUID" => "nothing of the host's is mounted, so no user has to match",
        "userEnvProbe" => "programs run in login shells, which set their environment",
        "overrideCommand" => "the image's own command isn't run",
        "shutdownAction" => "a workspace runs until somebody stops it",
        "otherPortsAttributes" => "only single ports are supported, in portsAttributes",
        "secrets" => "they aren't asked for",
        "devPort" | "codespaces" => "it isn't supported",
        _ => "devgate doesn't know it",
    };
    notes.note(entry.line, &entry.name, why);
}
