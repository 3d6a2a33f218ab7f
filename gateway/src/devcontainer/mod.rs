//! What a repository's `devcontainer.json` says of a workspace
//! (containers.dev/implementors/spec).
//!
//! A repository is whatever somebody has pushed. So nothing but its own files is read, the
//! server's environment isn't given out, nothing runs on the server's host, and nothing
//! that is asked for there widens what a workspace may do. Whatever isn't done is named.

mod common;
mod dockerfile;
mod document;
mod features;
mod files;
mod find;
mod image;
mod merge;
mod mounts;
mod ports;
mod read;
mod variables;

use std::path::Path;

use crate::config::{BindMount, DriverName};
use crate::workspaces::{Blueprint, Devcontainer};

use self::document::parse;
use self::files::Checkout;
pub(crate) use self::variables::with_container;
use self::variables::{Plain, Variables};

/// Most that is named of what isn't done.
const MAX_NOTICES: usize = 100;

/// Longest text of one, in characters.
const MAX_NOTICE: usize = 400;

/// What is wrong with a repository's `devcontainer.json`, or with what it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct DevcontainerError {
    /// The file in the repository, with a line where there is one: `FILE:LINE`.
    pub place: String,
    /// What is wrong there, and what is allowed.
    pub problem: String,
}

/// What a repository is read for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    /// Where it will be in the workspace.
    pub(crate) folder: &'a Path,
    /// Where the workspace's home is.
    pub(crate) home: &'a Path,
    /// The workspace's id.
    pub(crate) id: &'a str,
    /// What runs the workspace.
    pub(crate) driver: DriverName,
    /// The user where nobody names one.
    pub(crate) user: &'a str,
    /// The image where nobody names one.
    pub(crate) image: &'a str,
    /// What is mounted into all workspaces.
    pub(crate) mounts: &'a [BindMount],
}

/// Returns what a workspace is made of: what `blueprint` says, and what the
/// `devcontainer.json` of a checkout does, if there is one. Blocks.
///
/// # Errors
/// Where it can't be read, or there is none and `blueprint` needs one.
pub(crate) fn resolve(
    checkout: &Path,
    commit: String,
    blueprint: &Blueprint,
    purpose: Purpose<'_>,
) -> Result<Blueprint, DevcontainerError> {
    let checkout = Checkout::open(checkout)?;
    let choice = blueprint.repository.as_ref().map(|it| &it.devcontainer);
    let Some(file) = find::find(&checkout, choice)? else {
        let mut blueprint = blueprint.clone();
        blueprint.devcontainer = Some(Devcontainer {
            file: None,
            commit,
            notices: Vec::new(),
        });
        return Ok(blueprint);
    };
    let mut notes = Notes::new(&file);
    let text = checkout.read(&file)?;
    let mut entries = parse(&text, &mut notes)?;
    let variables = Variables {
        folder: purpose.folder.to_string_lossy().into_owned(),
        id: purpose.id.to_owned(),
    };
    variables.fill_in(&mut entries, Plain::OF_FILE, &mut notes)?;
    let said = read::read(&entries, purpose, &mut notes)?;
    let features = features::gather(&checkout, &file, &said, (&variables, purpose), &mut notes)?;
    let user = blueprint.user.as_deref().unwrap_or(purpose.user);
    let user = said.user().map_or(user, |(_, user)| user);
    let image = match purpose.driver {
        DriverName::Docker => {
            let base = image::Base {
                blueprint,
                image: purpose.image,
                user,
                home: purpose.home,
            };
            image::image(&checkout, &file, (&said, &features), base, &mut notes)?
        }
        DriverName::Process => None,
    };
    let merged = merge::merge(blueprint, (said, features, image), purpose, &mut notes)?;
    Ok(Blueprint {
        devcontainer: Some(Devcontainer {
            file: Some(file),
            commit,
            notices: notes.into_lines(),
        }),
        ..merged
    })
}

/// What isn't done of what a file says, in lines for people.
#[derive(Debug)]
struct Notes {
    file: String,
    lines: Vec<String>,
    left_out: usize,
}

impl Notes {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: Vec::new(),
            left_out: 0,
        }
    }

    fn file(&self) -> &str {
        &self.file
    }

    /// Takes note of something that isn't done; in line 0 it is of the whole file.
    fn note(&mut self, line: usize, key: &str, why: &str) {
        let text = format!("{}: {key}: {why}", self.place(line));
        self.add(&text);
    }

    fn place(&self, line: usize) -> String {
        if line == 0 {
            return self.file.clone();
        }
        format!("{}:{line}", self.file)
    }

    fn add(&mut self, text: &str) {
        if self.lines.len() >= MAX_NOTICES {
            self.left_out += 1;
            return;
        }
        self.lines.push(printable(text));
    }

    /// Takes note of what another file's notes say.
    fn take(&mut self, other: Self) {
        self.left_out += other.left_out;
        for line in other.lines {
            self.add(&line);
        }
    }

    /// Says that something is wrong; in line 0 it is of the whole file.
    fn wrong(&self, line: usize, key: &str, problem: &str) -> DevcontainerError {
        let problem = if key.is_empty() {
            problem.to_owned()
        } else {
            format!("{key}: {problem}")
        };
        DevcontainerError {
            place: printable(&self.place(line)),
            problem: printable(&problem),
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        if self.left_out > 0 {
            let more = format!("{}: and {} more", self.file, self.left_out);
            self.lines.push(more);
        }
        self.lines
    }
}

/// Returns a text of a repository's as people may see it: short, and without what would
/// steer a terminal.
fn printable(text: &str) -> String {
    let kept = text.chars().take(MAX_NOTICE);
    let mut shown: String = kept.map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_NOTICE).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
