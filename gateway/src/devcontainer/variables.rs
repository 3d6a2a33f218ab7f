//! Variables in the values of a `devcontainer.json`.
//!
//! What a variable stands for isn't looked at again, so nothing grows by more than the
//! longest of them for each that is written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::document::{Entry, Node, Value};
use super::{DevcontainerError, Notes};

/// Longest text once its variables are replaced, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Most of a variable's name that is told, in characters.
const MAX_SHOWN: usize = 60;

/// What variables stand for.
#[derive(Clone, Debug)]
pub(super) struct Variables {
    /// Where the repository is in the workspace. There is no other machine with a folder
    /// of its own.
    pub(super) folder: String,
    /// What is the same in all rebuilds of a workspace and in no other one.
    pub(super) id: String,
}

/// Which keys of a file have no other use for `${…}`: not commands, in which it is the
/// shell's, and not settings of an editor, which has variables of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain<'a>(pub(super) &'a [&'a str]);

impl Plain<'_> {
    /// Those of a `devcontainer.json`.
    pub(super) const OF_FILE: Self = Self(&[
        "image",
        "build",
        "dockerFile",
        "context",
        "containerUser",
        "remoteUser",
        "containerEnv",
        "remoteEnv",
        "mounts",
        "workspaceFolder",
        "features",
    ]);

    /// Those of a feature, whose environment is set by a Dockerfile, which has variables.
    pub(super) const OF_FEATURE: Self = Self(&["mounts"]);
}

/// Variables that have no value, with the first line that each is in.
#[derive(Debug, Default)]
struct Without {
    /// Of the local environment, in each line.
    local: BTreeSet<(usize, String)>,
    /// Such as nobody knows.
    unknown: BTreeMap<String, usize>,
}

/// One of them.
enum Unfilled<'a> {
    Local(&'a str),
    Unknown(&'a str, Option<&'a str>),
}

impl Variables {
    /// Replaces them in all texts of a file.
    pub(super) fn fill_in(
        &self,
        entries: &mut [Entry],
        plain: Plain<'_>,
        notes: &mut Notes,
    ) -> Result<(), DevcontainerError> {
        let mut without = Without::default();
        for entry in entries {
            let mut found = Without::default();
            self.node(&entry.name, &mut entry.node, (&*notes, &mut found))?;
            without.local.append(&mut found.local);
            if plain.0.contains(&entry.name.as_str()) {
                for (name, line) in found.unknown {
                    without.unknown.entry(name).or_insert(line);
                }
            }
        }
        for (line, name) in without.local {
            let key = format!("${{localEnv:{name}}}");
            notes.note(
                line,
                &key,
                "it is empty: the server's environment isn't given out",
            );
        }
        for (name, line) in without.unknown {
            let why = "it stays as it is: no variable of devcontainer.json is called that";
            notes.note(line, &format!("${{{name}}}"), why);
        }
        Ok(())
    }

    fn node(
        &self,
        key: &str,
        node: &mut Node,
        (notes, without): (&Notes, &mut Without),
    ) -> Result<(), DevcontainerError> {
        match &mut node.value {
            Value::Text(text) => {
                let replaced = self.text(text, |unfilled| without.add(node.line, &unfilled));
                let replaced = replaced.map_err(|problem| notes.wrong(node.line, key, problem))?;
                if let Cow::Owned(replaced) = replaced {
                    *text = replaced;
                }
            }
            Value::List(items) => {
                for inner in items {
                    self.node(key, inner, (notes, &mut *without))?;
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    self.node(key, &mut entry.node, (notes, &mut *without))?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }

    /// Replaces the variables of a text; `unfilled` is told which ones have no value.
    /// `${containerEnv:…}` and what isn't a variable of `devcontainer.json` stay.
    fn text<'a>(
        &self,
        text: &'a str,
        mut unfilled: impl FnMut(Unfilled<'_>),
    ) -> Result<Cow<'a, str>, &'static str> {
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        replace(text, |variable, arguments| {
            Ok(match (variable, arguments) {
                ("env" | "localEnv", None) => return Err("name a variable: ${localEnv:NAME}"),
                ("containerEnv", None) => return Err("name a variable: ${containerEnv:NAME}"),
                ("env" | "localEnv", Some(arguments)) => {
                    let (name, default) = split(arguments);
                    if default.is_none() {
                        unfilled(Unfilled::Local(name));
                    }
                    Some(default.unwrap_or_default().to_owned())
                }
                ("localWorkspaceFolder" | "containerWorkspaceFolder", None) => {
                    Some(self.folder.clone())
                }
                ("localWorkspaceFolderBasename" | "containerWorkspaceFolderBasename", None) => {
                    Some(base(&self.folder))
                }
                ("devcontainerId", None) => Some(self.id.clone()),
                // It is filled in when the container is there.
                ("containerEnv", Some(_)) => None,
                _ => {
                    unfilled(Unfilled::Unknown(variable, arguments));
                    None
                }
            })
        })
    }
}

impl Without {
    fn add(&mut self, line: usize, unfilled: &Unfilled<'_>) {
        let short = |name: &str| name.chars().take(MAX_SHOWN).collect::<String>();
        match unfilled {
            Unfilled::Local(name) => {
                self.local.insert((line, short(name)));
            }
            Unfilled::Unknown(variable, arguments) => {
                let name = match arguments {
                    Some(arguments) => short(&format!("{variable}:{arguments}")),
                    None => short(variable),
                };
                self.unknown.entry(name).or_insert(line);
            }
        }
    }
}

/// Replaces the variables `${containerEnv:NAME}` and `${containerEnv:NAME:DEFAULT}` of a
/// text by what the container's environment has.
pub(crate) fn with_container(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let replaced = replace(text, |variable, arguments| {
        Ok(match (variable, arguments) {
            ("containerEnv", Some(arguments)) => {
                let (name, default) = split(arguments);
                Some(value(name).unwrap_or_else(|| default.unwrap_or_default().to_owned()))
            }
            _ => None,
        })
    });
    replaced.map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// Splits `NAME:DEFAULT`; what follows another colon is nobody's.
fn split(arguments: &str) -> (&str, Option<&str>) {
    let mut parts = arguments.split(':');
    (parts.next().unwrap_or_default(), parts.next())
}

/// Replaces each `${VARIABLE}` and `${VARIABLE:ARGUMENTS}` for which there is a value.
fn replace(
    text: &str,
    mut value: impl FnMut(&str, Option<&str>) -> Result<Option<String>, &'static str>,
) -> Result<Cow<'_, str>, &'static str> {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, end)) = after.split_once('}').filter(|it| !it.0.contains('\n')) else {
            replaced.push_str(before);
            replaced.push_str("${");
            rest = after;
            continue;
        };
        let (variable, arguments) = match inside.split_once(':') {
            Some((variable, arguments)) => (variable, Some(arguments)),
            None => (inside, None),
        };
        replaced.push_str(before);
        if let Some(value) = value(variable, arguments)? {
            replaced.push_str(&value);
        } else {
            replaced.push_str("${");
            replaced.push_str(inside);
            replaced.push('}');
        }
        rest = end;
        if replaced.len() > MAX_TEXT {
            return Err("it is longer than 64 KiB");
        }
    }
    if replaced.is_empty() && rest.len() == text.len() {
        return Ok(Cow::Borrowed(text));
    }
    replaced.push_str(rest);
    if replaced.len() > MAX_TEXT {
        return Err("it is longer than 64 KiB");
    }
    Ok(Cow::Owned(replaced))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables {
            folder: "/home/dev/api".to_owned(),
            id: "abc123".to_owned(),
        }
    }

    #[test]
    fn variables_are_replaced_as_the_specification_says() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${localEnv:HOME}${localEnv:USERPROFILE}", ""),
            ("x-${localEnv:HOME:/root}-y", "x-/root-y"),
            ("${localEnv:A:b:c}", "b"),
            ("${env:A:b}", "b"),
            ("${containerWorkspaceFolder}/src", "/home/dev/api/src"),
            ("${localWorkspaceFolder}", "/home/dev/api"),
            ("${localWorkspaceFolderBasename}", "api"),
            ("cache-${devcontainerId}", "cache-abc123"),
            ("echo ${HOME} $HOME ${X:-y}", "echo ${HOME} $HOME ${X:-y}"),
            ("${containerEnv:PATH}:/x", "${containerEnv:PATH}:/x"),
            ("${", "${"),
            ("a ${b", "a ${b"),
            ("${${localEnv:A:x}}", "${${localEnv:A:x}}"),
        ] {
            assert_eq!(variables().text(text, |_| {}).unwrap(), expected, "{text}");
        }
        assert!(variables().text("${localEnv}", |_| {}).is_err());
    }

    #[test]
    fn what_a_variable_stands_for_is_not_looked_at_again_and_does_not_grow() {
        let text = "${localEnv:A:${devcontainerId}}";
        assert_eq!(variables().text(text, |_| {}).unwrap(), "${devcontainerId}");
        let many = "${containerWorkspaceFolder}".repeat(10_000);
        assert!(variables().text(&many, |_| {}).is_err());
    }

    #[test]
    fn the_containers_own_variables_are_filled_in_later() {
        let value = |name: &str| (name == "PATH").then(|| "/bin".to_owned());
        let filled = |text| with_container(text, value);
        assert_eq!(filled("${containerEnv:PATH}:/x"), "/bin:/x");
        assert_eq!(filled("${containerEnv:NONE:a}${containerEnv:NONE}"), "a");
        assert_eq!(filled("${PATH}"), "${PATH}");
    }
}
