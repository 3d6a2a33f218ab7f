//! How much of a repository is too much.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::drivers::blocking;

/// Most bytes of a checkout with what git keeps of it.
const MAX_BYTES: u64 = 2 << 30;

/// Most files and folders of it.
const MAX_FILES: usize = 200_000;

/// Least pause between two looks at how much there is.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until a folder has too much in it, and says so.
pub(super) async fn too_much(folder: &Path) -> String {
    loop {
        let since = Instant::now();
        let folder = folder.to_owned();
        if blocking(move || is_too_much(&folder)).await {
            return format!(
                "it is larger than {} GiB or has more than {MAX_FILES} files",
                MAX_BYTES >> 30
            );
        }
        sleep(LOOK.max(since.elapsed() * 10)).await;
    }
}

/// Tells whether there is too much. What goes away meanwhile doesn't count.
fn is_too_much(folder: &Path) -> bool {
    let (mut bytes, mut count) = (0_u64, 0_usize);
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else {
                continue;
            };
            count += 1;
            bytes = bytes.saturating_add(about.len());
            if about.is_dir() {
                folders.push(entry.path());
            }
            if bytes > MAX_BYTES || count > MAX_FILES {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_when_there_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small"), "x").unwrap();
        assert!(!is_too_much(folder.path()));
        let large = fs::File::create(folder.path().join("large")).unwrap();
        large.set_len(MAX_BYTES + 1).unwrap();
        assert!(is_too_much(folder.path()));
    }
}
