//! Snapshots of homes: copies in a folder beside the workspaces' own.
//!
//! A copy is made under another name and gets its own once it is whole. A home that takes
//! another's place does so in steps, each of which shows how far an earlier call came.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ProcessDriver;
use super::copy::{self, Progress};
use super::folder::{Folder, make_folders, write};
use crate::drivers::{Credentials, DriverError, Label, Pending, Snapshots, Taken, blocking};
use crate::files::remove_tree;
use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::{HomeOf, Workspace};
use parking_lot::Mutex;

/// What the names of snapshots begin with that aren't whole.
const MAKING: &str = ".making-";

/// What the names of snapshots begin with that are being removed.
const REMOVED: &str = ".removed-";

/// Ends the note of a home that is just taking its place.
const SWAPPING: &str = " swapping";

/// Copies that go on.
#[derive(Debug, Default)]
pub(super) struct Copies {
    going: Mutex<HashMap<SnapshotId, Arc<Progress>>>,
    /// Held while something of a snapshot or of a workspace's home is changed, also by a
    /// call whose caller has gone. Locked on threads that may block only.
    turns: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// A copy whose end somebody waits for; dropped, it ends.
struct Going<'a>(&'a Copies, SnapshotId, Arc<Progress>);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.2.gone.store(true, Ordering::Relaxed);
        let mut going = self.0.going.lock();
        going.remove(&self.1);
    }
}

impl Copies {
    fn begin(&self, id: &SnapshotId) -> Going<'_> {
        let progress = Arc::<Progress>::default();
        let mut going = self.going.lock();
        going.insert(id.clone(), Arc::clone(&progress));
        Going(self, id.clone(), progress)
    }

    fn turn(&self, what: &str) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock();
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(what.to_owned()).or_default())
    }
}

impl ProcessDriver {
    /// Returns the folder of all snapshots.
    fn snapshots(&self) -> PathBuf {
        self.options.folder.with_file_name("snapshots")
    }

    /// Puts the home in place that a workspace is made from, unless it was.
    pub(super) async fn restore(&self, id: &WorkspaceId, home: HomeOf) -> Result<(), DriverError> {
        let (folder, all) = (self.folder(id), self.snapshots());
        let going = self.copies.begin(&home.restoring);
        let progress = Arc::clone(&going.2);
        let turn = self.copies.turn(id.as_str());
        blocking(move || {
            let _turn = turn.lock();
            restore(&folder, &all, &home, &progress)
        })
        .await
    }
}

impl Snapshots for ProcessDriver {
    fn take<'a>(
        &'a self,
        workspace: &'a Workspace,
        id: &'a SnapshotId,
        _: &'a Label,
    ) -> Pending<'a, Result<Taken, DriverError>> {
        let (folder, all) = (self.folder(&workspace.id), self.snapshots());
        Box::pin(async move {
            let going = self.copies.begin(id);
            let (progress, turn) = (Arc::clone(&going.2), self.copies.turn(id.as_str()));
            let id = id.clone();
            blocking(move || {
                let _turn = turn.lock();
                take(&folder, &all, &id, &progress)
            })
            .await
        })
    }

    fn remove_snapshot<'a>(&'a self, id: &'a SnapshotId) -> Pending<'a, Result<(), DriverError>> {
        let (all, turn, id) = (self.snapshots(), self.copies.turn(id.as_str()), id.clone());
        Box::pin(blocking(move || {
            let _turn = turn.lock();
            let removed = all.join(format!("{REMOVED}{id}"));
            // First out of the way, so that it never looks like a whole one.
            for name in [format!("{MAKING}{id}"), id.to_string()] {
                clear(&removed)?;
                rename(&all.join(name), &removed)?;
            }
            clear(&removed)
        }))
    }

    fn kept_snapshots(&self) -> Pending<'_, Result<Vec<SnapshotId>, DriverError>> {
        let all = self.snapshots();
        Box::pin(blocking(move || kept(&all)))
    }

    fn can_restore<'a>(
        &'a self,
        _: &'a WorkspaceId,
        id: &'a SnapshotId,
    ) -> Pending<'a, Result<(), DriverError>> {
        let (folder, id) = (self.snapshots().join(id.as_str()), id.clone());
        Box::pin(blocking(move || {
            if exists(&folder)? {
                return Ok(());
            }
            Err(missing(&id))
        }))
    }

    fn home_is_in_place<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<bool, DriverError>> {
        let folder = self.folder(&workspace.id);
        let wanted = workspace.blueprint.restoring().to_owned();
        Box::pin(blocking(move || {
            let note = home_of(&folder)?;
            // A swap that was begun is always finished.
            Ok(note.strip_suffix(SWAPPING).unwrap_or(&note) == wanted)
        }))
    }

    fn needed_by<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<Vec<SnapshotId>, DriverError>> {
        let (folder, home) = (self.folder(&workspace.id), workspace.blueprint.home.clone());
        Box::pin(blocking(move || match home {
            // A home that is in its place is the workspace's own.
            Some(home) if home_of(&folder)? != home.restoring.as_str() => Ok(vec![home.snapshot]),
            Some(_) | None => Ok(Vec::new()),
        }))
    }

    fn snapshot_progress(&self, id: &SnapshotId) -> Option<String> {
        let going = self.copies.going.lock();
        let bytes = going.get(id)?.bytes.load(Ordering::Relaxed);
        Some(format!("copied {} MiB of the home", bytes >> 20))
    }

    fn push<'a>(
        &'a self,
        _: &'a SnapshotId,
        _: &'a str,
        _: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(std::future::ready(Err(DriverError::NeedsContainers)))
    }

    fn pull<'a>(
        &'a self,
        _: &'a SnapshotId,
        _: &'a str,
        _: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(Label, Taken), DriverError>> {
        Box::pin(std::future::ready(Err(DriverError::NeedsContainers)))
    }

    fn end_transfer<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove_builds<'a>(
        &'a self,
        _: &'a [String],
    ) -> Pending<'a, Result<Vec<String>, DriverError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// Returns where it is noted which restoring a home comes from.
fn note_of(folder: &Folder) -> PathBuf {
    folder.root().join("home-of")
}

/// Returns which restoring a home comes from; empty where from none.
fn home_of(folder: &Folder) -> Result<String, DriverError> {
    let note = note_of(folder);
    match fs::read_to_string(&note) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| failed("read", &note, source)),
    }
}

/// Takes note of a home that is there, unless it is just taking its place.
pub(super) fn note_home(folder: &Folder) -> Result<(), DriverError> {
    let restoring = home_of(folder)?;
    if restoring.ends_with(SWAPPING) || !folder.home().is_dir() {
        return Ok(());
    }
    folder.note_home(&restoring)
}

fn take(
    folder: &Folder,
    all: &Path,
    id: &SnapshotId,
    progress: &Progress,
) -> Result<Taken, DriverError> {
    let (making, whole) = (all.join(format!("{MAKING}{id}")), all.join(id.as_str()));
    make_folders(&[all])?;
    for left in [&making, &whole] {
        clear(left)?;
    }
    if !exists(&folder.home())? {
        folder.check_home("")?;
        folder.create()?;
    }
    copy(&folder.home(), &making, progress)?;
    rename(&making, &whole)?;
    Ok(Taken {
        size: progress.bytes.load(Ordering::Relaxed),
    })
}

fn restore(
    folder: &Folder,
    all: &Path,
    home: &HomeOf,
    progress: &Progress,
) -> Result<(), DriverError> {
    let wanted = home.restoring.as_str();
    let of = note_of(folder);
    let beside = |name: &str| folder.root().join(name);
    let (new, ready, before) = (
        beside("home.new"),
        beside("home.ready"),
        beside("home.before"),
    );
    let mut note = home_of(folder)?;
    // One that another call had begun, and nothing else, is finished first.
    if let Some(begun) = note.strip_suffix(SWAPPING) {
        let begun = begun.to_owned();
        swap(&folder.home(), &ready, &before)?;
        write(&of, begun.as_bytes())?;
        note = begun;
    }
    if note != wanted {
        let parent = folder.root().parent().unwrap_or(folder.root());
        make_folders(&[parent, folder.root()])?;
        for left in [&new, &ready, &before] {
            clear(left)?;
        }
        let snapshot = all.join(home.snapshot.as_str());
        if !exists(&snapshot)? {
            return Err(missing(&home.snapshot));
        }
        copy(&snapshot, &new, progress)?;
        rename(&new, &ready)?;
        write(&of, format!("{wanted}{SWAPPING}").as_bytes())?;
        swap(&folder.home(), &ready, &before)?;
        write(&of, wanted.as_bytes())?;
    }
    clear(&before)
}

fn missing(id: &SnapshotId) -> DriverError {
    DriverError::SnapshotMissing {
        snapshot: id.clone(),
        detail: "its folder is gone".to_owned(),
    }
}

/// Puts a home in the place of another one, as far as that wasn't done before.
fn swap(home: &Path, ready: &Path, before: &Path) -> Result<(), DriverError> {
    if exists(ready)? {
        rename(home, before)?;
        rename(ready, home)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, progress: &Progress) -> Result<(), DriverError> {
    copy::copy(from, to, progress).map_err(|error| DriverError::File {
        action: "copy",
        path: error.path,
        source: error.source,
    })
}

fn kept(all: &Path) -> Result<Vec<SnapshotId>, DriverError> {
    let entries = match fs::read_dir(all) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| failed("read", all, source))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ids: Vec<SnapshotId> = names
        .filter_map(|name| {
            let name = name.strip_prefix(MAKING).unwrap_or(&name);
            name.strip_prefix(REMOVED).unwrap_or(name).parse().ok()
        })
        .collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Removes what is there; `Ok` where nothing is.
fn clear(path: &Path) -> Result<(), DriverError> {
    remove_tree(path).map_err(|source| failed("remove", path, source))
}

/// Renames what is there; `Ok` where nothing is.
fn rename(from: &Path, to: &Path) -> Result<(), DriverError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.map_err(|source| failed("rename", from, source)),
    }
}

fn exists(path: &Path) -> Result<bool, DriverError> {
    path.try_exists()
        .map_err(|source| failed("look for", path, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> DriverError {
    DriverError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
