//! What people may have, where it is asked for.

use super::*;

async fn limited(user: Allowance, total: Allowance) -> Installation {
    let each = Demand::default();
    Installation::with(LifecycleOptions {
        limits: Limits { user, total, each },
        measure_pause: Duration::from_millis(5),
        ..options()
    })
    .await
}

fn running(running: u64) -> Allowance {
    Allowance {
        running: Some(running),
        ..Allowance::default()
    }
}

fn reached<T: std::fmt::Debug>(refused: Result<T, CommandError>) -> Resource {
    match refused {
        Err(CommandError::Limit(reached)) => reached.resource,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_would_run_too_much_is_refused_however_it_is_started() {
    let it = limited(running(1), Allowance::default()).await;
    let one = it.create("one", Intent::Run).await;
    let two = it.create("two", Intent::Stop).await;
    it.settled(&one).await;
    let three = "three".parse().unwrap();
    let created = it
        .workspaces
        .create(&it.owner, &three, Blueprint::default(), Intent::Run)
        .await;
    assert_eq!(reached(created), Resource::Running);
    assert_eq!(it.intent("three").await, None);
    assert_eq!(reached(it.workspaces.start(&two).await), Resource::Running);
    assert_eq!(
        reached(it.workspaces.restart(&two).await),
        Resource::Running
    );
    let grant = it.grant("two").await;
    for wake in [Wake::Interactive, Wake::Background] {
        let opened = within(it.workspaces.open(&grant, &scripted::ECHO, wake)).await;
        assert!(matches!(opened, Err(OpenError::Limit(_))), "{opened:?}");
    }
    assert_eq!(it.settled(&two).await, Some(State::Created));
    // What runs is started again without being asked for more.
    it.workspaces.restart(&one).await.unwrap();
    assert_eq!(it.settled(&one).await, Some(State::Running));
    it.driver.crash(&one);
    it.driver.started(3).await;
    it.until(&one, |state| *state == State::Running).await;
    it.workspaces.stop(&one).await.unwrap();
    it.settled(&one).await;
    it.workspaces.start(&two).await.unwrap();
    assert_eq!(it.settled(&two).await, Some(State::Running));
    // A lower limit, or one that is set later, ends nothing.
    let it = it.kill().await;
    assert_eq!(it.settled(&two).await, Some(State::Running));
    assert_eq!(reached(it.workspaces.start(&one).await), Resource::Running);
}

#[tokio::test]
async fn what_fails_to_start_takes_nothing() {
    let it = limited(running(1), Allowance::default()).await;
    it.driver.set_fault(Fault::Mute);
    let one = it.create("one", Intent::Run).await;
    it.until(&one, |state| matches!(state, State::Failed(_)))
        .await;
    it.driver.set_fault(Fault::None);
    let two = it.create("two", Intent::Run).await;
    assert_eq!(it.settled(&two).await, Some(State::Running));
    assert_eq!(reached(it.workspaces.start(&one).await), Resource::Running);
}

#[tokio::test]
async fn fifty_starts_and_creations_at_once_go_no_further_than_the_limit() {
    let total = Allowance {
        workspaces: Some(60),
        ..running(9)
    };
    let it = limited(Allowance::default(), total).await;
    let mut made = Vec::new();
    for index in 0..50 {
        made.push(it.create(&format!("w{index}"), Intent::Stop).await);
    }
    let mut tasks = JoinSet::new();
    for (index, id) in made.into_iter().enumerate() {
        let (workspaces, owner) = (it.workspaces.clone(), it.owner.clone());
        tasks.spawn(async move {
            if index % 2 == 0 {
                return workspaces.start(&id).await.is_ok();
            }
            let name = format!("new{index}").parse().unwrap();
            workspaces
                .create(&owner, &name, Blueprint::default(), Intent::Run)
                .await
                .is_ok()
        });
    }
    let mut granted = 0;
    while let Some(done) = within(tasks.join_next()).await {
        granted += usize::from(done.unwrap());
    }
    assert_eq!(granted, 9);
    for record in it.workspaces.list().await.unwrap() {
        it.settled(&record.workspace.id).await;
    }
    assert_eq!(it.driver.running(), 9);
    assert_eq!(it.workspaces.usage(None).running, 9);
}

#[tokio::test]
async fn snapshots_count_as_disk_and_no_more_are_kept_beyond_the_limit() {
    let allowed = Allowance {
        disk: Some(2),
        ..Allowance::default()
    };
    let it = limited(allowed, Allowance::default()).await;
    let id = it.create("api", Intent::Stop).await;
    let workspace = it.workspaces.get(&id).await.unwrap().unwrap().workspace;
    let take = async |name: &str| {
        let taken = it
            .workspaces
            .snapshot(&workspace, name.parse().unwrap(), String::new());
        let taken = taken.await?;
        within(it.workspaces.snapshot_settled(&taken.id)).await;
        it.workspaces.snapshot_of(&taken.id).await
    };
    let first = take("first").await.unwrap();
    assert_eq!(it.workspaces.usage(Some(&it.owner.id)).disk, 1);
    take("second").await.unwrap();
    let refused = take("third").await.unwrap_err();
    assert!(refused.to_string().contains("disk"), "{refused}");
    it.workspaces.delete_snapshot(&first.id).await.unwrap();
    take("third").await.unwrap();
    assert_eq!(it.workspaces.usage(None).disk, 2);
}

#[tokio::test]
async fn deleted_ones_make_room_and_come_back_only_where_there_is() {
    let allowed = Allowance {
        workspaces: Some(1),
        ..Allowance::default()
    };
    let it = limited(allowed, Allowance::default()).await;
    let one = it.create("one", Intent::Stop).await;
    it.workspaces.delete(&one).await.unwrap();
    let two = it.create("two", Intent::Stop).await;
    let restored = it.workspaces.restore(&one, None).await;
    assert_eq!(reached(restored), Resource::Workspaces);
    assert_eq!(it.settled(&one).await, Some(State::Deleted));
    it.workspaces.purge(&two).await.unwrap();
    within(async { while it.workspaces.settled(&two).await.is_some() {} }).await;
    it.workspaces.restore(&one, None).await.unwrap();
    assert_eq!(it.intent("one").await, Some(Intent::Stop));
}

#[tokio::test]
async fn a_transfer_counts_against_its_new_owner() {
    let allowed = Allowance {
        workspaces: Some(1),
        ..Allowance::default()
    };
    let it = limited(allowed, Allowance::default()).await;
    let bob = "bob".parse().unwrap();
    let bob = it.store.add_user(&bob, Role::Member).await.unwrap();
    let api = it.create("api", Intent::Stop).await;
    let name = "web".parse().unwrap();
    it.workspaces
        .create(&bob, &name, Blueprint::default(), Intent::Stop)
        .await
        .unwrap();
    let change = Change {
        name: None,
        owner: Some(bob),
    };
    let refused = it.workspaces.change(&api, change).await;
    assert_eq!(reached(refused), Resource::Workspaces);
    let record = it.workspaces.get(&api).await.unwrap().unwrap();
    assert_eq!(record.workspace.owner, it.owner.id);
}

#[tokio::test]
async fn homes_that_are_too_large_keep_from_starting_and_are_told_of() {
    let allowed = Allowance {
        disk: Some(1000),
        ..Allowance::default()
    };
    let it = limited(allowed, Allowance::default()).await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.workspaces.stop(&id).await.unwrap();
    it.settled(&id).await;
    it.driver.set_size(5000);
    within(async {
        while it.workspaces.usage(Some(&it.owner.id)).disk < 5000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    let refused = it.workspaces.start(&id).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("5000B of 1000B disk (api)"), "{text}");
    it.driver.set_size(10);
    within(async { while it.workspaces.start(&id).await.is_err() {} }).await;
    let kinds = deleted::kinds(&it).await;
    let told = kinds.iter().filter(|kind| *kind == "disk-limit-exceeded");
    assert_eq!(told.count(), 1, "{kinds:?}");
}
