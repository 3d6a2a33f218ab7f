//! The rules about snapshots.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{GRACE, Subject, answers, up, workspace};
use crate::drivers::{Driver, DriverError, Label, Presence};
use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::Workspace;

/// Returns the home of a workspace that runs, as the host sees it.
pub(crate) fn home(driver: &dyn Driver, workspace: &Workspace, pid: u32) -> PathBuf {
    let home = driver.home(&workspace.id);
    let home = home.strip_prefix("/").unwrap();
    PathBuf::from(format!("/proc/{pid}/root")).join(home)
}

/// Returns a workspace as it is once it is restored from a snapshot.
pub(crate) fn restored(workspace: &Workspace, snapshot: &SnapshotId) -> Workspace {
    let mut restored = workspace.clone();
    restored.blueprint = Arc::new(workspace.blueprint.restored(snapshot));
    restored
}

/// Returns a label as snapshots have it.
pub(crate) fn label() -> Label {
    Label {
        name: "first".to_owned(),
        description: "a text with \"quotes\" and $variables".to_owned(),
        user: None,
    }
}

/// Checks which of two is as the workspace's home is.
async fn has_home_of(driver: &dyn Driver, is: &Workspace, is_not: &Workspace) {
    assert!(driver.home_is_in_place(is).await.unwrap());
    assert!(!driver.home_is_in_place(is_not).await.unwrap());
}

pub(crate) async fn a_snapshot_brings_a_home_back_in_its_place_and_elsewhere(
    subject: &impl Subject,
) {
    let (driver, workspace) = (subject.driver(), workspace());
    let pid = up(&*driver, &workspace).await;
    let at = home(&*driver, &workspace, pid);
    std::fs::create_dir(at.join("folder")).unwrap();
    std::fs::write(at.join("folder/file"), "then").unwrap();
    std::fs::hard_link(at.join("folder/file"), at.join("same")).unwrap();
    std::os::unix::fs::symlink("folder/file", at.join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at.join("socket")).unwrap();
    let id = SnapshotId::random();
    // Twice: the second takes the place of the first.
    for _ in 0..2 {
        driver.take(&workspace, &id, &label()).await.unwrap();
    }
    answers(&*driver, &workspace).await;
    let found = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(found, Presence::Running { pid }, "it goes on");
    assert_eq!(
        driver.kept_snapshots().await.unwrap(),
        std::slice::from_ref(&id)
    );
    std::fs::write(at.join("folder/file"), "now").unwrap();
    std::fs::write(at.join("new"), "now").unwrap();

    let check = |driver: &dyn Driver, workspace: &Workspace, pid| {
        use std::os::unix::fs::MetadataExt as _;
        let at = home(driver, workspace, pid);
        let read = |name: &str| std::fs::read_to_string(at.join(name)).unwrap();
        assert_eq!(read("folder/file"), "then");
        let stat = |name: &str| std::fs::symlink_metadata(at.join(name)).unwrap();
        assert_eq!(stat("same").ino(), stat("folder/file").ino());
        let link = std::fs::read_link(at.join("link")).unwrap();
        assert_eq!(link.to_str(), Some("folder/file"));
        assert!(!at.join("new").exists());
    };
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    driver.can_restore(&workspace.id, &id).await.unwrap();
    has_home_of(&*driver, &workspace, &back).await;
    let pid = up(&*driver, &back).await;
    check(&*driver, &back, pid);
    has_home_of(&*driver, &back, &workspace).await;
    // What is written later stays.
    let later = home(&*driver, &back, pid).join("later");
    std::fs::write(&later, "later").unwrap();
    driver.stop(&back.id, GRACE).await.unwrap();
    let pid = up(&*subject.driver(), &back).await;
    assert!(home(&*driver, &back, pid).join("later").exists());

    let other = Workspace {
        id: WorkspaceId::random(),
        ..restored(&workspace, &id)
    };
    let pid = up(&*driver, &other).await;
    check(&*driver, &other, pid);
    for id in [&back.id, &other.id] {
        driver.stop(id, GRACE).await.unwrap();
        driver.remove(id).await.unwrap();
        assert_eq!(driver.inspect(id).await.unwrap(), Presence::Absent);
    }
    driver.remove_snapshot(&id).await.unwrap();
    driver.remove_snapshot(&id).await.unwrap();
    assert_eq!(driver.kept_snapshots().await.unwrap(), []);
    assert_eq!(driver.kept().await.unwrap().workspaces, []);
}

pub(crate) async fn a_snapshot_that_nobody_waits_for_is_taken_anew_or_removed(
    subject: &impl Subject,
) {
    let (driver, workspace) = (subject.driver(), workspace());
    let pid = up(&*driver, &workspace).await;
    let file = home(&*driver, &workspace, pid).join("file");
    std::fs::write(file, "then").unwrap();
    let id = SnapshotId::random();
    for millis in [0, 1, 20, 100, 300] {
        let label = label();
        let take = driver.take(&workspace, &id, &label);
        drop(timeout(Duration::from_millis(millis), take).await);
    }
    driver.remove_snapshot(&id).await.unwrap();
    driver.take(&workspace, &id, &label()).await.unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    // Of one that is stopped, too.
    driver.take(&workspace, &id, &label()).await.unwrap();
    let back = restored(&workspace, &id);
    let pid = up(&*driver, &back).await;
    let file = home(&*driver, &back, pid).join("file");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "then");
    driver.stop(&back.id, GRACE).await.unwrap();
    driver.remove(&back.id).await.unwrap();
    driver.remove_snapshot(&id).await.unwrap();
    assert_eq!(driver.kept_snapshots().await.unwrap(), []);
}

pub(crate) async fn a_restoring_that_nobody_waits_for_is_finished_by_the_next_call(
    subject: &impl Subject,
) {
    let (driver, workspace) = (subject.driver(), workspace());
    let pid = up(&*driver, &workspace).await;
    let file = home(&*driver, &workspace, pid).join("file");
    std::fs::write(&file, "then").unwrap();
    let id = SnapshotId::random();
    driver.take(&workspace, &id, &label()).await.unwrap();
    std::fs::write(&file, "now").unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let back = restored(&workspace, &id);
    for millis in [0, 1, 10, 50, 150] {
        drop(timeout(Duration::from_millis(millis), driver.create(&back)).await);
    }
    let pid = up(&*driver, &back).await;
    let file = home(&*driver, &back, pid).join("file");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "then");
    driver.stop(&back.id, GRACE).await.unwrap();
    driver.remove(&back.id).await.unwrap();
    driver.remove_snapshot(&id).await.unwrap();
    assert_eq!(driver.kept().await.unwrap().workspaces, []);
}

pub(crate) async fn a_snapshot_that_is_not_there_is_named(subject: &impl Subject) {
    let (driver, workspace) = (subject.driver(), workspace());
    let pid = up(&*driver, &workspace).await;
    let file = home(&*driver, &workspace, pid).join("file");
    std::fs::write(file, "kept").unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let id = SnapshotId::random();
    let back = restored(&workspace, &id);
    for missing in [
        driver.can_restore(&workspace.id, &id).await,
        driver.create(&back).await,
    ] {
        let Err(DriverError::SnapshotMissing { snapshot, .. }) = &missing else {
            panic!("{missing:?}");
        };
        assert_eq!(*snapshot, id);
    }
    // The home is what it was.
    has_home_of(&*driver, &workspace, &back).await;
    let pid = up(&*driver, &workspace).await;
    let file = home(&*driver, &workspace, pid).join("file");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "kept");
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
}
