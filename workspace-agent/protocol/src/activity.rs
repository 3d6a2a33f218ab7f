//! Whether anything goes on in a workspace, as its agent sees it.
//!
//! On an `activity` stream the gateway sends an [`Ask`] whenever it wants to know, and
//! the agent answers each with one [`Report`]; both are framed like [`crate::control`]
//! messages. Times are told as how long ago: the two clocks needn't agree.

use serde::{Deserialize, Serialize};

/// Asks for a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// How far apart the agent's looks at what programs do are to be at least, in
    /// milliseconds: what they did in between is averaged.
    #[serde(default)]
    pub apart: u64,
}

/// What goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Counts what people typed into terminals that the agent keeps.
    #[serde(default)]
    pub typed: u64,
    /// Whether the agent has looked at what programs do for long enough to tell.
    #[serde(default)]
    pub compared: bool,
    /// How long ago it last looked, in milliseconds.
    #[serde(default)]
    pub looked: u64,
    /// What programs last did that counts as work, if anything since the agent started.
    #[serde(default)]
    pub work: Option<Work>,
    /// CPU time by time of all programs, in thousandths of one core.
    #[serde(default)]
    pub cpu: u64,
    /// What all programs read from disks and wrote to them, in bytes a second.
    #[serde(default)]
    pub disk: u64,
    /// Leases that programs inside hold.
    #[serde(default)]
    pub leases: Vec<Held>,
}

/// Work that programs did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Of which kind.
    pub kind: WorkKind,
    /// How long ago that was, in milliseconds.
    pub ago: u64,
    /// Name of the program that did the most.
    #[serde(default)]
    pub program: Option<String>,
}

/// Kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkKind {
    /// Computing.
    Cpu,
    /// Reading from disks and writing to them: a download, say.
    Disk,
    /// A kind that this version doesn't know.
    #[serde(other)]
    Other,
}

/// A lease that a program holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What for.
    pub reason: String,
    /// How long it has been held, in milliseconds.
    pub since: u64,
    /// How long it goes on at most, in milliseconds.
    pub left: u64,
}
