//! Snapshots and clones, and gateways that are killed in the middle of them.

use std::pin::pin;

use super::*;
use crate::names::SnapshotName;

impl Installation {
    async fn workspace(&self, id: &WorkspaceId) -> Workspace {
        self.workspaces.get(id).await.unwrap().unwrap().workspace
    }

    async fn take(&self, id: &WorkspaceId, name: &str) -> Snapshot {
        let workspace = self.workspace(id).await;
        let taken = self
            .workspaces
            .snapshot(&workspace, name.parse().unwrap(), String::new());
        taken.await.unwrap()
    }

    async fn done(&self, snapshot: &Snapshot) -> Snapshot {
        within(self.workspaces.snapshot_settled(&snapshot.id)).await;
        self.workspaces.snapshot_of(&snapshot.id).await.unwrap()
    }

    async fn collect(&self) {
        let nothing = Some(&[][..]);
        within(self.workspaces.remove_unneeded(nothing))
            .await
            .unwrap();
    }

    /// Makes a workspace that runs, with something in its home.
    async fn filled(&self, name: &str, text: &str) -> WorkspaceId {
        let id = self.create(name, Intent::Run).await;
        self.settled(&id).await;
        self.driver.write(&id, text);
        id
    }
}

#[tokio::test]
async fn a_workspace_is_restored_to_what_its_snapshot_has() {
    let it = Installation::new().await;
    let id = it.filled("api", "then").await;
    let snapshot = it.take(&id, "first").await;
    assert_eq!(snapshot.state, SnapshotState::Making);
    let snapshot = it.done(&snapshot).await;
    assert_eq!(
        (snapshot.state, snapshot.size),
        (SnapshotState::Ready, Some(1))
    );
    it.driver.write(&id, "now");
    it.workspaces
        .restore_snapshot(&id, &snapshot.id)
        .await
        .unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.read(&id).as_deref(), Some("then"));
    // Once: what is written later stays.
    it.driver.write(&id, "later");
    it.workspaces.restart(&id).await.unwrap();
    it.settled(&id).await;
    assert_eq!(it.driver.read(&id).as_deref(), Some("later"));
    // A rebuild keeps the home, too.
    it.workspaces
        .rebuild(&id, Blueprint::default())
        .await
        .unwrap();
    it.settled(&id).await;
    assert_eq!(it.driver.read(&id).as_deref(), Some("later"));
}

#[tokio::test]
async fn a_snapshot_that_is_not_where_the_workspace_is_is_refused_and_nothing_stopped() {
    let it = Installation::new().await;
    let id = it.filled("api", "now").await;
    let taken = it.take(&id, "first").await;
    let snapshot = it.done(&taken).await;
    it.driver.set_fault(Fault::Away);
    let refused = it.workspaces.restore_snapshot(&id, &snapshot.id).await;
    let Err(SnapshotError::Unseen { reason, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.to_string().contains("doesn't answer"), "{reason}");
    it.driver.set_fault(Fault::None);
    it.driver.lose(&snapshot.id);
    let refused = it.workspaces.restore_snapshot(&id, &snapshot.id).await;
    let Err(error @ SnapshotError::NotThere { .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.to_string().contains("first"), "{error}");
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.starts(), 1);
}

#[tokio::test]
async fn a_workspace_whose_snapshot_is_lost_before_its_home_is_there_is_what_it_was() {
    let it = Installation::new().await;
    let id = it.filled("api", "then").await;
    let taken = it.take(&id, "first").await;
    let first = it.done(&taken).await;
    it.workspaces
        .restore_snapshot(&id, &first.id)
        .await
        .unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Running));
    let before = it.workspace(&id).await.blueprint;
    it.driver.write(&id, "now");
    let taken = it.take(&id, "second").await;
    let second = it.done(&taken).await;
    // Nobody wants the first any more, but the workspace may go back to it.
    it.workspaces.delete_snapshot(&first.id).await.unwrap();
    it.driver.set_fault(Fault::Hangs {
        call: 0,
        after: false,
    });
    let mut it = it;
    for _ in 0..2 {
        let restored = it.workspaces.restore_snapshot(&id, &second.id);
        restored.await.unwrap();
    }
    within(it.driver.hung()).await;
    let pending = it.workspace(&id).await.blueprint;
    assert!(pending.all_snapshots().any(|needed| *needed == first.id));
    it.driver.lose(&second.id);
    it = it.kill().await;
    let state = it.settled(&id).await.unwrap();
    let State::Failed(reason @ FailureReason::RestoreFailed { .. }) = state else {
        panic!("{state:?}");
    };
    assert!(reason.to_string().contains("devgate start"), "{reason}");
    assert_eq!(it.workspace(&id).await.blueprint, before);
    it.collect().await;
    it.workspaces.start(&id).await.unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.read(&id).as_deref(), Some("now"));
    it.workspaces
        .rebuild(&id, Blueprint::default())
        .await
        .unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.read(&id).as_deref(), Some("now"));
}

#[tokio::test]
async fn a_stopped_workspace_and_one_that_never_ran_can_be_taken() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Stop).await;
    let first = it.take(&id, "empty").await;
    assert_eq!(it.done(&first).await.state, SnapshotState::Ready);
    it.driver.write(&id, "text");
    it.workspaces.stop(&id).await.unwrap();
    let second = it.take(&id, "stopped").await;
    let second = it.done(&second).await;
    let name = "other".parse().unwrap();
    let made = it
        .workspaces
        .create_from(&it.owner, &name, &second.id, Intent::Run);
    let other = made.await.unwrap().workspace.id;
    assert_eq!(it.settled(&other).await, Some(State::Running));
    assert_eq!(it.driver.read(&other).as_deref(), Some("text"));
}

#[tokio::test]
async fn what_is_somebody_elses_makes_no_workspace() {
    let it = Installation::new().await;
    let id = it.filled("api", "secret").await;
    let taken = it.take(&id, "first").await;
    let snapshot = it.done(&taken).await;
    let bob = it
        .store
        .add_user(&"bob".parse().unwrap(), Role::Member)
        .await
        .unwrap();
    let made = it
        .workspaces
        .create_from(&bob, &"mine".parse().unwrap(), &snapshot.id, Intent::Run)
        .await;
    assert!(matches!(made, Err(SnapshotError::NoSuch)), "{made:?}");
}

#[tokio::test]
async fn what_is_somebody_elses_meanwhile_is_not_taken() {
    let it = Installation::new().await;
    let id = it.filled("api", "adas").await;
    it.driver.set_fault(Fault::Away);
    let taken = it.take(&id, "first").await;
    let bob = "bob".parse().unwrap();
    let bob = it.store.add_user(&bob, Role::Member).await.unwrap();
    let owner = Some(bob);
    let change = Change { name: None, owner };
    it.workspaces.change(&id, change).await.unwrap();
    it.driver.write(&id, "bobs");
    it.driver.set_fault(Fault::None);
    let state = it.done(&taken).await.state;
    let why = state.failure().expect("it failed");
    assert!(why.contains("another owner"), "{why}");
}

#[tokio::test]
async fn five_clones_wait_for_one_snapshot_which_goes_with_the_last_of_them() {
    let it = Installation::new().await;
    let id = it.filled("api", "text").await;
    let workspace = it.workspace(&id).await;
    let clones = it
        .workspaces
        .clone_workspace(&workspace, &"copy".parse().unwrap(), 5)
        .await
        .unwrap();
    let ids: Vec<_> = clones.iter().map(|clone| &clone.workspace.id).collect();
    for (number, clone) in (1..).zip(&clones) {
        let own = &clone.workspace;
        assert_eq!(own.name.as_str(), format!("copy-{number}"));
        assert_eq!(it.settled(&own.id).await, Some(State::Running));
        assert_eq!(it.driver.read(&own.id).as_deref(), Some("text"));
    }
    it.collect().await;
    assert_eq!(it.driver.snapshots().len(), 1, "it is needed");
    assert_eq!(
        it.workspaces.snapshots().await.unwrap(),
        [],
        "nobody asked for it"
    );
    for id in ids {
        it.workspaces.purge(id).await.unwrap();
        assert_eq!(it.settled(id).await, None);
    }
    it.collect().await;
    assert_eq!(it.driver.snapshots(), []);
}

#[tokio::test]
async fn a_name_that_is_taken_stops_all_clones_before_anything_is_made() {
    let it = Installation::new().await;
    let id = it.filled("api", "text").await;
    it.create("copy-3", Intent::Stop).await;
    let workspace = it.workspace(&id).await;
    for (count, is_ok) in [(5, false), (0, false), (51, false), (2, true)] {
        let cloned = it
            .workspaces
            .clone_workspace(&workspace, &"copy".parse().unwrap(), count)
            .await;
        assert_eq!(cloned.is_ok(), is_ok, "{count}: {cloned:?}");
        let left = it.workspaces.list().await.unwrap().len();
        assert_eq!(left, if is_ok { 4 } else { 2 }, "{count}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_snapshot_and_its_clones_with_the_next_step() {
    let it = Installation::new().await;
    let id = it.filled("api", "text").await;
    it.driver.set_fault(Fault::Full);
    let taken = it.take(&id, "first").await;
    let snapshot = it.done(&taken).await;
    let reason = snapshot.state.failure().unwrap().to_owned();
    assert!(reason.contains("make room"), "{reason}");
    assert_eq!(it.driver.snapshots(), [], "half a snapshot is left");
    let workspace = it.workspace(&id).await;
    let cloned = it
        .workspaces
        .clone_workspace(&workspace, &"copy".parse().unwrap(), 2)
        .await
        .unwrap();
    for clone in cloned {
        let state = it.settled(&clone.workspace.id).await.unwrap();
        let State::Failed(FailureReason::SnapshotMissing { detail, .. }) = state else {
            panic!("{state:?}");
        };
        assert!(detail.contains("make room"), "{detail}");
    }
    // The workspace goes on.
    assert_eq!(it.settled(&id).await, Some(State::Running));
    let used = it.workspaces.restore_snapshot(&id, &snapshot.id).await;
    assert!(
        matches!(used, Err(SnapshotError::Failed { .. })),
        "{used:?}"
    );
}

#[tokio::test]
async fn what_a_workspace_is_made_of_stays_after_its_snapshot_was_deleted() {
    let it = Installation::new().await;
    let id = it.filled("api", "text").await;
    let taken = it.take(&id, "first").await;
    let snapshot = it.done(&taken).await;
    it.workspaces
        .restore_snapshot(&id, &snapshot.id)
        .await
        .unwrap();
    it.settled(&id).await;
    it.workspaces.delete_snapshot(&snapshot.id).await.unwrap();
    assert_eq!(it.workspaces.snapshots().await.unwrap(), []);
    it.collect().await;
    assert_eq!(it.driver.snapshots().len(), 1);
    it.workspaces.purge(&id).await.unwrap();
    it.settled(&id).await;
    it.collect().await;
    assert_eq!(it.driver.snapshots(), []);
}

#[tokio::test]
async fn a_driver_that_takes_its_time_to_tell_or_to_remove_holds_up_nobodys_commands() {
    for call in 0..2 {
        let it = Installation::new().await;
        let id = it.filled("api", "text").await;
        let [old, kept] = [it.take(&id, "old").await, it.take(&id, "kept").await];
        it.done(&old).await;
        it.done(&kept).await;
        it.workspaces.delete_snapshot(&old.id).await.unwrap();
        it.driver.set_fault(Fault::Hangs { call, after: false });
        let mut collecting = pin!(it.workspaces.remove_unneeded(None));
        tokio::select! {
            done = &mut collecting => panic!("{done:?}"),
            () = within(it.driver.hung()) => {}
        }
        let restored = it.workspaces.restore_snapshot(&id, &kept.id);
        within(restored).await.unwrap();
        assert_eq!(it.settled(&id).await, Some(State::Running));
    }
}

#[tokio::test]
async fn images_that_no_workspace_and_no_template_needs_are_removed() {
    let it = Installation::new().await;
    let built = Image::Built(Build {
        digest: "used".to_owned(),
        folders: std::collections::BTreeMap::new(),
        dockerfile: String::new(),
        context: None,
        arguments: std::collections::BTreeMap::new(),
        target: None,
    });
    let blueprint = Blueprint {
        image: Some(built),
        ..Blueprint::default()
    };
    let name = "api".parse().unwrap();
    let made = it
        .workspaces
        .create(&it.owner, &name, blueprint, Intent::Stop);
    made.await.unwrap();
    it.driver.set_builds(&["used", "of-a-template", "old"]);
    // Where templates can't be read, nothing is known to be unneeded.
    it.workspaces.remove_unneeded(None).await.unwrap();
    assert_eq!(it.driver.builds().len(), 3);
    let needed = ["of-a-template".to_owned()];
    it.workspaces.remove_unneeded(Some(&needed)).await.unwrap();
    assert_eq!(it.driver.builds(), ["used", "of-a-template"]);
}

#[tokio::test]
async fn a_pull_or_push_that_the_gateway_did_not_finish_is_told_to_have_failed() {
    let it = Installation::new().await;
    let id = it.filled("api", "text").await;
    let taken = it.take(&id, "first").await;
    let snapshot = it.done(&taken).await;
    it.driver.set_fault(Fault::Hangs {
        call: 0,
        after: false,
    });
    let to = "127.0.0.1:5000/api:1".to_owned();
    it.workspaces
        .push_snapshot(&snapshot.id, to.clone(), None)
        .await
        .unwrap();
    within(it.driver.hung()).await;
    let it = it.kill().await;
    let pushed = it.done(&snapshot).await;
    assert_eq!(pushed.state, SnapshotState::Ready);
    assert_eq!(pushed.transfer.unwrap().state, TransferState::Failed);

    it.driver.set_fault(Fault::Hangs {
        call: 0,
        after: true,
    });
    let owner = (it.owner.id.clone(), it.owner.name.clone());
    let name: SnapshotName = "pulled".parse().unwrap();
    let pulled = it.workspaces.pull_snapshot(owner, name, to, None);
    let pulled = pulled.await.unwrap();
    within(it.driver.hung()).await;
    let it = it.kill().await;
    let pulled = it.done(&pulled).await;
    assert!(pulled.state.failure().is_some(), "{pulled:?}");
    it.collect().await;
    assert_eq!(it.driver.snapshots(), [(snapshot.id, true)]);
}

/// What is asked for, and must have come to its end after the gateway was killed at any
/// later point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Take,
    Restore,
    Clone,
    Delete,
}

const ALL: [Asked; 4] = [Asked::Take, Asked::Restore, Asked::Clone, Asked::Delete];

/// What is there before.
struct Before {
    id: WorkspaceId,
    snapshot: Snapshot,
}

async fn ask(it: &Installation, asked: Asked, before: &Before) -> Option<Snapshot> {
    let (id, snapshot) = (&before.id, &before.snapshot.id);
    match asked {
        Asked::Take => return Some(it.take(id, "second").await),
        Asked::Restore => it.workspaces.restore_snapshot(id, snapshot).await.unwrap(),
        Asked::Clone => {
            let workspace = it.workspace(id).await;
            let prefix = "copy".parse().unwrap();
            let cloned = it.workspaces.clone_workspace(&workspace, &prefix, 2).await;
            cloned.unwrap();
        }
        Asked::Delete => it.workspaces.delete_snapshot(snapshot).await.unwrap(),
    }
    None
}

async fn check(it: &Installation, asked: Asked, before: &Before, taken: Option<Snapshot>) {
    let id = &before.id;
    for record in it.workspaces.list().await.unwrap() {
        let state = it.settled(&record.workspace.id).await;
        assert_eq!(state, Some(State::Running), "{asked:?}");
    }
    for snapshot in it.workspaces.snapshots().await.unwrap() {
        assert_eq!(it.done(&snapshot).await.state, SnapshotState::Ready);
    }
    it.collect().await;
    let mut there = it.driver.snapshots();
    there.retain(|(_, is_whole)| *is_whole);
    assert_eq!(
        there.len(),
        it.driver.snapshots().len(),
        "half of one is left"
    );
    let count = there.len();
    match asked {
        Asked::Take => {
            assert_eq!(count, 2);
            assert!(there.contains(&(taken.unwrap().id, true)));
            assert_eq!(it.driver.read(id).as_deref(), Some("now"));
        }
        Asked::Restore => {
            assert_eq!(count, 1);
            assert_eq!(it.driver.read(id).as_deref(), Some("then"));
        }
        Asked::Clone => {
            assert_eq!(count, 2);
            for name in ["copy-1", "copy-2"] {
                let name = name.parse().unwrap();
                let found = it.workspaces.find(&it.owner.name, &name).await.unwrap();
                let clone = found.expect("an acknowledged clone").workspace.id;
                assert_eq!(it.driver.read(&clone).as_deref(), Some("now"));
            }
        }
        Asked::Delete => assert_eq!(count, 0),
    }
}

async fn prepare(it: &Installation) -> Before {
    let id = it.filled("api", "then").await;
    let taken = it.take(&id, "first").await;
    let snapshot = it.done(&taken).await;
    it.driver.write(&id, "now");
    Before { id, snapshot }
}

#[tokio::test]
async fn no_snapshot_and_no_clone_is_lost_wherever_the_gateway_is_killed() {
    for asked in ALL {
        for call in 0..8 {
            for after in [false, true] {
                let it = Installation::new().await;
                let before = prepare(&it).await;
                it.driver.set_fault(Fault::Hangs { call, after });
                let taken = ask(&it, asked, &before).await;
                // Everything that goes on, until it hangs or nothing does.
                let all = async {
                    if asked == Asked::Delete {
                        it.collect().await;
                    }
                    for record in it.workspaces.list().await.unwrap() {
                        it.workspaces.settled(&record.workspace.id).await;
                    }
                    if let Some(taken) = &taken {
                        it.workspaces.snapshot_settled(&taken.id).await;
                    }
                };
                tokio::select! {
                    () = it.driver.hung() => {}
                    () = within(all) => {}
                }
                let it = it.kill().await;
                check(&it, asked, &before, taken).await;
            }
        }
    }
}

#[tokio::test]
async fn no_snapshot_and_no_clone_is_lost_whenever_the_gateway_is_killed() {
    for asked in ALL {
        for step in 0..10 {
            let it = Installation::new().await;
            let before = prepare(&it).await;
            let taken = ask(&it, asked, &before).await;
            // Not to wait for something: to be killed anywhere.
            tokio::time::sleep(Duration::from_micros(200 * step)).await;
            let it = it.kill().await;
            check(&it, asked, &before, taken).await;
        }
    }
}
