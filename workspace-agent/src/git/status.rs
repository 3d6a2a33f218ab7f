//! What `git status --porcelain=v2 -z --branch` says (git-status(1)).

use serde::Serialize;

use crate::files::texts;

/// How a repository is, as the API shows it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    ahead: u32,
    behind: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    entries: Vec<Entry>,
    clean: bool,
}

/// A file that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Entry {
    path: String,
    /// The path percent-encoded, where it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_from: Option<String>,
    index: Change,
    worktree: Change,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Unmodified,
    Modified,
    TypeChanged,
    Added,
    Deleted,
    Renamed,
    Copied,
    Unmerged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Changed,
    Renamed,
    Unmerged,
    Untracked,
}

/// Reads it. What a later git says beside is left out.
pub(super) fn read(said: &[u8], root: &str) -> Status {
    let mut status = Status {
        root: root.to_owned(),
        ..Status::default()
    };
    let mut lines = said.split(|byte| *byte == 0);
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix(b"# branch.") {
            status.header(&String::from_utf8_lossy(header));
            continue;
        }
        // How many words are before the path.
        let (words, kind) = match line.first() {
            Some(b'1') => (8, Kind::Changed),
            Some(b'2') => (9, Kind::Renamed),
            Some(b'u') => (10, Kind::Unmerged),
            Some(b'?') => (1, Kind::Untracked),
            _ => continue,
        };
        let mut words = line.splitn(words + 1, |byte| *byte == b' ').skip(1);
        let (index, worktree) = match kind {
            Kind::Untracked => (Change::Unmodified, Change::Added),
            _ => changes(words.next().unwrap_or_default()),
        };
        let Some(path) = words.last() else {
            continue;
        };
        let (path, raw_path) = texts(path);
        let from = (kind == Kind::Renamed).then(|| lines.next()).flatten();
        let (from, raw_from) = from.map(texts).unzip();
        status.entries.push(Entry {
            path,
            raw_path,
            from,
            raw_from: raw_from.flatten(),
            index,
            worktree,
            kind,
        });
    }
    status.clean = status.entries.is_empty();
    status
}

impl Status {
    fn header(&mut self, header: &str) {
        let (name, value) = header.split_once(' ').unwrap_or((header, ""));
        let count = |text: Option<&str>| {
            let digits = text.map(|text| text.trim_start_matches(['+', '-']));
            digits
                .and_then(|text| text.parse().ok())
                .unwrap_or_default()
        };
        match name {
            "oid" if value != "(initial)" => self.head = Some(value.to_owned()),
            "head" if value != "(detached)" => self.branch = Some(value.to_owned()),
            "upstream" => self.upstream = Some(value.to_owned()),
            "ab" => {
                let mut counts = value.split(' ');
                self.ahead = count(counts.next());
                self.behind = count(counts.next());
            }
            _ => {}
        }
    }
}

fn changes(letters: &[u8]) -> (Change, Change) {
    let mut changes = letters.iter().map(|letter| match letter {
        b'M' => Change::Modified,
        b'T' => Change::TypeChanged,
        b'A' => Change::Added,
        b'D' => Change::Deleted,
        b'R' => Change::Renamed,
        b'C' => Change::Copied,
        b'U' => Change::Unmerged,
        _ => Change::Unmodified,
    });
    let mut next = || changes.next().unwrap_or(Change::Unmodified);
    (next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_read() {
        let oid = "0123456789012345678901234567890123456789";
        let said = [
            format!("# branch.oid {oid}"),
            "# branch.head main".into(),
            "# branch.upstream origin/main".into(),
            "# branch.ab +3 -2".into(),
            "# stash 1".into(),
            format!("1 .M N... 100644 100644 100644 {oid} {oid} with space.txt"),
            format!("2 R. N... 100644 100644 100644 {oid} {oid} R100 new name"),
            "old name".into(),
            format!("u UU N... 100644 100644 100644 100644 {oid} {oid} {oid} both"),
            "? un\ntracked".into(),
            String::new(),
        ]
        .join("\0");
        let status = read(said.as_bytes(), "/r");
        assert_eq!(status.branch.as_deref(), Some("main"));
        assert_eq!(status.upstream.as_deref(), Some("origin/main"));
        assert_eq!((status.ahead, status.behind), (3, 2));
        assert_eq!(status.head.as_deref(), Some(oid));
        assert!(!status.clean);
        let shown: Vec<_> = status
            .entries
            .iter()
            .map(|entry| (entry.path.as_str(), entry.from.as_deref(), entry.kind))
            .collect();
        assert_eq!(
            shown,
            [
                ("with space.txt", None, Kind::Changed),
                ("new name", Some("old name"), Kind::Renamed),
                ("both", None, Kind::Unmerged),
                ("un\ntracked", None, Kind::Untracked),
            ]
        );
        assert_eq!(status.entries[0].index, Change::Unmodified);
        assert_eq!(status.entries[0].worktree, Change::Modified);
        assert_eq!(status.entries[1].index, Change::Renamed);
    }

    #[test]
    fn names_that_are_no_text_are_told_byte_by_byte() {
        let status = read(b"2 R. N... 1 1 1 a a R100 n\xff\0o \xfe\0? plain\0", "/r");
        let first = &status.entries[0];
        assert_eq!(first.path, "n\u{fffd}");
        assert_eq!(first.raw_path.as_deref(), Some("n%FF"));
        assert_eq!(first.raw_from.as_deref(), Some("o%20%FE"));
        assert_eq!(status.entries[1].raw_path, None);
    }

    #[test]
    fn a_new_repository_has_no_commit_and_is_clean() {
        let status = read(b"# branch.oid (initial)\0# branch.head main\0", "/r");
        assert_eq!(status.head, None);
        assert!(status.clean);
        let status = read(b"# branch.oid a\0# branch.head (detached)\0", "/r");
        assert_eq!(status.branch, None);
    }
}
