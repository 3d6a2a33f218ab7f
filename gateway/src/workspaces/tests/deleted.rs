//! Workspaces that are deleted, restored, and removed in the end.

use super::*;

/// Waits until nothing is left of a workspace.
async fn gone(it: &Installation, id: &WorkspaceId) {
    within(async {
        while let Some(mut state) = it.workspaces.watch(id) {
            // The channel closes with the workspace.
            let _ = state.changed().await;
        }
    })
    .await;
    assert!(!it.driver.keeps(id));
    assert_eq!(it.store.workspace(id).await.unwrap(), None);
}

pub(super) async fn kinds(it: &Installation) -> Vec<String> {
    let events = events(it).await;
    events.into_iter().map(|event| event.kind).collect()
}

/// Returns what has happened; to be called once.
pub(super) async fn events(it: &Installation) -> Vec<crate::events::Event> {
    let events = it.workspaces.events().clone();
    let stop = CancellationToken::new();
    stop.cancel();
    // Writes what is waiting, then ends.
    within(events.run(stop)).await;
    let since = crate::store::Since::After(0);
    it.store.events(&it.owner, since, 200).await.unwrap()
}

#[tokio::test]
async fn a_deleted_workspace_gives_its_name_free_and_is_restored_with_its_home() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.workspaces.delete(&id).await.unwrap();
    // At once, whatever still runs.
    let other = it.create("api", Intent::Stop).await;
    assert_eq!(it.settled(&id).await, Some(State::Deleted));
    assert_eq!(it.driver.released(), std::slice::from_ref(&id));
    assert!(it.driver.keeps(&id));
    let kept = it.workspaces.list_deleted().await.unwrap();
    assert_eq!((kept.len(), &kept[0].workspace.id), (1, &id));
    assert_eq!(kept[0].workspace.name.as_str(), "api");
    let deletion = kept[0].deleted.unwrap();
    assert_eq!(deletion.until - deletion.at, it.options.delete_grace);
    let living = it.workspaces.list().await.unwrap();
    assert_eq!((living.len(), &living[0].workspace.id), (1, &other));
    let refused = it.workspaces.start(&id).await.unwrap_err();
    assert!(matches!(refused, CommandError::Deleted));

    let taken = it.workspaces.restore(&id, None).await.unwrap_err();
    let exists =
        |error: &CommandError| matches!(error, CommandError::Store(StoreError::WorkspaceExists(_)));
    assert!(exists(&taken), "{taken:?}");
    assert_eq!(it.settled(&id).await, Some(State::Deleted));
    let old = "old".parse().unwrap();
    it.workspaces.restore(&id, Some(old)).await.unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Stopped));
    assert_eq!(it.intent("old").await, Some(Intent::Stop));
    it.workspaces.start(&id).await.unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Running));
    let twice = it.workspaces.restore(&id, None).await.unwrap_err();
    assert!(matches!(twice, CommandError::NotDeleted));
    let kinds = kinds(&it).await;
    for kind in ["workspace-deleted", "workspace-restored"] {
        assert!(kinds.iter().any(|known| known == kind), "{kinds:?}");
    }
}

#[tokio::test]
async fn several_deleted_ones_may_have_had_the_same_name() {
    let it = Installation::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = it.create("api", Intent::Stop).await;
        it.workspaces.delete(&id).await.unwrap();
        ids.push(id);
    }
    let kept = it.workspaces.list_deleted().await.unwrap();
    assert!(
        kept.iter()
            .all(|record| record.workspace.name.as_str() == "api")
    );
    it.workspaces.restore(&ids[1], None).await.unwrap();
    it.workspaces.purge(&ids[0]).await.unwrap();
    gone(&it, &ids[0]).await;
    let kept = it.workspaces.list_deleted().await.unwrap();
    assert_eq!((kept.len(), &kept[0].workspace.id), (1, &ids[2]));
}

#[tokio::test]
async fn a_home_is_removed_once_its_grace_time_is_over() {
    let it = Installation::with_grace(Duration::from_millis(100)).await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.workspaces.delete(&id).await.unwrap();
    gone(&it, &id).await;
    let kinds = kinds(&it).await;
    assert_eq!(kinds.last().unwrap(), "workspace-purged", "{kinds:?}");
}

#[tokio::test]
async fn a_grace_time_that_ends_while_no_gateway_runs_is_over() {
    let it = Installation::with_grace(Duration::from_millis(20)).await;
    let id = it.create("api", Intent::Stop).await;
    it.driver.set_fault(Fault::Away);
    it.workspaces.delete(&id).await.unwrap();
    it.workspaces.shutdown().await;
    let until = it.workspaces.get(&id).await.unwrap().unwrap().deleted;
    within(ending::due(until.unwrap().until)).await;
    let it = it.kill().await;
    gone(&it, &id).await;
}

#[tokio::test]
async fn without_a_grace_time_nothing_is_kept() {
    let it = Installation::with_grace(Duration::ZERO).await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.workspaces.delete(&id).await.unwrap();
    gone(&it, &id).await;
}

#[tokio::test]
async fn a_removal_that_fails_is_seen_and_tried_again_by_itself() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.driver.set_fault(Fault::Unstoppable);
    it.workspaces.purge(&id).await.unwrap();
    it.until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    let kept = it.workspaces.list_deleted().await.unwrap();
    assert!(matches!(kept[0].state, State::Failed(_)), "{kept:?}");
    let refused = it.workspaces.restore(&id, None).await.unwrap_err();
    assert!(matches!(refused, CommandError::Deleting));
    it.driver.set_fault(Fault::None);
    gone(&it, &id).await;
}

#[tokio::test]
async fn what_is_on_a_host_that_is_not_configured_any_more_can_be_deleted_and_purged() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.driver.set_fault(Fault::HostGone);
    // That it is stopped nobody can tell.
    it.workspaces.stop(&id).await.unwrap();
    it.until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    it.workspaces.delete(&id).await.unwrap();
    it.until(&id, |state| *state == State::Deleted).await;
    it.workspaces.purge(&id).await.unwrap();
    gone(&it, &id).await;
}

#[tokio::test]
async fn a_deletion_that_somebody_thinks_better_of_ends_stopped() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.driver.set_fault(Fault::Unstoppable);
    it.workspaces.delete(&id).await.unwrap();
    it.until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    it.driver.set_fault(Fault::None);
    it.workspaces.restore(&id, None).await.unwrap();
    it.until(&id, |state| *state == State::Stopped).await;
    assert_eq!(it.intent("api").await, Some(Intent::Stop));
}

#[tokio::test]
async fn a_user_with_deleted_workspaces_stays_until_they_are_purged() {
    let it = Installation::new().await;
    let bob = "bob".parse().unwrap();
    let bob = it.store.add_user(&bob, Role::Member).await.unwrap();
    let name = "api".parse().unwrap();
    let record = it
        .workspaces
        .create(&bob, &name, Blueprint::default(), Intent::Stop)
        .await;
    let id = record.unwrap().workspace.id;
    it.workspaces.delete(&id).await.unwrap();
    let refused = it.store.remove_user(&bob.name).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::UserHasDeleted(_)),
        "{refused:?}"
    );
    let account = it.store.account(&bob.name).await.unwrap().unwrap();
    assert_eq!(account.workspaces, 0);
    it.workspaces.purge(&id).await.unwrap();
    gone(&it, &id).await;
    it.store.remove_user(&bob.name).await.unwrap();
}
