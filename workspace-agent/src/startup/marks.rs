//! Which steps have succeeded and aren't to run again.
//!
//! A mark is an empty file with the step's name, in the home or in a folder of the
//! container's own.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use devgate_protocol::config::{AgentConfig, Runs};

use crate::state_folder::STATE_FOLDER;

/// The folder of the marks.
const ONCE: &str = "once";

/// Longest name of a mark, in bytes; a file's may have 255.
const MAX_NAME: usize = 200;

/// Returns the mark of a step that runs once.
pub(super) fn of(config: &AgentConfig, name: &str, runs: Runs) -> Option<PathBuf> {
    let folder = match runs {
        Runs::Always => return None,
        Runs::OncePerHome => config.home.join(STATE_FOLDER),
        Runs::OncePerContainer => {
            let own = config.startup.state_folder.as_ref();
            own.unwrap_or(&config.runtime).clone()
        }
    };
    Some(folder.join(ONCE).join(file_name(name)))
}

/// Sets a mark, so that it survives a power cut.
pub(super) fn set(mark: &std::path::Path) -> io::Result<()> {
    let folder = mark.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    File::create(mark)?.sync_all()?;
    File::open(folder)?.sync_all()
}

/// Returns a name without what can't be in a file's.
fn file_name(name: &str) -> String {
    let mut file = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            file.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(file, "%{byte:02x}");
        }
        if file.len() > MAX_NAME {
            break;
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steps_name_stays_in_the_folder() {
        assert_eq!(file_name("post-create_1"), "post-create_1");
        assert_eq!(file_name("../a b"), "%2e%2e%2fa%20b");
        assert!(file_name(&"/".repeat(300)).len() < 255);
    }
}
