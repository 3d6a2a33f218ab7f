//! What is mounted: volumes of the workspace's own, and memory. Nothing of the host's.

use super::common::{expected, list};
use super::document::{Entry, Value};
use super::{DevcontainerError, Notes};
use crate::config::rules::is_mount_point;
use crate::workspaces::{OwnMount, OwnMountKind};

/// Most mounts of one file.
const MAX_MOUNTS: usize = 50;

/// Longest name of a volume, in bytes.
const MAX_NAME: usize = 200;

/// What a mount says, in either form.
#[derive(Debug, Default)]
struct Said {
    kind: String,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    size: Option<u64>,
    /// What else it says.
    others: Vec<String>,
}

impl Said {
    /// Takes one of Docker's `--mount` options (docs.docker.com, "docker container run").
    fn take(&mut self, name: &str, value: &str) {
        match name {
            "type" => value.clone_into(&mut self.kind),
            "source" | "src" => self.source = Some(value.to_owned()),
            "target" | "destination" | "dst" => self.target = Some(value.to_owned()),
            "readonly" | "ro" => self.read_only = !matches!(value, "false" | "0"),
            "tmpfs-size" => self.size = bytes(value),
            // What macOS does with its caches doesn't matter here.
            "consistency" => {}
            other => self.others.push(other.to_owned()),
        }
    }
}

/// Reads the mounts of a file; names those that aren't made.
pub(super) fn read(entry: &Entry, notes: &mut Notes) -> Result<Vec<OwnMount>, DevcontainerError> {
    let items = list(entry, notes)?;
    if items.len() > MAX_MOUNTS {
        let problem = format!("name at most {MAX_MOUNTS}");
        return Err(notes.wrong(entry.line, "mounts", &problem));
    }
    let mut mounts: Vec<OwnMount> = Vec::new();
    for node in items {
        let mut said = Said::default();
        match &node.value {
            Value::Text(text) => {
                for option in text.split(',').filter(|option| !option.trim().is_empty()) {
                    let (name, value) = option.split_once('=').unwrap_or((option, "true"));
                    said.take(name.trim(), value.trim());
                }
            }
            Value::Table(entries) => {
                for inner in entries {
                    match &inner.node.value {
                        Value::Text(value) => said.take(&inner.name, value),
                        Value::Bool(value) => said.take(&inner.name, &value.to_string()),
                        _ => return Err(expected(inner, "a text", notes)),
                    }
                }
            }
            _ => {
                let problem = format!("write texts or objects, not {}", node.kind());
                return Err(notes.wrong(node.line, "mounts", &problem));
            }
        }
        if let Some(mount) = checked(said, node.line, notes)? {
            // Of two at one place the last counts.
            mounts.retain(|other| other.target != mount.target);
            mounts.push(mount);
        }
    }
    Ok(mounts)
}

fn checked(
    said: Said,
    line: usize,
    notes: &mut Notes,
) -> Result<Option<OwnMount>, DevcontainerError> {
    let Some(target) = said.target else {
        let problem = "say where it is in the workspace: target=/PATH";
        return Err(notes.wrong(line, "mounts", problem));
    };
    let shown = format!("mounts: {target}");
    let source = said.source.filter(|source| !source.is_empty());
    let kind = match (said.kind.as_str(), source) {
        ("tmpfs", _) => OwnMountKind::Memory { size: said.size },
        ("" | "volume", Some(name)) if !name.contains('/') => {
            if name.len() > MAX_NAME {
                return Err(notes.wrong(line, "mounts", "a volume's name is too long"));
            }
            OwnMountKind::Volume { name }
        }
        ("" | "volume", None) => OwnMountKind::Volume {
            name: target.clone(),
        },
        ("" | "volume" | "bind", source) => {
            let source = source.unwrap_or_default();
            let why = format!(
                "{source:?} is of the server's host, which a repository can't reach: an \
                 administrator can mount it in the template"
            );
            notes.note(line, &shown, &why);
            return Ok(None);
        }
        (kind, _) => {
            let why = format!("the type {kind:?} isn't supported: \"volume\" and \"tmpfs\" are");
            notes.note(line, &shown, &why);
            return Ok(None);
        }
    };
    if !is_mount_point(target.as_ref()) {
        let problem = format!(
            "{target:?} isn't a place for a mount: write an absolute path without \"..\", and \
             none in /proc, /sys, /dev or /.devgate"
        );
        return Err(notes.wrong(line, "mounts", &problem));
    }
    for other in said.others {
        notes.note(
            line,
            &shown,
            &format!("the option {other:?} isn't supported"),
        );
    }
    Ok(Some(OwnMount {
        kind,
        target: target.into(),
        read_only: said.read_only,
    }))
}

/// Reads a size as Docker writes it: bytes, or with `k`, `m` or `g`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match text.get(digits.len()..)? {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}
