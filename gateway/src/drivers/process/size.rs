//! What a home takes up on disk.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Entries that are looked at before others may have the disk.
const RUN: u64 = 512;

/// How long others have it.
const REST: Duration = Duration::from_millis(2);

/// Most entries of a home that are looked at; what is beyond isn't counted.
const MOST: u64 = 3_000_000;

/// Bytes of the blocks that `st_blocks` counts (POSIX leaves it open; Linux: 512).
const BLOCK: u64 = 512;

/// Returns what a folder takes up, without what is mounted in it; `None` where there is
/// none. What goes while it is looked at isn't counted. Blocks, for a while.
pub(super) fn of(folder: &Path) -> Option<u64> {
    let root = fs::symlink_metadata(folder).ok()?;
    let mut sum = root.blocks() * BLOCK;
    let mut linked = HashSet::new();
    let mut seen = 0_u64;
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(data) = entry.metadata() else { continue };
            if data.dev() != root.dev() {
                continue;
            }
            // A file of several names is there once.
            if data.is_file() && data.nlink() > 1 && !linked.insert(data.ino()) {
                continue;
            }
            sum = sum.saturating_add(data.blocks().saturating_mul(BLOCK));
            if data.is_dir() {
                open.push(entry.path());
            }
            seen += 1;
            if seen >= MOST {
                return Some(sum);
            }
            if seen.is_multiple_of(RUN) {
                thread::sleep(REST);
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_large_as_what_is_in_it_and_links_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        fs::create_dir_all(home.join("deep/er")).unwrap();
        let empty = of(&home).unwrap();
        fs::write(home.join("deep/er/file"), vec![1; 1 << 20]).unwrap();
        fs::write(root.path().join("outside"), vec![1; 1 << 22]).unwrap();
        std::os::unix::fs::symlink(root.path(), home.join("out")).unwrap();
        fs::hard_link(home.join("deep/er/file"), home.join("again")).unwrap();
        let full = of(&home).unwrap();
        let grown = full - empty;
        assert!((1 << 20..(1 << 20) + 65536).contains(&grown), "{grown}");
        assert_eq!(of(&root.path().join("missing")), None);
    }
}
