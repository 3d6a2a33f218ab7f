//! What becomes of the records once the disk was full: a small one, in memory.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use time::OffsetDateTime;

use super::add;
use crate::events::{Kind, NewEvent};
use crate::identity::Role;
use crate::store::{Store, StoreError};

/// A file system of its own size. Unmounted when this is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path, size: &str) -> Self {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        let mounted = mount.arg(folder).status().unwrap();
        assert!(mounted.success(), "mounting a file system needs root");
        Self(folder.to_owned())
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Returns an event that takes up several pages.
fn long_event() -> NewEvent {
    let mut data = serde_json::Map::new();
    data.insert("text".to_owned(), "x".repeat(64 * 1024).into());
    NewEvent {
        time: OffsetDateTime::now_utc(),
        kind: Kind::WorkspaceNotice,
        user: None,
        workspace: None,
        data,
    }
}

#[tokio::test]
async fn what_is_acknowledged_after_the_disk_was_full_is_kept_and_the_database_is_not_locked() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::mount(folder.path(), "2m");
    let path = folder.path().join("devgate.db");
    let store = Store::open(&path).await.unwrap();
    add(&store, "ada", Role::Admin).await;
    disk.fill();
    for _ in 0..3 {
        let full = store.add_events(&[long_event()]).await.unwrap_err();
        assert!(matches!(full, StoreError::Full), "{full:?}");
    }
    disk.free();

    add(&store, "dave", Role::Member).await;
    store.add_events(&[long_event()]).await.unwrap();
    let names = async |store: &Store| {
        let users = store.users().await.unwrap().into_iter();
        users.map(|user| user.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&store).await, ["ada", "dave"]);
    // Others may write, too: no transaction is left open.
    let other = Store::open(&path).await.unwrap();
    add(&other, "eve", Role::Member).await;
    other.close().await;
    store.close().await;
    let store = Store::open(&path).await.unwrap();
    assert_eq!(names(&store).await, ["ada", "dave", "eve"]);
    store.close().await;
}

#[tokio::test]
async fn a_disk_without_room_for_the_first_records_is_called_full() {
    for size in ["100k", "200k", "300k", "400k"] {
        let folder = tempfile::tempdir().unwrap();
        let _disk = Disk::mount(folder.path(), size);
        let error = Store::open(&folder.path().join("devgate.db")).await;
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::Full), "{size}: {error:?}");
        assert!(error.to_string().contains("is full: make room"), "{error}");
    }
}
