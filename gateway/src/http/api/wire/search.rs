//! Searches in the files of a workspace, as its agent answers them. These types are
//! there for the document alone.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{Entry, EntryKind};

/// What to find by its name.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FindQuery {
    /// The folder's path; a relative one begins at the home, an empty one is the home.
    #[param(max_length = 4096)]
    pub path: String,
    /// A glob for the name, or, where it has a `/`, for the path below the folder.
    #[param(min_length = 1, max_length = 1000)]
    pub name: Option<String>,
    /// What it has to be.
    #[param(inline)]
    pub kind: Option<EntryKind>,
    /// Whether to look at what begins with a dot.
    #[param(default = false)]
    pub hidden: Option<bool>,
    /// Whether to look at what `.gitignore` and `.ignore` leave out.
    #[param(default = false)]
    pub ignored: Option<bool>,
    /// Most results.
    #[param(minimum = 1, maximum = 1_000_000, default = 10_000)]
    pub limit: Option<u32>,
}

/// What to find by its content.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GrepQuery {
    /// The path of a folder or file; a relative one begins at the home, an empty one is
    /// the home.
    #[param(max_length = 4096)]
    pub path: String,
    /// A regular expression.
    #[param(min_length = 1, max_length = 4096)]
    pub pattern: String,
    /// A glob for the files' names, or, where it has a `/`, for their paths below the
    /// folder.
    #[param(min_length = 1, max_length = 1000)]
    pub glob: Option<String>,
    /// Whether large and small letters are the same.
    #[param(default = false)]
    pub ignore_case: Option<bool>,
    /// Whether `pattern` is a text that is meant as it is.
    #[param(default = false)]
    pub fixed: Option<bool>,
    /// Whether to look at what begins with a dot.
    #[param(default = false)]
    pub hidden: Option<bool>,
    /// Whether to look at what `.gitignore` and `.ignore` leave out.
    #[param(default = false)]
    pub ignored: Option<bool>,
    /// Lines to show before and after each match.
    #[param(minimum = 0, maximum = 100, default = 0)]
    pub context: Option<u32>,
    /// Most lines that match.
    #[param(minimum = 1, maximum = 100_000, default = 1000)]
    pub limit: Option<u32>,
}

/// One line of what is found by name: an entry, or, last, how it ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum FindLine {
    /// What was found.
    Found(Entry),
    /// How the search ended.
    End(SearchEnd),
}

/// One line of what is found by content: a line of a file, or, last, how it ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum GrepLine {
    /// What was found.
    Found(FileLine),
    /// How the search ended.
    End(SearchEnd),
}

/// A line of a file that matches, or one beside it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileLine {
    /// The file's absolute path.
    pub path: String,
    /// The path, percent-encoded, where it is no UTF-8.
    pub raw_path: Option<String>,
    /// The line's number, from 1 on.
    pub line: u64,
    /// The line, without its end; of one that is too long its beginning.
    pub text: String,
    /// Where in `text` it matches, as offsets in bytes; empty in lines of the context.
    pub matches: Vec<TextRange>,
    /// Whether this line is only beside one that matches.
    pub context: bool,
}

/// A part of a line, as offsets in bytes of its UTF-8.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextRange {
    /// Its first byte.
    pub start: u32,
    /// The byte after its last one.
    pub end: u32,
}

/// How a search ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchEnd {
    /// True.
    pub done: bool,
    /// Whether there was more than `limit`.
    pub truncated: bool,
    /// How many were found.
    pub found: u64,
    /// How many files or folders couldn't be read.
    pub unreadable: u64,
    /// How many files are no text and weren't searched; of a search by content alone.
    pub binary: Option<u64>,
}
