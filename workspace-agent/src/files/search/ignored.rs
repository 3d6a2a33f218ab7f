//! What `.gitignore` and `.ignore` leave out, and what is hidden.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};

use super::Scope;
use crate::files::place::{Root, real_path};
use crate::files::walk::Found;

/// Files with rules; what a later one says goes before.
const FILES: [&str; 2] = [".gitignore", ".ignore"];

/// Most that is read of one, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Most folders above the search whose rules count.
const MAX_ABOVE: usize = 32;

/// The rules that hold where a walk is.
#[derive(Debug)]
pub(super) struct Rules {
    scope: Scope,
    /// Of folders above the search, the nearest last, each with the path from there.
    above: Vec<(Vec<u8>, Gitignore)>,
    /// Of the folders that the walk is in, each with how long its path is.
    inside: Vec<(usize, Option<Gitignore>)>,
}

impl Rules {
    /// Returns the rules for a search that begins in a folder. Those of a repository that
    /// it is in count, as far as the caller may read them.
    pub(super) fn new(root: &Root, folder: BorrowedFd<'_>, scope: Scope) -> Self {
        let mut rules = Self {
            scope,
            above: Vec::new(),
            inside: Vec::new(),
        };
        if !scope.ignored && !is_repository(folder) {
            rules.above = above(root, folder);
        }
        rules
    }

    /// Whether something isn't looked at.
    pub(super) fn leave_out(&self, found: Found<'_>) -> bool {
        if !self.scope.hidden && found.name.starts_with(b".") {
            return true;
        }
        if self.scope.ignored {
            return false;
        }
        let folder = found.kind == FileType::Directory;
        if folder && found.name == b".git" {
            return true;
        }
        for (length, rules) in self.inside.iter().rev() {
            let below = found.path.get(*length..).unwrap_or_default();
            let below = below.strip_prefix(b"/").unwrap_or(below);
            if let Some(out) = rules.as_ref().and_then(|rules| says(rules, below, folder)) {
                return out;
            }
        }
        for (way, rules) in self.above.iter().rev() {
            let below = [way, &b"/"[..], found.path].concat();
            if let Some(out) = says(rules, &below, folder) {
                return out;
            }
        }
        false
    }

    /// Takes note of a folder that was entered.
    pub(super) fn enter(&mut self, folder: BorrowedFd<'_>, path: &[u8]) {
        let rules = if self.scope.ignored {
            None
        } else {
            read(folder)
        };
        self.inside.push((path.len(), rules));
    }

    /// Takes note of a folder that was left.
    pub(super) fn leave(&mut self) {
        self.inside.pop();
    }
}

fn says(rules: &Gitignore, path: &[u8], folder: bool) -> Option<bool> {
    match rules.matched(Path::new(OsStr::from_bytes(path)), folder) {
        Match::None => None,
        Match::Ignore(_) => Some(true),
        Match::Whitelist(_) => Some(false),
    }
}

fn is_repository(folder: BorrowedFd<'_>) -> bool {
    statat(folder, ".git", AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Returns the rules of the folders above one, up to the repository that it is in.
fn above(root: &Root, folder: BorrowedFd<'_>) -> Vec<(Vec<u8>, Gitignore)> {
    let path = real_path(folder);
    let mut found = Vec::new();
    let mut end = path.len();
    for _ in 0..MAX_ABOVE {
        let (here, _) = path.split_at(end);
        let Some(slash) = here.iter().rposition(|byte| *byte == b'/') else {
            break;
        };
        let (above, _) = path.split_at(slash);
        let name = if above.is_empty() { b"/" } else { above };
        let Ok(opened) = root.open(name, OFlags::PATH | OFlags::DIRECTORY) else {
            break;
        };
        if let Some(rules) = read(opened.as_fd()) {
            found.push((path.split_at(slash + 1).1.to_vec(), rules));
        }
        if is_repository(opened.as_fd()) {
            found.reverse();
            return found;
        }
        end = slash;
    }
    // Rules count in repositories, and below where the search begins.
    Vec::new()
}

/// Reads the rules of a folder.
fn read(folder: BorrowedFd<'_>) -> Option<Gitignore> {
    let mut builder: Option<GitignoreBuilder> = None;
    for name in FILES {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = openat(folder, name, flags, Mode::empty()) else {
            continue;
        };
        let mut text = Vec::new();
        if File::from(file)
            .take(MAX_FILE)
            .read_to_end(&mut text)
            .is_err()
        {
            continue;
        }
        let builder = builder.get_or_insert_with(|| GitignoreBuilder::new(""));
        for line in String::from_utf8_lossy(&text).lines() {
            // A line that can't be understood says nothing, as for git.
            let _ = builder.add_line(None, line);
        }
    }
    builder?.build().ok()
}
