//! Files as callers reach them, by operation, and the home that the tests do it all in.

mod changing;
mod confined;
mod hostile;
mod reading;
mod searches;
mod trees;
mod uploads;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::Mode;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::*;

/// A home with a folder `in`, to which the caller is confined, and a secret beside it.
struct Home {
    folder: TempDir,
    names: Names,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        Self {
            folder,
            names: Names::new(),
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn free(&self) -> Root {
        Root::of(self.folder.path(), None).unwrap()
    }

    fn confined(&self) -> Root {
        Root::of(self.folder.path(), Some(b"in")).unwrap()
    }

    /// Both ways to keep somebody in.
    fn both(&self) -> [Root; 2] {
        [self.confined(), self.confined().by_steps()]
    }
}

fn order(path: &str) -> Order {
    Order {
        path: path.into(),
        mode: None,
        parents: false,
        durable: false,
        condition: Condition::None,
        digest: None,
    }
}

fn write(root: &Root, names: &Names, order: Order, text: &str) -> Result<Entry, FileError> {
    let mut writing = Writing::begin(root, order)?;
    writing.write(&[Bytes::copy_from_slice(text.as_bytes())])?;
    writing.finish(names).map(|(entry, _)| entry)
}

fn read(root: &Root, path: &str) -> Result<String, FileError> {
    let opened = read::open(root, path.as_bytes())?;
    let mut text = String::new();
    (&opened.file).read_to_string(&mut text).unwrap();
    Ok(text)
}

fn is_outside<T: std::fmt::Debug>(done: &Result<T, FileError>) -> bool {
    matches!(done, Err(FileError::Outside(_)))
}

/// Does something with files as somebody who has no rights but everybody's.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            // This thread's, and that of those it starts.
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            work()
        });
        working.join().unwrap()
    })
}

/// Sets permissions.
fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Opens a folder to pack all of it.
fn source(root: &Root, path: &[u8], format: tree::Format) -> Result<tree::Source, FileError> {
    let stop = CancellationToken::new();
    tree::source(root, path, format, tree::Unreadable::Refused, &stop)
}

/// Returns what has the clock for those who wait for a client.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_time().build().unwrap()
}
