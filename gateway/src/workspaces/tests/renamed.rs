//! Workspaces that get another name or owner.

use super::*;
use crate::names::UserName;

fn name(name: &str) -> Change {
    Change {
        name: Some(name.parse().unwrap()),
        owner: None,
    }
}

async fn bob(it: &Installation) -> User {
    let bob: UserName = "bob".parse().unwrap();
    it.store.add_user(&bob, Role::Member).await.unwrap()
}

#[tokio::test]
async fn a_workspace_is_renamed_while_it_runs_and_keeps_running() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    let pid = it.driver.pid(&id);
    let grant = it.grant("api").await;
    let tenure = it.workspaces.tenure(grant.workspace());
    it.workspaces.change(&id, name("web")).await.unwrap();
    assert_eq!((it.driver.pid(&id), it.driver.starts()), (pid, 1));
    assert!(!tenure.is_cancelled());
    // Who was let in under the old name stays.
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Background);
    within(opened).await.unwrap();
    assert_eq!(it.intent("api").await, None);
    assert_eq!(it.intent("web").await, Some(Intent::Run));
    let other = it.create("api", Intent::Stop).await;
    let taken = it.workspaces.change(&other, name("web")).await.unwrap_err();
    assert!(matches!(
        taken,
        CommandError::Store(StoreError::WorkspaceExists(_))
    ));
    assert_eq!(it.intent("api").await, Some(Intent::Stop));
    let it = it.kill().await;
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.intent("web").await, Some(Intent::Run));
}

#[tokio::test]
async fn what_the_owner_before_has_open_ends_with_a_transfer() {
    let it = Installation::new().await;
    let bob = bob(&it).await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    let grant = it.grant("api").await;
    let tenure = it.workspaces.tenure(grant.workspace());
    let owner = Some(bob.clone());
    let change = Change { name: None, owner };
    it.workspaces.change(&id, change).await.unwrap();
    assert!(tenure.is_cancelled());
    assert!(it.workspaces.tenure(grant.workspace()).is_cancelled());
    let refused = within(
        it.workspaces
            .open(&grant, &scripted::ECHO, Wake::Background),
    )
    .await;
    assert!(matches!(refused, Err(OpenError::Gone)), "{refused:?}");
    let identity = Identity::new(it.store.clone());
    let grant = identity.authorize(&bob, &"api".parse().unwrap()).await;
    let opened = it
        .workspaces
        .open(grant.as_ref().unwrap(), &scripted::ECHO, Wake::Background);
    within(opened).await.unwrap();
    assert_eq!(it.driver.starts(), 1);
    let it = it.kill().await;
    let record = it.workspaces.get(&id).await.unwrap().unwrap();
    assert_eq!(record.workspace.owner_name, bob.name);
}

#[tokio::test]
async fn a_transfer_to_who_has_that_name_or_is_gone_changes_nothing() {
    let it = Installation::new().await;
    let bob = bob(&it).await;
    let id = it.create("api", Intent::Stop).await;
    let name_of_both = "api".parse().unwrap();
    let theirs = it
        .workspaces
        .create(&bob, &name_of_both, Blueprint::default(), Intent::Stop)
        .await;
    let theirs = theirs.unwrap().workspace.id;
    let to = |owner: &User| Change {
        name: None,
        owner: Some(owner.clone()),
    };
    let taken = it.workspaces.change(&id, to(&bob)).await.unwrap_err();
    assert!(matches!(
        taken,
        CommandError::Store(StoreError::WorkspaceExists(_))
    ));
    let both = Change {
        name: Some("web".parse().unwrap()),
        ..to(&bob)
    };
    it.workspaces.change(&id, both).await.unwrap();
    let mut nobody = bob.clone();
    nobody.id = crate::names::UserId::random();
    let gone = it.workspaces.change(&theirs, to(&nobody)).await;
    assert!(matches!(
        gone,
        Err(CommandError::Store(StoreError::NoSuchUser(_)))
    ));
    it.workspaces.delete(&theirs).await.unwrap();
    let deleted = it.workspaces.change(&theirs, name("old")).await;
    assert!(matches!(deleted, Err(CommandError::Deleted)));
}
