//! The folders that a watch looks at, and what the kernel's events say of them.
//!
//! The kernel watches single folders (inotify(7)). A folder that is made is watched first
//! and read then: what was put into it meanwhile is seen by one or by both, so what reading
//! has found is remembered until the events of that time have come, and isn't told twice.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::mem::take;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;

mod renames;
mod root;

use super::change::{Change, Changes};
use super::log::Kind;
use super::pattern::Patterns;
use super::raw::{Batch, Raw};
use crate::files::{FileError, Root, path_of};
use root::{Above, There};

/// Most folders of one watch.
const MAX_FOLDERS: usize = 131_072;

/// What isn't looked into: it changes without an end, and tells of none.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What is asked of the kernel for each folder.
const FLAGS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::EXCL_UNLINK)
    .union(WatchFlags::ONLYDIR);

/// What a watch looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// A folder and all below it.
    All,
    /// A folder alone.
    One,
}

/// A folder that the kernel watches.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Names that were found by reading it, and told.
    fresh: HashSet<OsString>,
}

/// The folders of a watch.
#[derive(Debug)]
pub(super) struct Tree {
    kernel: OwnedFd,
    /// What isn't left, wherever paths lead meanwhile.
    within: Option<Arc<Root>>,
    root: PathBuf,
    /// The kernel's number of the root.
    root_watch: i32,
    there: There,
    above: Above,
    /// The one name in the root that is watched, where it is a file.
    only: Option<OsString>,
    depth: Depth,
    patterns: Patterns,
    folders: HashMap<i32, Folder>,
    /// Which folders remember names: since before the last events, and since.
    remembering: (Vec<i32>, Vec<i32>),
    /// Whether folders aren't watched for want of room.
    is_incomplete: bool,
}

/// Whether what a folder has in it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Told,
    Known,
}

impl Tree {
    /// Begins to watch a folder, or a file in it.
    ///
    /// # Errors
    /// What the system says; `ENOSPC` where it watches no more.
    pub(super) fn open(
        kernel: OwnedFd,
        within: Option<Arc<Root>>,
        path: &Path,
        depth: Depth,
        patterns: Patterns,
    ) -> io::Result<Self> {
        let is_folder = match &within {
            None => fs::metadata(path)?.is_dir(),
            Some(within) => {
                let found = open(within, path, OFlags::PATH)?;
                FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Directory
            }
        };
        let (root, only, depth) = match (path.parent(), path.file_name()) {
            // A file that is replaced is another one: its folder tells of both.
            (Some(parent), Some(name)) if !is_folder => (parent, Some(name.to_owned()), Depth::One),
            _ => (path, None, depth),
        };
        let mut tree = Self {
            kernel,
            within,
            root: root.to_owned(),
            root_watch: 0,
            there: There::Root,
            above: Above::default(),
            only,
            depth,
            patterns,
            folders: HashMap::new(),
            remembering: (Vec::new(), Vec::new()),
            is_incomplete: false,
        };
        tree.look_above();
        tree.root_watch = tree.look(root)?.0;
        tree.look_everywhere()?;
        Ok(tree)
    }

    /// Says what events mean, and watches what they bring.
    pub(super) fn take(&mut self, batch: &Batch) -> Vec<Change> {
        let mut changes = Changes::default();
        let mut joined = HashSet::new();
        for (at, raw) in batch.events.iter().enumerate() {
            if joined.contains(&at) {
                continue;
            }
            if raw.flags.contains(ReadFlags::MOVED_FROM) {
                let rest = batch.events.iter().enumerate().skip(at + 1);
                let second = rest
                    .filter(|(_, other)| other.flags.contains(ReadFlags::MOVED_TO))
                    .find(|(_, other)| other.cookie == raw.cookie);
                if let Some((second, to)) = second {
                    joined.insert(second);
                    self.renamed(raw, to, &mut changes);
                    continue;
                }
            }
            self.one(raw, &mut changes);
        }
        let (before, since) = &mut self.remembering;
        if batch.is_all {
            for watch in before.drain(..) {
                if let Some(folder) = self.folders.get_mut(&watch) {
                    folder.fresh = HashSet::new();
                }
            }
        }
        before.append(since);
        changes.finish(self.root.clone())
    }

    /// Whether folders aren't watched as there was no room for them.
    pub(super) fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    fn one(&mut self, raw: &Raw, changes: &mut Changes) {
        if raw.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.missed(changes);
            return;
        }
        if raw.flags.contains(ReadFlags::IGNORED) {
            self.folders.remove(&raw.watch);
            return;
        }
        if self.is_about_root(raw) {
            self.find_root(changes);
            return;
        }
        let is_folder = raw.flags.contains(ReadFlags::ISDIR);
        let Some(path) = self.path(raw) else {
            return;
        };
        let was_fresh = self.folders.get_mut(&raw.watch).is_some_and(|folder| {
            let modified = ReadFlags::MODIFY | ReadFlags::ATTRIB;
            !raw.flags.intersects(modified) && folder.fresh.remove(&raw.name)
        });
        if raw.flags.contains(ReadFlags::CREATE) {
            if !was_fresh {
                self.appeared(path, is_folder, changes);
            }
        } else if raw.flags.contains(ReadFlags::MOVED_TO) {
            if was_fresh && !is_folder {
                // Reading has seen it, or what it replaced.
                self.tell(Kind::Modified, path, is_folder, changes);
            } else if !was_fresh {
                self.appeared(path, is_folder, changes);
            }
        } else if raw
            .flags
            .intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM)
        {
            if is_folder && raw.flags.contains(ReadFlags::MOVED_FROM) {
                self.leave(&path);
            }
            self.tell(Kind::Removed, path, is_folder, changes);
        } else if raw.flags.intersects(ReadFlags::MODIFY | ReadFlags::ATTRIB) {
            self.tell(Kind::Modified, path, is_folder, changes);
        }
    }

    /// Returns what an event is about; `None`: no entry of a folder that is watched.
    fn path(&self, raw: &Raw) -> Option<PathBuf> {
        let folder = self.folders.get(&raw.watch)?;
        let other = self.only.as_ref().is_some_and(|only| *only != raw.name);
        (!raw.name.is_empty() && !other).then(|| folder.path.join(&raw.name))
    }

    fn appeared(&mut self, path: PathBuf, is_folder: bool, changes: &mut Changes) {
        self.tell(Kind::Created, path.clone(), is_folder, changes);
        if is_folder && self.looks_into(&path) {
            self.watch_all(path, changes);
        }
    }

    /// Watches a folder that came, and tells of what is in it.
    fn watch_all(&mut self, path: PathBuf, changes: &mut Changes) {
        if self.enter(path, Found::Told, changes).is_err() {
            self.is_incomplete = true;
            changes.missed(self.root.clone());
        }
    }

    /// Watches a folder and, where that is wanted, all below it.
    ///
    /// # Errors
    /// Where the system, or this, watches no more.
    fn enter(&mut self, path: PathBuf, found: Found, changes: &mut Changes) -> io::Result<()> {
        let mut next = vec![path];
        while let Some(path) = next.pop() {
            if self.folders.len() >= MAX_FOLDERS {
                return Err(Errno::NOSPC.into());
            }
            let (watch, entries) = match self.look(&path) {
                Ok(looked) => looked,
                Err(error @ (Errno::NOSPC | Errno::NOMEM)) => return Err(error.into()),
                // It is gone again, or not this user's to look into.
                Err(_) => continue,
            };
            if path == self.root {
                self.root_watch = watch;
            }
            let mut fresh = HashSet::new();
            // What can't be read any more is gone, and its removal is told.
            for entry in entries.into_iter().flatten().flatten() {
                if self
                    .only
                    .as_ref()
                    .is_some_and(|only| *only != entry.file_name())
                {
                    continue;
                }
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let below = path.join(entry.file_name());
                if found == Found::Told {
                    self.tell(Kind::Created, below.clone(), is_folder, changes);
                    if !changes.is_cut() {
                        fresh.insert(entry.file_name());
                    }
                }
                if is_folder && self.looks_into(&below) {
                    next.push(below);
                }
            }
            if !fresh.is_empty() {
                self.remembering.1.push(watch);
            }
            self.folders.insert(watch, Folder { path, fresh });
        }
        Ok(())
    }

    /// Has the kernel watch one folder, and begins to read it.
    fn look(&self, path: &Path) -> Result<(i32, Option<fs::ReadDir>), Errno> {
        let Some(within) = &self.within else {
            // What it is called may be a link, what is below isn't followed.
            let flags = if path == self.root {
                FLAGS
            } else {
                FLAGS | WatchFlags::DONT_FOLLOW
            };
            let watch = inotify::add_watch(&self.kernel, path, flags)?;
            return Ok((watch, fs::read_dir(path).ok()));
        };
        let folder = open(within, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        if path == self.root && path_of(&folder) != path {
            // It is called something else since, and so is all that is in it.
            return Err(Errno::NOENT);
        }
        let own = format!("/proc/self/fd/{}", folder.as_raw_fd());
        let watch = inotify::add_watch(&self.kernel, own.as_str(), FLAGS)?;
        Ok((watch, fs::read_dir(own).ok()))
    }

    /// Watches nothing any more of a folder that has gone elsewhere.
    fn leave(&mut self, path: &Path) {
        let below = |folder: &Folder| folder.path.starts_with(path);
        let gone = self.folders.iter().filter(|(_, folder)| below(folder));
        let gone: Vec<_> = gone.map(|(watch, _)| *watch).collect();
        for watch in gone {
            self.folders.remove(&watch);
            // It may be gone by itself.
            let _ = inotify::remove_watch(&self.kernel, watch);
        }
    }

    /// Finds its bearings after events were lost: what each folder is called is read anew.
    fn missed(&mut self, changes: &mut Changes) {
        changes.missed(self.root.clone());
        let before = take(&mut self.folders);
        self.find_bearings();
        self.is_incomplete = self.look_everywhere().is_err();
        for watch in before.into_keys() {
            if !self.folders.contains_key(&watch) {
                // It may be gone by itself.
                let _ = inotify::remove_watch(&self.kernel, watch);
            }
        }
        if self.is_incomplete {
            // There may be room now.
            self.is_incomplete = self.look_everywhere().is_err();
        }
    }

    fn look_everywhere(&mut self) -> io::Result<()> {
        if self.there == There::Nothing {
            return Ok(());
        }
        self.enter(self.root.clone(), Found::Known, &mut Changes::default())
    }

    fn tell(&self, kind: Kind, path: PathBuf, is_folder: bool, changes: &mut Changes) {
        if self.is_told(&path) {
            changes.add(Change::new(kind, path, is_folder));
        }
    }

    fn is_told(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        self.patterns.tell(below)
    }

    fn looks_into(&self, folder: &Path) -> bool {
        let below = folder.strip_prefix(&self.root).unwrap_or(folder);
        self.depth == Depth::All
            && self.patterns.look_into(below)
            && !SYSTEM.iter().any(|system| folder == Path::new(system))
    }
}

/// Opens what a path leads to within what isn't left.
fn open(within: &Root, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let opened = within.open(path.as_os_str().as_bytes(), flags);
    opened.map_err(|error| match error {
        FileError::System { source, .. } => source,
        _ => Errno::ACCESS,
    })
}
