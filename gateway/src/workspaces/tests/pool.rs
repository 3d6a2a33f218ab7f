//! Workspaces that are kept ready, and who gets them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::identity::Denied;
use crate::names::TemplateName;

fn go() -> TemplateName {
    "go".parse().unwrap()
}

fn made_of(version: &str) -> Blueprint {
    Blueprint {
        template: Some(TemplateUse {
            name: go(),
            version: version.to_owned(),
        }),
        ..Blueprint::default()
    }
}

fn wanted(count: usize, version: &str) -> Vec<WantedPool> {
    vec![WantedPool {
        template: go(),
        of: Some((count, made_of(version))),
    }]
}

impl Installation {
    async fn with_limits(user: Allowance, total: Allowance) -> Self {
        let limits = Limits {
            user,
            total,
            each: Demand::default(),
        };
        Self::with(LifecycleOptions {
            limits,
            ..options()
        })
        .await
    }

    /// Keeps pools until that is so.
    async fn keep(&self, wanted: &[WantedPool], done: impl Fn() -> bool) {
        within(async {
            loop {
                self.workspaces.make_room().await;
                let pause = self.workspaces.keep_pools(wanted).await;
                if done() {
                    return;
                }
                let _ = timeout(pause, self.workspaces.pools_to_look_at()).await;
            }
        })
        .await;
    }

    /// Keeps pools until so many are ready, and nothing else is there of any pool.
    async fn fill(&self, count: usize, version: &str) {
        self.keep(&wanted(count, version), || {
            self.ready(version) == count && self.nobodys() == count
        })
        .await;
    }

    fn ready(&self, version: &str) -> usize {
        self.workspaces.pool(&go(), version).ready
    }

    /// Counts all that is nobody's, and on its way out, too.
    fn nobodys(&self) -> usize {
        let nobody = crate::names::UserId::nobody();
        let ledger = &self.workspaces.inner.shared.ledger;
        let running = ledger.usage(Some(&nobody)).running;
        usize::try_from(running)
            .unwrap()
            .max(ledger.members().len())
    }

    fn members(&self) -> Vec<WorkspaceId> {
        let members = self.workspaces.inner.shared.ledger.members();
        members.into_iter().map(|member| member.id).collect()
    }

    async fn make(&self, name: &str, version: &str) -> Result<Record, CommandError> {
        let name = name.parse().unwrap();
        let made = self
            .workspaces
            .create(&self.owner, &name, made_of(version), Intent::Run);
        made.await
    }
}

#[tokio::test]
async fn whoever_makes_a_workspace_gets_one_that_runs_and_the_pool_is_filled_again() {
    let it = Installation::new().await;
    it.fill(2, "1").await;
    let members = it.members();
    let pid = |id: &WorkspaceId| it.driver.pid(id).unwrap();
    let pids: Vec<_> = members.iter().map(pid).collect();
    let record = it.make("api", "1").await.unwrap();
    let id = record.workspace.id;
    assert_eq!((record.state, record.intent), (State::Running, Intent::Run));
    assert!(members.contains(&id) && pids.contains(&pid(&id)));
    assert_eq!(it.driver.starts(), 2);
    let grant = it.grant("api").await;
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Background);
    within(opened).await.unwrap();
    it.fill(2, "1").await;
    assert_eq!(it.driver.starts(), 3);
    assert!(!it.members().contains(&id));
    assert_eq!(it.workspaces.list().await.unwrap().len(), 1);
    let it = it.kill().await;
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.grant("api").await.workspace().id, id);
    it.fill(2, "1").await;
    assert_eq!(
        it.driver.starts(),
        3,
        "the next gateway took all of them up"
    );
}

#[tokio::test]
async fn creates_at_once_get_different_members_and_the_last_one_a_new_workspace() {
    let it = Installation::new().await;
    it.fill(3, "1").await;
    let members = it.members();
    let mut creates = JoinSet::new();
    for index in 0..4 {
        let (workspaces, owner) = (it.workspaces.clone(), it.owner.clone());
        creates.spawn(async move {
            let name = format!("w{index}").parse().unwrap();
            let made = workspaces.create(&owner, &name, made_of("1"), Intent::Run);
            made.await.unwrap().workspace.id
        });
    }
    let mut made = Vec::new();
    while let Some(id) = within(creates.join_next()).await {
        made.push(id.unwrap());
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 4);
    assert_eq!(made.iter().filter(|id| members.contains(id)).count(), 3);
    for id in &made {
        assert_eq!(it.settled(id).await, Some(State::Running));
    }
    assert_eq!(it.driver.running(), 4);
}

#[tokio::test]
async fn a_member_is_seen_and_reached_by_nobody_and_counts_in_total_alone() {
    let it = Installation::new().await;
    it.fill(1, "1").await;
    let id = it.members().remove(0);
    let workspaces = &it.workspaces;
    assert_eq!(workspaces.list().await.unwrap(), []);
    assert_eq!(workspaces.get(&id).await.unwrap(), None);
    assert_eq!(workspaces.usage(Some(&it.owner.id)).workspaces, 0);
    assert_eq!(workspaces.usage(None).workspaces, 1);
    let identity = Identity::new(it.store.clone());
    let denied = identity.oversee(&it.owner, &id).await;
    assert!(matches!(denied, Err(Denied::NoSuchId)), "{denied:?}");
    let denied = identity.authorize_id(&it.owner, &id).await;
    assert!(matches!(denied, Err(Denied::NoSuchId)), "{denied:?}");
    let people = it.store.users().await.unwrap();
    assert_eq!(people, std::slice::from_ref(&it.owner));
    assert_eq!(it.store.accounts().await.unwrap().len(), 1);
    it.make("api", "1").await.unwrap();
    // What went before happened to nobody.
    assert_eq!(
        deleted::kinds(&it).await,
        ["workspace-created", "workspace-state"]
    );
    identity.authorize_id(&it.owner, &id).await.unwrap();
}

#[tokio::test]
async fn only_what_is_the_very_same_is_handed_out() {
    let it = Installation::new().await;
    it.fill(1, "1").await;
    let members = it.members();
    let mut chosen = made_of("1");
    chosen.choices.cpus = Some("2".parse().unwrap());
    for (name, blueprint, intent) in [
        ("chosen", chosen, Intent::Run),
        ("stopped", made_of("1"), Intent::Stop),
        ("newer", made_of("2"), Intent::Run),
        ("plain", Blueprint::default(), Intent::Run),
    ] {
        let name = name.parse().unwrap();
        let made = it.workspaces.create(&it.owner, &name, blueprint, intent);
        let id = made.await.unwrap().workspace.id;
        assert!(!members.contains(&id), "{name}");
    }
    // A name that is taken takes no member.
    let taken = it.make("plain", "1").await;
    let exists = CommandError::Store(StoreError::WorkspaceExists("plain".parse().unwrap()));
    assert_eq!(taken.unwrap_err().to_string(), exists.to_string());
    assert_eq!(it.members(), members);
    assert_eq!(it.make("api", "1").await.unwrap().workspace.id, members[0]);
}

#[tokio::test]
async fn a_pool_follows_its_template_and_leaves_what_was_handed_out() {
    let it = Installation::new().await;
    it.fill(3, "1").await;
    let own = it.make("api", "1").await.unwrap().workspace.id;
    it.fill(2, "2").await;
    let members = it.members();
    assert_eq!(it.ready("1"), 0);
    it.fill(1, "2").await;
    assert!(members.contains(&it.members()[0]), "none was made anew");
    // While it can't be read all stays as it is.
    let unreadable = WantedPool {
        template: go(),
        of: None,
    };
    it.workspaces.keep_pools(&[unreadable]).await;
    assert_eq!(it.members().len(), 1);
    it.keep(&[], || it.nobodys() == 0).await;
    within(async { while it.driver.kept() > 1 {} }).await;
    assert_eq!(it.settled(&own).await, Some(State::Running));
    // As if it had been taken for a member still.
    let dismissed = it.workspaces.command(&own, Order::Dismiss).await;
    assert!(matches!(dismissed, Err(CommandError::Gone)));
    let claimed = Order::Claim(it.owner.clone(), "other".parse().unwrap());
    let claimed = it.workspaces.command(&own, claimed).await;
    assert!(matches!(claimed, Err(CommandError::Gone)));
    assert_eq!(it.settled(&own).await, Some(State::Running));
}

#[tokio::test]
async fn pools_make_room_for_people_and_take_none_of_it() {
    let total = Allowance {
        running: Some(3),
        ..Allowance::default()
    };
    let it = Installation::with_limits(Allowance::default(), total).await;
    it.keep(&wanted(5, "1"), || it.ready("1") == 3).await;
    it.workspaces.keep_pools(&wanted(5, "1")).await;
    let problem = it.workspaces.pool(&go(), "1").problem.unwrap();
    assert!(problem.contains("3 of 3"), "{problem}");
    for (index, left) in [2, 1, 0].into_iter().enumerate() {
        let id = it.create(&format!("w{index}"), Intent::Run).await;
        assert_eq!(it.settled(&id).await, Some(State::Running));
        it.keep(&wanted(5, "1"), || it.nobodys() == left).await;
    }
    assert_eq!(it.workspaces.usage(None).running, 3);
    let more = it.make("more", "1").await;
    assert!(matches!(more, Err(CommandError::Limit(_))), "{more:?}");
}

#[tokio::test]
async fn members_go_where_homes_take_up_too_much_and_dont_come_back() {
    for (disk, left) in [(1000, 1), (500, 0)] {
        members_go_and_stay_away(disk, left).await;
    }
}

async fn members_go_and_stay_away(disk: u64, left: usize) {
    let total = Allowance {
        disk: Some(disk),
        ..Allowance::default()
    };
    let it = Installation::with(LifecycleOptions {
        limits: Limits {
            total,
            ..Limits::default()
        },
        measure_pause: Duration::from_millis(5),
        ..options()
    })
    .await;
    it.fill(2, "1").await;
    it.driver.set_size(600);
    it.keep(&wanted(2, "1"), || it.nobodys() == left).await;
    let starts = it.driver.starts();
    for _ in 0..20 {
        it.workspaces.make_room().await;
        it.workspaces.keep_pools(&wanted(2, "1")).await;
    }
    assert_eq!((it.nobodys(), it.driver.starts()), (left, starts));
    let problem = it.workspaces.pool(&go(), "1").problem.unwrap();
    assert!(problem.contains("likely to take 600B"), "{problem}");
    // Another version may take less.
    it.driver.set_size(10);
    it.fill(2, "2").await;
}

#[tokio::test]
async fn who_may_have_no_more_gets_no_member() {
    let user = Allowance {
        workspaces: Some(1),
        ..Allowance::default()
    };
    let it = Installation::with_limits(user, Allowance::default()).await;
    it.fill(2, "1").await;
    it.make("one", "1").await.unwrap();
    let refused = it.make("two", "1").await;
    assert!(
        matches!(refused, Err(CommandError::Limit(_))),
        "{refused:?}"
    );
    assert_eq!(it.members().len(), 1);
    assert_eq!(it.workspaces.usage(Some(&it.owner.id)).workspaces, 1);
}

#[tokio::test]
async fn a_member_that_fails_is_ended_and_the_next_one_waits() {
    let it = Installation::new().await;
    it.driver
        .set_fault(Fault::Dies(crate::drivers::Exit::Status(3)));
    let problem = || it.workspaces.pool(&go(), "1").problem;
    it.keep(&wanted(2, "1"), || problem().is_some()).await;
    let text = problem().unwrap();
    assert!(text.contains("status 3"), "{text}");
    assert_eq!(it.driver.starts(), 5, "one was tried, not more");
    assert!(!it.workspaces.keep_pools(&wanted(2, "1")).await.is_zero());
    assert_eq!(it.members(), []);
    it.driver.set_fault(Fault::None);
    it.fill(2, "1").await;
    assert_eq!(problem(), None);
}

/// Fills a pool of two while somebody makes a workspace, until both is done or `end`.
async fn work_until(it: &Installation, end: impl Future<Output = ()>) {
    let (wanted, has) = (wanted(2, "1"), AtomicBool::new(false));
    let done = || has.load(Ordering::Relaxed) && it.ready("1") == 2;
    let make = async {
        it.make("api", "1").await.unwrap();
        has.store(true, Ordering::Relaxed);
        it.workspaces.inner.shared.ledger.look_at_pools();
    };
    let work = Box::pin(async { tokio::join!(it.keep(&wanted, done), make) });
    tokio::select! {
        _ = work => {}
        () = end => {}
    }
}

async fn check(it: &Installation) {
    it.fill(2, "1").await;
    let own = it.workspaces.list().await.unwrap();
    for record in &own {
        let id = &record.workspace.id;
        assert_eq!(it.settled(id).await, Some(State::Running));
        assert!(!it.members().contains(id));
    }
    assert!(own.len() <= 1);
    let all = own.len() + 2;
    assert_eq!((it.driver.running(), it.driver.kept()), (all, all));
}

#[tokio::test]
async fn wherever_the_gateway_is_killed_there_is_one_owner_each_and_nothing_is_left_over() {
    for filled in [0, 2] {
        for hang in 0..6 {
            for after in [false, true] {
                let it = Installation::new().await;
                it.fill(filled, "1").await;
                it.driver.set_fault(Fault::Hangs { call: hang, after });
                work_until(&it, it.driver.hung()).await;
                let it = it.kill().await;
                check(&it).await;
            }
        }
    }
}

#[tokio::test]
async fn whenever_the_gateway_is_killed_there_is_one_owner_each_and_nothing_is_left_over() {
    for filled in [0, 2] {
        for step in 0..24 {
            let it = Installation::new().await;
            it.fill(filled, "1").await;
            // Not to wait for something: to be killed anywhere.
            let moment = tokio::time::sleep(Duration::from_micros(150 * step));
            work_until(&it, moment).await;
            let it = it.kill().await;
            check(&it).await;
        }
    }
}
