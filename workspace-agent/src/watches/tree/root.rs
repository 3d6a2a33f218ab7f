//! The folder at the top of what is watched, which may go, and come again.
//!
//! What is watched is a path, and the kernel watches folders, whatever they are called
//! (inotify(7)). So each folder above is asked of the name that leads on to the root: with
//! any of them the root goes, and nothing would tell of it. Once it is gone, they are asked
//! of what comes, too.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};

use super::Tree;
use crate::watches::change::{Change, Changes};
use crate::watches::log::Kind;
use crate::watches::raw::Raw;

/// What is asked of the folders above while the root is there.
const GOING: WatchFlags = WatchFlags::DELETE
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::MOVED_FROM)
    // A link that is replaced leads elsewhere.
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR)
    // One of them may be watched for what is in it, by another path.
    .union(WatchFlags::MASK_ADD);

/// What is asked of them while it isn't.
const COMING: WatchFlags = GOING.union(WatchFlags::CREATE);

/// What happens to a folder itself.
const ITSELF: ReadFlags = ReadFlags::DELETE_SELF
    .union(ReadFlags::MOVE_SELF)
    .union(ReadFlags::UNMOUNT);

/// What has the path that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    Root,
    /// Nothing is watched until it comes.
    Nothing,
}

/// The folders above the root, and the name in each that leads on to it. One that the
/// workspace's user may not read isn't among them.
#[derive(Debug, Default)]
pub(super) struct Above(HashMap<i32, OsString>);

impl Tree {
    /// Whether an event says that the root may have gone, or come.
    pub(super) fn is_about_root(&self, raw: &Raw) -> bool {
        let is_itself = raw.name.is_empty() && raw.flags.intersects(ITSELF);
        match self.above.0.get(&raw.watch) {
            Some(name) => is_itself || raw.name == *name,
            None => is_itself && raw.watch == self.root_watch,
        }
    }

    /// Finds out what has the root's path now, and tells of it where that is another folder
    /// than before.
    pub(super) fn find_root(&mut self, changes: &mut Changes) {
        let before = (self.there, self.root_watch);
        self.find_bearings();
        if before == (self.there, self.root_watch) {
            return;
        }
        if before.0 == There::Root {
            self.tell_of_root(Kind::Removed, changes);
            let root = self.root.clone();
            self.leave(&root);
        }
        if self.there == There::Root {
            self.tell_of_root(Kind::Created, changes);
            self.watch_all(self.root.clone(), changes);
        }
    }

    /// Looks for the root, and above it.
    pub(super) fn find_bearings(&mut self) {
        let within = self.within.as_ref();
        if let Some(again) = within.and_then(|within| within.again().ok()) {
            // That may be another folder, too.
            self.within = Some(Arc::new(again));
        }
        loop {
            // What happens after the look at what is above is told.
            self.there = There::Root;
            self.look_above();
            if self.look_at_root() {
                return;
            }
            self.there = There::Nothing;
            self.look_above();
            if !self.look_at_root() {
                return;
            }
            // It came in between.
        }
    }

    fn look_at_root(&mut self) -> bool {
        match self.look(&self.root) {
            Ok((watch, _)) => {
                self.root_watch = watch;
                true
            }
            Err(_) => false,
        }
    }

    /// Has the kernel watch the folders above the root.
    pub(super) fn look_above(&mut self) {
        for (watch, _) in self.above.0.drain() {
            if !self.folders.contains_key(&watch) {
                // It may be gone by itself.
                let _ = inotify::remove_watch(&self.kernel, watch);
            }
        }
        let flags = match self.there {
            There::Root => GOING,
            There::Nothing => COMING,
        };
        for below in self.root.ancestors() {
            // They tell of the root's own path alone, also of what is above a folder that
            // isn't left.
            if let (Some(folder), Some(name)) = (below.parent(), below.file_name())
                && let Ok(watch) = inotify::add_watch(&self.kernel, folder, flags)
            {
                self.above.0.insert(watch, OsStr::to_owned(name));
            }
        }
    }

    /// Tells of the root; a file in it that alone is watched is told of by its name.
    fn tell_of_root(&mut self, kind: Kind, changes: &mut Changes) {
        match &self.only {
            None => changes.add(Change::new(kind, self.root.clone(), true)),
            Some(name) if kind == Kind::Removed => {
                changes.add(Change::new(kind, self.root.join(name), false));
            }
            // Reading the root tells of it.
            Some(_) => {}
        }
    }
}
