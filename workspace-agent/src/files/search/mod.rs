//! Searches by name and by content, along open folders.

mod content;
mod ignored;
mod named;

use globset::{GlobBuilder, GlobMatcher};
use serde::Serialize;

use super::error::{FileError, shown};

pub(crate) use content::{Grep, Matching, grep, start};
pub(crate) use named::{Find, find, folder};

/// What is looked at besides the usual.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    /// What begins with a dot.
    pub(crate) hidden: bool,
    /// What `.gitignore` and `.ignore` leave out.
    pub(crate) ignored: bool,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct End {
    done: bool,
    truncated: bool,
    found: u64,
    unreadable: u64,
    /// Files that aren't searched to their end, as they are no text; of contents alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary: Option<u64>,
}

impl Default for End {
    fn default() -> Self {
        Self {
            done: true,
            truncated: false,
            found: 0,
            unreadable: 0,
            binary: None,
        }
    }
}

/// A glob: for names, or for paths where it has a `/`.
#[derive(Debug)]
pub(crate) struct Glob {
    matcher: GlobMatcher,
    whole: bool,
}

impl Glob {
    pub(crate) fn new(text: &[u8]) -> Result<Self, FileError> {
        let text = shown(text);
        let glob = GlobBuilder::new(&text).literal_separator(true).build();
        let glob = glob.map_err(|error| FileError::Pattern {
            what: "glob",
            error: error.kind().to_string(),
        })?;
        Ok(Self {
            matcher: glob.compile_matcher(),
            whole: text.contains('/'),
        })
    }

    fn matches(&self, name: &[u8], path: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt as _;
        let what = if self.whole { path } else { name };
        self.matcher.is_match(std::ffi::OsStr::from_bytes(what))
    }
}
