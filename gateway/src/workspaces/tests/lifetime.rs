//! Workspaces that live for a time.

use time::OffsetDateTime;

use super::deleted::events;
use super::*;

/// Longer than any test takes.
const LONG: Duration = Duration::from_hours(1);

fn living(life: Duration) -> Blueprint {
    let millis = format!("{}ms", life.as_millis());
    Blueprint {
        time_to_live: Some(millis.parse().unwrap()),
        ..Blueprint::default()
    }
}

impl Installation {
    async fn make_living(&self, name: &str, life: Duration) -> WorkspaceId {
        let name = name.parse().unwrap();
        let made = self
            .workspaces
            .create(&self.owner, &name, living(life), Intent::Stop);
        made.await.unwrap().workspace.id
    }

    async fn expires(&self, id: &WorkspaceId) -> Option<OffsetDateTime> {
        let record = self.store.workspace(id).await.unwrap();
        record.unwrap().workspace.expires
    }

    /// Ends lives until that workspace is in that state.
    async fn ends(&self, id: &WorkspaceId, state: &State) {
        within(async {
            loop {
                let pause = self.workspaces.end_lives().await;
                if *self.workspaces.watch(id).unwrap().borrow() == *state {
                    return;
                }
                tokio::time::sleep(pause.min(Duration::from_millis(20))).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn one_whose_time_is_over_is_deleted_and_can_be_restored_for_another_life() {
    let it = Installation::new().await;
    let id = it.make_living("short", Duration::from_millis(300)).await;
    let lasting = it.make_living("long", LONG).await;
    let forever = it.create("ever", Intent::Stop).await;
    it.ends(&id, &State::Deleted).await;
    let list = it.workspaces.list().await.unwrap();
    let left: Vec<_> = list.iter().map(|record| &record.workspace.id).collect();
    assert_eq!(left, [&forever, &lasting]);
    it.workspaces.restore(&id, None).await.unwrap();
    let now = OffsetDateTime::now_utc();
    let expires = it.expires(&id).await.unwrap();
    assert!(expires > now - Duration::from_millis(300) && expires <= now + Duration::from_secs(1));
    it.ends(&id, &State::Deleted).await;
    let events = events(&it).await;
    let told = |kind: &str| {
        let about = |event: &&crate::events::Event| {
            event.kind == kind && event.workspace.as_ref().is_some_and(|it| it.0 == id)
        };
        events.iter().filter(about).count()
    };
    assert_eq!(told("workspace-deleted"), 2);
    let by = |event: &crate::events::Event| event.data.get("by").cloned();
    assert!(events.iter().any(|event| {
        event.kind == "workspace-command" && by(event) == Some("(time to live)".into())
    }));
}

#[tokio::test]
async fn without_a_grace_time_nothing_is_left() {
    let it = Installation::with_grace(Duration::ZERO).await;
    let id = it.make_living("short", Duration::from_millis(50)).await;
    within(async {
        while it.workspaces.watch(&id).is_some() {
            it.workspaces.end_lives().await;
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(it.store.workspace(&id).await.unwrap(), None);
}

#[tokio::test]
async fn people_are_warned_once_of_each_end_whatever_gateway_runs() {
    let it = Installation::new().await;
    // The last tenth of its life has begun.
    let id = it.make_living("api", LONG).await;
    let soon = |it: &Installation| {
        let (store, id) = (it.store.clone(), id.clone());
        async move {
            let record = store.workspace(&id).await.unwrap().unwrap();
            let mut workspace = record.workspace;
            workspace.expires = Some(OffsetDateTime::now_utc() + LONG / 20);
            store.set_expiry(&workspace).await.unwrap();
        }
    };
    soon(&it).await;
    let it = it.kill().await;
    for _ in 0..3 {
        it.workspaces.end_lives().await;
    }
    let warnings = |events: Vec<crate::events::Event>| {
        let kinds = events.into_iter().map(|event| event.kind);
        kinds
            .filter(|kind| kind == "workspace-expires-soon")
            .count()
    };
    assert_eq!(warnings(events(&it).await), 1);
    let it = it.kill().await;
    it.workspaces.end_lives().await;
    it.workspaces.extend(&id, None).await.unwrap();
    assert_eq!(warnings(events(&it).await), 1);
    soon(&it).await;
    let it = it.kill().await;
    it.workspaces.end_lives().await;
    assert_eq!(warnings(events(&it).await), 2, "that is another end");
}

#[tokio::test]
async fn who_extends_gets_up_to_a_whole_life_and_never_less_than_there_was() {
    let it = Installation::new().await;
    let id = it.make_living("api", LONG).await;
    let first = it.expires(&id).await.unwrap();
    it.workspaces.extend(&id, Some(LONG / 2)).await.unwrap();
    assert_eq!(it.expires(&id).await, Some(first));
    it.workspaces.extend(&id, None).await.unwrap();
    let now = OffsetDateTime::now_utc();
    let later = it.expires(&id).await.unwrap();
    assert!(later >= first && later <= now + LONG);
    for length in [Duration::ZERO, LONG * 2] {
        let refused = it.workspaces.extend(&id, Some(length)).await.unwrap_err();
        assert!(refused.to_string().contains("up to 1h"), "{refused}");
    }
    let ever = it.create("ever", Intent::Stop).await;
    let refused = it.workspaces.extend(&ever, None).await.unwrap_err();
    assert!(matches!(refused, CommandError::NoTimeToLive));
    it.workspaces.delete(&id).await.unwrap();
    let refused = it.workspaces.extend(&id, None).await.unwrap_err();
    assert!(matches!(refused, CommandError::Deleted));
}

#[tokio::test]
async fn a_rebuild_begins_another_life_where_that_is_another_one() {
    let it = Installation::new().await;
    let id = it.make_living("api", LONG).await;
    let first = it.expires(&id).await;
    it.workspaces.rebuild(&id, living(LONG)).await.unwrap();
    it.settled(&id).await;
    assert_eq!(it.expires(&id).await, first);
    it.workspaces.rebuild(&id, living(LONG * 5)).await.unwrap();
    it.settled(&id).await;
    assert!(it.expires(&id).await.unwrap() > OffsetDateTime::now_utc() + LONG * 4);
    let it = it.kill().await;
    it.settled(&id).await;
    let forever = Blueprint::default();
    it.workspaces.rebuild(&id, forever).await.unwrap();
    it.settled(&id).await;
    assert_eq!(it.expires(&id).await, None);
}
