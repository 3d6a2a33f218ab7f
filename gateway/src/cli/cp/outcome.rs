//! What came of a copy: what was copied, and what wasn't.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::resume::is_passing;
use crate::cli::client::{Count, Inside, Unanswered};
use crate::cli::failure::{Failure, Kind};

/// What was copied.
#[derive(Debug, Default, Serialize)]
pub(super) struct Copied {
    pub(super) files: u64,
    pub(super) folders: u64,
    pub(super) links: u64,
    pub(super) bytes: u64,
    /// What was left out, as it is neither file, folder nor link.
    pub(super) skipped: Vec<String>,
    /// What couldn't be copied.
    pub(super) failed: Vec<Missed>,
}

/// Something that couldn't be copied.
#[derive(Debug, Serialize)]
pub(super) struct Missed {
    path: String,
    error: String,
}

/// Why something wasn't copied.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is about this thing: others may be copied.
    One(Failure),
    /// Nothing else can be copied, either.
    All(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::One(failure)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::One(failure) | Trouble::All(failure) => failure,
        }
    }
}

impl Trouble {
    /// Returns what went wrong with something in a workspace.
    pub(super) fn there(inside: &Inside, error: Unanswered, what: &str) -> Self {
        let all = match &error {
            Unanswered::Refused(problem) => {
                is_passing(&error)
                    || matches!(problem.status, 401 | 507)
                    || matches!(
                        problem.code.as_str(),
                        "scope-too-small" | "token-narrowed" | "no-such-workspace"
                    )
            }
            Unanswered::Failed(failure) => failure.kind() == Kind::Unreachable,
            Unanswered::Untrusted(_) | Unanswered::Mistaken(_) => true,
        };
        let failure = inside.explain_about(error, what);
        if all {
            Self::All(failure)
        } else {
            Self::One(failure)
        }
    }

    /// Returns what went wrong with something on this machine.
    pub(super) fn here(doing: &str, path: &Path, error: &io::Error) -> Self {
        let message = format!("cannot {doing} {}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound => Self::One(Failure::new(Kind::NotFound, message)),
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem => Self::All(Failure::new(Kind::Failed, message)),
            _ => Self::One(Failure::new(Kind::Failed, message)),
        }
    }

    /// Adds what else is to be said.
    pub(super) fn and(self, more: &str) -> Self {
        let said = |failure: Failure| Failure::new(failure.kind(), format!("{failure}; {more}"));
        match self {
            Self::One(failure) => Self::One(said(failure)),
            Self::All(failure) => Self::All(said(failure)),
        }
    }
}

impl Copied {
    /// Goes on where something couldn't be copied, and others can.
    pub(super) fn note(
        &mut self,
        path: impl Into<String>,
        outcome: Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        match outcome {
            Err(Trouble::One(failure)) => {
                self.miss(path, &failure);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Notes that something couldn't be copied.
    pub(super) fn miss(&mut self, path: impl Into<String>, failure: &Failure) {
        let (path, error) = (path.into(), failure.to_string());
        self.failed.push(Missed { path, error });
    }

    /// Adds what a folder holds.
    pub(super) fn add(&mut self, count: Count) {
        self.files += count.files;
        self.folders += count.folders;
        self.links += count.links;
        self.bytes += count.bytes;
    }

    /// Says it in one line.
    pub(super) fn told(&self) -> String {
        let count = |number: u64, one: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {one}s")),
        };
        let all = [
            count(self.files, "file"),
            count(self.folders, "folder"),
            count(self.links, "link"),
        ];
        let all: Vec<_> = all.into_iter().flatten().collect();
        let what = match all.as_slice() {
            [] => "nothing".to_owned(),
            all => all.join(", "),
        };
        let bytes = indicatif::HumanBytes(self.bytes);
        format!("{what} copied, {bytes}\n")
    }
}

impl Missed {
    /// Says it in one line.
    pub(super) fn told(&self) -> String {
        if self.error.contains(&self.path) {
            self.error.clone()
        } else {
            format!("{}: {}", self.path, self.error)
        }
    }
}
