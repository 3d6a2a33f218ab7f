//! Watches, git and health of a workspace, as its agent shows them. For the document alone.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Watches a folder or a file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWatch {
    /// Which, a relative path from the home.
    #[schema(min_length = 1, max_length = 4096)]
    pub path: String,
    /// The same, percent-encoded, where it is no UTF-8: as `raw_path` of an entry. It counts
    /// then, and `path` doesn't.
    #[schema(min_length = 1, max_length = 12_288)]
    pub raw_path: Option<String>,
    /// Whether the folders in it are watched as well, those to come included.
    #[schema(default = true)]
    pub recursive: Option<bool>,
    /// What is told of, as patterns: `*.rs` by name in any folder, `src/**/*.rs` from the
    /// watched folder; default: all.
    #[schema(max_items = 100)]
    pub include: Option<Vec<String>>,
    /// What isn't told of; a folder that is among it isn't looked into.
    #[schema(max_items = 100)]
    pub exclude: Option<Vec<String>>,
    /// How long it goes on while nobody follows it.
    #[schema(minimum = 1, maximum = 86400, default = 600)]
    pub keep_seconds: Option<u32>,
}

/// A watch.
#[derive(Debug, Serialize, ToSchema)]
pub struct Watch {
    /// Its id.
    pub id: String,
    /// What it watches.
    pub path: String,
    /// Whether the folders in it are watched as well.
    pub recursive: bool,
    /// Patterns of what is told of; none: all.
    pub include: Vec<String>,
    /// Patterns of what isn't told of.
    pub exclude: Vec<String>,
    /// When it was made.
    pub created: OffsetDateTime,
    /// Number of its last event; 0: there was none.
    pub sequence: u64,
    /// How many follow it.
    pub listeners: u32,
    /// Whether folders in it aren't watched, as the system had no room for them.
    pub incomplete: bool,
    /// How long it goes on while nobody follows it.
    pub keep_seconds: u32,
    /// When it ends unless somebody follows it; absent while somebody does.
    pub expires_at: Option<OffsetDateTime>,
}

/// All watches of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Watches {
    /// The watches, oldest first.
    pub items: Vec<Watch>,
}

/// Something that happened to what is watched.
#[derive(Debug, Serialize, ToSchema)]
pub struct WatchEvent {
    /// Its number: one more than that of the event before it.
    pub sequence: u64,
    /// What happened.
    pub kind: WatchEventKind,
    /// To what.
    pub path: String,
    /// The path, percent-encoded, where it is no UTF-8.
    pub raw_path: Option<String>,
    /// What it is called since, where it was renamed.
    pub to: Option<String>,
    /// That, percent-encoded, where it is no UTF-8.
    pub raw_to: Option<String>,
    /// Whether it is a folder.
    pub folder: bool,
}

/// What happened to what is watched.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatchEventKind {
    /// It is there now.
    Created,
    /// What is in it, or its mode or times, changed.
    Modified,
    /// It is gone.
    Removed,
    /// It has another name.
    Renamed,
    /// Something was missed: look at all of it again.
    Overflow,
}

/// Which events of a watch.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WatchEventsQuery {
    /// Those after this one, unless `Last-Event-ID` says another; default: all that are kept.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    pub since: Option<u64>,
}

/// What to watch.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WatchPathQuery {
    /// Which folder or file, a relative path from the home; default: the home.
    #[param(max_length = 4096)]
    pub path: Option<String>,
    /// The same, percent-encoded, where it is no UTF-8. It counts then, and `path` doesn't.
    #[param(max_length = 12_288)]
    pub raw_path: Option<String>,
    /// Whether the folders in it are watched as well.
    #[param(default = true)]
    pub recursive: Option<bool>,
    /// Pattern of what is told of; may come again.
    pub include: Option<Vec<String>>,
    /// Pattern of what isn't; may come again.
    pub exclude: Option<Vec<String>>,
}

/// Which repository.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GitStatusQuery {
    /// A folder of it, a relative path from the home; default: the home.
    #[param(max_length = 4096)]
    pub path: Option<String>,
}

/// How a repository is.
#[derive(Debug, Serialize, ToSchema)]
pub struct GitStatus {
    /// Its folder.
    pub root: String,
    /// The branch that is checked out; absent: none is.
    pub branch: Option<String>,
    /// The branch elsewhere that it follows.
    pub upstream: Option<String>,
    /// How many commits it has that upstream hasn't.
    pub ahead: u32,
    /// How many commits upstream has that it hasn't.
    pub behind: u32,
    /// The commit that is checked out; absent: there is none yet.
    pub head: Option<String>,
    /// What differs from that commit, in git's order.
    pub entries: Vec<GitEntry>,
    /// Whether nothing does.
    pub clean: bool,
}

/// A file that differs.
#[derive(Debug, Serialize, ToSchema)]
pub struct GitEntry {
    /// Its path in the repository.
    pub path: String,
    /// The path, percent-encoded, where it is no UTF-8.
    pub raw_path: Option<String>,
    /// What it was called, where it was renamed or copied.
    pub from: Option<String>,
    /// That, percent-encoded, where it is no UTF-8.
    pub raw_from: Option<String>,
    /// How the index differs from the commit.
    pub index: GitChange,
    /// How the folder differs from the index.
    pub worktree: GitChange,
    /// Which kind of entry it is.
    pub kind: GitEntryKind,
}

/// How a file differs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GitChange {
    /// It doesn't.
    Unmodified,
    /// In what is in it.
    Modified,
    /// In its type.
    TypeChanged,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// In its name.
    Renamed,
    /// It is a copy.
    Copied,
    /// Both sides of a merge changed it.
    Unmerged,
}

/// Kinds of entries of a repository's status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GitEntryKind {
    /// It was changed.
    Changed,
    /// It was renamed or copied.
    Renamed,
    /// It is to be merged by hand.
    Unmerged,
    /// git doesn't know it.
    Untracked,
}

/// Clones a repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneRepository {
    /// Where it is: `https`, `http`, `ssh`, `git` or `file`, or `HOST:PATH`.
    #[schema(min_length = 1, max_length = 4096)]
    pub url: String,
    /// Its folder, a relative path from the home; default: as it is called.
    #[schema(min_length = 1, max_length = 4096)]
    pub path: Option<String>,
    /// What to check out; default: the remote's own.
    #[schema(min_length = 1, max_length = 255)]
    pub branch: Option<String>,
    /// How many commits of its past come with it; default: all.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub depth: Option<u32>,
}

/// How the workspace's agent is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Its version.
    pub version: String,
    /// How long it has run.
    pub uptime_seconds: u64,
}
