//! What happened to what is watched, before it has a number.

use std::collections::HashSet;
use std::path::PathBuf;

use super::log::Kind;

/// Most that are told of what was read at once.
const MOST: usize = 65_536;

/// What happened to what is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    pub(super) to: Option<PathBuf>,
    pub(super) folder: bool,
}

impl Change {
    pub(super) fn new(kind: Kind, path: PathBuf, folder: bool) -> Self {
        Self {
            kind,
            path,
            to: None,
            folder,
        }
    }
}

/// What happened, in order, without what was said just before.
#[derive(Debug, Default)]
pub(super) struct Changes {
    all: Vec<Change>,
    /// What was last said to have changed, and nothing else since.
    modified: HashSet<PathBuf>,
    is_cut: bool,
}

impl Changes {
    pub(super) fn add(&mut self, change: Change) {
        if self.all.len() >= MOST {
            self.is_cut = true;
            return;
        }
        if change.kind == Kind::Modified {
            if !self.modified.insert(change.path.clone()) {
                return;
            }
        } else {
            // Names change their meaning: what follows is told again.
            self.modified.clear();
        }
        self.all.push(change);
    }

    /// Adds that something was missed, unless that was the last.
    pub(super) fn missed(&mut self, root: PathBuf) {
        let last = self.all.last().map(|change| change.kind);
        if last != Some(Kind::Overflow) {
            self.add(Change::new(Kind::Overflow, root, true));
        }
    }

    /// Whether there are so many that no more are told.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns them; where there were too many, the last says so.
    pub(super) fn finish(self, root: PathBuf) -> Vec<Change> {
        let mut all = self.all;
        if self.is_cut {
            all.push(Change::new(Kind::Overflow, root, true));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_some_are_told_and_that_there_were_more() {
        let mut changes = Changes::default();
        for number in 0..MOST + 10 {
            assert!(!changes.is_cut() || number > MOST);
            let path = PathBuf::from(number.to_string());
            changes.add(Change::new(Kind::Created, path, false));
        }
        let all = changes.finish(PathBuf::from("/"));
        assert_eq!(all.len(), MOST + 1);
        assert_eq!(all.last().unwrap().kind, Kind::Overflow);
        assert_eq!(all[MOST - 1].path, PathBuf::from((MOST - 1).to_string()));
    }
}
