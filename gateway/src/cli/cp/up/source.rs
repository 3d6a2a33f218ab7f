//! What goes up: files, and what has to be read to its end before its size is known.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::cli::cp::local::umask;
use crate::cli::cp::outcome::Trouble;
use crate::cli::failure::{Failure, Kind};

/// What is smaller goes up in one request, in bytes.
const SMALL: u64 = 256 * 1024;

/// Most of what has no size, in bytes: it waits on this machine's disk.
const MOST: u64 = 64 * 1024 * 1024 * 1024;

/// Where it waits unless TMPDIR says so: what is in /tmp may be in memory.
const WAITS: &str = "/var/tmp";

/// Something that goes up.
pub(super) struct Source {
    pub(super) mode: u32,
    pub(super) content: Content,
}

/// What it holds.
pub(super) enum Content {
    /// All of it.
    Small(Bytes),
    File {
        file: File,
        size: u64,
        /// What is another one once the file is another one; none where it can't be read
        /// again.
        tag: Option<String>,
    },
}

impl Source {
    /// Opens what is at a path. A pipe is waited for.
    pub(super) async fn open(path: &Path) -> Result<Self, Trouble> {
        let own = path.to_owned();
        let opened = spawn_blocking(move || open(&own)).await;
        let opened = opened.unwrap_or_else(|error| Err(io::Error::other(error)));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => {
                let message = format!("{} has no end, or one that is too far", path.display());
                Failure::new(Kind::Failed, message).into()
            }
            io::ErrorKind::StorageFull => {
                let message = format!(
                    "{} has no size, and no room where it is to wait: set TMPDIR",
                    path.display()
                );
                Failure::new(Kind::Failed, message).into()
            }
            _ => Trouble::here("read", path, &error),
        })
    }
}

fn open(path: &Path) -> io::Result<Source> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let mode = if found.is_file() {
        found.permissions().mode() & 0o777
    } else {
        // As of what a shell writes to.
        0o666 & !umask()
    };
    let content = if found.is_file() && found.len() > SMALL {
        whole(file)?
    } else {
        let mut begin = Vec::new();
        (&file).take(SMALL + 1).read_to_end(&mut begin)?;
        if u64::try_from(begin.len()).is_ok_and(|length| length <= SMALL) {
            Content::Small(begin.into())
        } else if found.is_file() && found.len() > 0 {
            // It has just grown.
            whole(file)?
        } else {
            let file = gathered(begin.chain(file), MOST)?;
            let (size, tag) = (file.metadata()?.len(), None);
            Content::File { file, size, tag }
        }
    };
    Ok(Source { mode, content })
}

/// Returns a file whose size is known.
fn whole(file: File) -> io::Result<Content> {
    let found = file.metadata()?;
    let size = found.len();
    let tag = Some(format!("{:?} {size}", found.modified().ok()));
    Ok(Content::File { file, size, tag })
}

/// Reads something to its end, into a file without a name.
fn gathered(source: impl Read, most: u64) -> io::Result<File> {
    let folder = env::var_os("TMPDIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| WAITS.into());
    let mut file = tempfile::tempfile_in(folder)?;
    if io::copy(&mut source.take(most + 1), &mut file)? > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_given_up() {
        let error = gathered(io::repeat(0), 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let file = gathered(io::repeat(0).take(1000), 1000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1000);
    }

    #[test]
    fn what_is_no_regular_file_is_not_gathered_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (bytes, small) in [(1000, true), (SMALL, true), (SMALL + 1, false)] {
            let source = std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut to = File::options().write(true).open(&pipe).unwrap();
                    io::copy(&mut io::repeat(7).take(bytes), &mut to).unwrap();
                });
                open(&pipe).unwrap()
            });
            let size = match source.content {
                Content::Small(content) if small => u64::try_from(content.len()).unwrap(),
                Content::File {
                    size, tag: None, ..
                } if !small => size,
                _ => panic!("{bytes} bytes are held in another way"),
            };
            assert_eq!(size, bytes);
        }
    }
}
