//! What has another name, and goes on to be watched by that.

use std::path::{Path, PathBuf};

use rustix::fs::inotify::ReadFlags;
use rustix::io::Errno;

use super::Tree;
use crate::watches::change::{Change, Changes};
use crate::watches::log::Kind;
use crate::watches::raw::Raw;

impl Tree {
    pub(super) fn renamed(&mut self, from: &Raw, to: &Raw, changes: &mut Changes) {
        let is_folder = from.flags.contains(ReadFlags::ISDIR);
        let (Some(old), Some(new)) = (self.path(from), self.path(to)) else {
            // One of the two isn't watched.
            self.one(from, changes);
            self.one(to, changes);
            return;
        };
        for raw in [from, to] {
            if let Some(folder) = self.folders.get_mut(&raw.watch) {
                folder.fresh.remove(&raw.name);
            }
        }
        let told = [&old, &new].map(|path| self.is_told(path));
        match told {
            [true, true] => changes.add(Change {
                to: Some(new.clone()),
                ..Change::new(Kind::Renamed, old.clone(), is_folder)
            }),
            [true, false] => changes.add(Change::new(Kind::Removed, old.clone(), is_folder)),
            [false, true] => changes.add(Change::new(Kind::Created, new.clone(), is_folder)),
            [false, false] => {}
        }
        if is_folder {
            self.moved(&old, new, changes);
        }
    }

    /// Goes with a folder that has another name. What it is called now is the kernel's to
    /// say: a later event of the same time may have been seen already by reading.
    fn moved(&mut self, old: &Path, new: PathBuf, changes: &mut Changes) {
        if !self.looks_into(&new) {
            self.leave(old);
            return;
        }
        let watch = self.look(&new).map(|(watch, _)| watch);
        let label = match watch {
            Ok(watch) => self.folders.get(&watch).map(|folder| &folder.path),
            Err(Errno::NOSPC | Errno::NOMEM) => None,
            // It has yet another name, of which the next event tells.
            Err(_) => {
                self.relabel(old, &new);
                return;
            }
        };
        match label {
            // Two that changed their names with each other.
            Some(label) if *label == new => {}
            Some(label) if label.starts_with(old) => self.relabel(old, &new),
            // It isn't what was known by the old name: that is another one since.
            _ => self.watch_all(new, changes),
        }
    }

    /// Has what is below one folder be below another one, and the other way round.
    fn relabel(&mut self, old: &Path, new: &Path) {
        for folder in self.folders.values_mut() {
            let moved = |from: &Path, to: &Path| {
                let rest = folder.path.strip_prefix(from).ok()?;
                // Joining nothing adds a slash.
                let is_it = rest.as_os_str().is_empty();
                Some(if is_it { to.to_owned() } else { to.join(rest) })
            };
            if let Some(path) = moved(old, new).or_else(|| moved(new, old)) {
                folder.path = path;
            }
        }
    }
}
