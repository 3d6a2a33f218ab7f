//! What a `devcontainer.json` and a feature's metadata may both say.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::document::{Entry, Node, Value};
use super::{DevcontainerError, Notes, mounts};
use crate::config::rules::variable;
use crate::workspaces::{LifecycleRun, OwnMount};

/// Most commands that run beside each other.
const MAX_PARALLEL: usize = 50;

/// Most extensions of one file.
const MAX_EXTENSIONS: usize = 500;

/// When a command runs, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hook {
    OnCreate,
    UpdateContent,
    PostCreate,
    PostStart,
}

/// What one of the files says.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) environment: BTreeMap<String, String>,
    pub(super) mounts: Vec<OwnMount>,
    pub(super) extensions: Vec<String>,
    /// Extensions that another file's aren't to bring.
    pub(super) unwanted: Vec<String>,
    pub(super) settings: Map<String, Json>,
    pub(super) hooks: BTreeMap<Hook, LifecycleRun>,
}

impl Hook {
    pub(super) const ALL: [Self; 4] = [
        Self::OnCreate,
        Self::UpdateContent,
        Self::PostCreate,
        Self::PostStart,
    ];

    /// Returns the key that says it.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::OnCreate => "onCreateCommand",
            Self::UpdateContent => "updateContentCommand",
            Self::PostCreate => "postCreateCommand",
            Self::PostStart => "postStartCommand",
        }
    }

    pub(super) fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.key() == key)
    }
}

impl Common {
    /// Reads an entry, if it is one of both files'.
    pub(super) fn read(
        &mut self,
        entry: &Entry,
        notes: &mut Notes,
    ) -> Result<bool, DevcontainerError> {
        let (key, line) = (entry.name.as_str(), entry.line);
        if let Some(hook) = Hook::named(key) {
            self.hooks
                .extend(command(entry, notes)?.map(|run| (hook, run)));
            return Ok(true);
        }
        match key {
            "containerEnv" => self.environment = environment(entry, notes)?,
            "mounts" => self.mounts = mounts::read(entry, notes)?,
            "customizations" => self.customizations(entry, notes)?,
            "privileged" | "capAdd" | "securityOpt" => {
                let is_asked = match &entry.node.value {
                    Value::Bool(asked) => *asked,
                    Value::List(items) => !items.is_empty(),
                    _ => true,
                };
                if is_asked {
                    notes.note(
                        line,
                        key,
                        "a repository can't give its workspace privileges",
                    );
                }
            }
            // The agent is the container's first process and cleans up after others.
            "init" => {}
            "postAttachCommand" => {
                let why = "it isn't run: there is no moment of attaching; use postStartCommand";
                notes.note(line, key, why);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn customizations(
        &mut self,
        entry: &Entry,
        notes: &mut Notes,
    ) -> Result<(), DevcontainerError> {
        for tool in table(entry, notes)? {
            if tool.name != "vscode" {
                let key = format!("customizations.{}", tool.name);
                notes.note(tool.line, &key, "this tool's settings aren't used");
                continue;
            }
            for inner in table(tool, notes)? {
                self.editor(inner, notes)?;
            }
        }
        Ok(())
    }

    /// Reads what is meant for the editor.
    pub(super) fn editor(
        &mut self,
        entry: &Entry,
        notes: &mut Notes,
    ) -> Result<(), DevcontainerError> {
        match entry.name.as_str() {
            "extensions" => {
                for text in texts(entry, notes)? {
                    let (wanted, id) = match text.strip_prefix('-') {
                        Some(id) => (false, id),
                        None => (true, text.as_str()),
                    };
                    if !is_extension(id) {
                        let why = format!("{id:?} isn't an extension's id, PUBLISHER.NAME");
                        notes.note(entry.line, "extensions", &why);
                    } else if wanted {
                        self.extensions.push(id.to_owned());
                    } else {
                        self.unwanted.push(id.to_owned());
                    }
                }
                if self.extensions.len() > MAX_EXTENSIONS {
                    let problem = format!("name at most {MAX_EXTENSIONS}");
                    return Err(notes.wrong(entry.line, "extensions", &problem));
                }
            }
            "settings" => {
                let settings = table(entry, notes)?.iter();
                let settings = settings.map(|it| (it.name.clone(), it.node.to_json()));
                self.settings.extend(settings);
            }
            other => {
                let key = format!("customizations.vscode.{other}");
                notes.note(entry.line, &key, "it isn't supported");
            }
        }
        Ok(())
    }
}

/// Tells whether a text names an extension of the marketplace, `PUBLISHER.NAME[@VERSION]`.
fn is_extension(id: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@');
    id.len() <= 200
        && id.contains('.')
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(is_plain)
        && !id.to_lowercase().ends_with(".vsix")
}

/// Returns an entry's text.
pub(super) fn text<'a>(entry: &'a Entry, notes: &Notes) -> Result<&'a str, DevcontainerError> {
    match &entry.node.value {
        Value::Text(text) if !text.contains('\0') => Ok(text),
        Value::Text(_) => Err(notes.wrong(entry.line, &entry.name, "it has a NUL")),
        _ => Err(expected(entry, "a text", notes)),
    }
}

/// Returns an entry's table.
pub(super) fn table<'a>(entry: &'a Entry, notes: &Notes) -> Result<&'a [Entry], DevcontainerError> {
    match &entry.node.value {
        Value::Table(entries) => Ok(entries),
        _ => Err(expected(entry, "an object: { … }", notes)),
    }
}

/// Returns an entry's list.
pub(super) fn list<'a>(entry: &'a Entry, notes: &Notes) -> Result<&'a [Node], DevcontainerError> {
    match &entry.node.value {
        Value::List(items) => Ok(items),
        _ => Err(expected(entry, "a list: [ … ]", notes)),
    }
}

/// Returns an entry's list of texts.
pub(super) fn texts(entry: &Entry, notes: &Notes) -> Result<Vec<String>, DevcontainerError> {
    let items = list(entry, notes)?.iter();
    let texts = items.map(|node| match &node.value {
        Value::Text(text) if !text.contains('\0') => Ok(text.clone()),
        _ => {
            let problem = format!("write texts, not {}", node.kind());
            Err(notes.wrong(node.line, &entry.name, &problem))
        }
    });
    texts.collect()
}

pub(super) fn expected(entry: &Entry, what: &str, notes: &Notes) -> DevcontainerError {
    let problem = format!("write {what}, not {}", entry.node.kind());
    notes.wrong(entry.node.line, &entry.name, &problem)
}

/// Reads variables. One that is to be removed can't be.
pub(super) fn environment(
    entry: &Entry,
    notes: &mut Notes,
) -> Result<BTreeMap<String, String>, DevcontainerError> {
    let mut variables = BTreeMap::new();
    for inner in table(entry, notes)? {
        let key = format!("{}.{}", entry.name, inner.name);
        let value = match &inner.node.value {
            Value::Text(text) => text,
            Value::Null => {
                notes.note(
                    inner.line,
                    &key,
                    "a variable can't be taken away: set it to \"\"",
                );
                continue;
            }
            _ => return Err(expected(inner, "a text", notes)),
        };
        variable(&inner.name, value).map_err(|problem| notes.wrong(inner.line, &key, &problem))?;
        variables.insert(inner.name.clone(), value.clone());
    }
    Ok(variables)
}

/// Reads a command: a text for the shell, a list without one, or an object of both that
/// run beside each other. An empty one is none.
fn command(entry: &Entry, notes: &Notes) -> Result<Option<LifecycleRun>, DevcontainerError> {
    Ok(match &entry.node.value {
        Value::Null => None,
        Value::Table(entries) => {
            if entries.len() > MAX_PARALLEL {
                let problem = format!("name at most {MAX_PARALLEL} commands");
                return Err(notes.wrong(entry.line, &entry.name, &problem));
            }
            let mut commands = BTreeMap::new();
            for inner in entries {
                match command(inner, notes)? {
                    Some(LifecycleRun::Parallel(_)) => {
                        return Err(expected(inner, "a text or a list of texts", notes));
                    }
                    Some(run) => drop(commands.insert(inner.name.clone(), run)),
                    None => {}
                }
            }
            (!commands.is_empty()).then_some(LifecycleRun::Parallel(commands))
        }
        Value::Text(_) => {
            let text = text(entry, notes)?;
            (!text.trim().is_empty()).then(|| LifecycleRun::Shell(text.to_owned()))
        }
        Value::List(_) => {
            let words = texts(entry, notes)?;
            (!words.is_empty()).then_some(LifecycleRun::Argv(words))
        }
        Value::Bool(_) | Value::Number(_) => {
            let what = "a text, a list of texts, or an object of such";
            return Err(expected(entry, what, notes));
        }
    })
}
