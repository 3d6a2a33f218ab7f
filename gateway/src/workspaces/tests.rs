//! The lifecycle against agents that are scripted to go wrong; what real agents do
//! is tested in `drivers::contract` and `drivers::process`.

mod deleted;
mod killed;
mod lifetime;
mod limits;
mod orphans;
mod pool;
mod reasons;
mod renamed;
mod scripted;
mod snapshots;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use devgate_certs::Authority;
use devgate_protocol::{Answer, Open};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::identity::{Grant, Identity, Role};
use scripted::{Fault, Scripted};

/// An installation whose gateway can be killed and started again.
struct Installation {
    folder: TempDir,
    driver: Arc<Scripted>,
    store: Store,
    owner: User,
    workspaces: Workspaces,
    options: LifecycleOptions,
}

impl Installation {
    async fn new() -> Self {
        Self::with(options()).await
    }

    /// Deleted workspaces are kept that long.
    async fn with_grace(delete_grace: Duration) -> Self {
        Self::with(LifecycleOptions {
            delete_grace,
            ..options()
        })
        .await
    }

    async fn with(options: LifecycleOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("devgate.db"))
            .await
            .unwrap();
        let owner = store
            .add_user(&"ada".parse().unwrap(), Role::Admin)
            .await
            .unwrap();
        let driver = Arc::new(Scripted::new(folder.path()));
        let workspaces = load(&store, &driver, &options).await;
        Self {
            folder,
            driver,
            store,
            owner,
            workspaces,
            options,
        }
    }

    /// Ends the gateway as `kill -9` would, and starts another one.
    async fn kill(self) -> Self {
        let Self {
            folder,
            driver,
            store,
            owner,
            workspaces,
            options,
        } = self;
        drop(workspaces);
        // Aborted tasks are gone once they have been polled a last time, and a
        // statement that was under way has ended.
        driver.quiet().await;
        store.close().await;
        driver.set_fault(Fault::None);
        let store = Store::open(&folder.path().join("devgate.db"))
            .await
            .unwrap();
        let workspaces = load(&store, &driver, &options).await;
        Self {
            folder,
            driver,
            store,
            owner,
            workspaces,
            options,
        }
    }

    async fn create(&self, name: &str, intent: Intent) -> WorkspaceId {
        let name = name.parse().unwrap();
        let record = self
            .workspaces
            .create(&self.owner, &name, Blueprint::default(), intent)
            .await;
        record.unwrap().workspace.id
    }

    async fn grant(&self, name: &str) -> Grant {
        Identity::new(self.store.clone())
            .authorize(&self.owner, &name.parse().unwrap())
            .await
            .unwrap()
    }

    async fn settled(&self, id: &WorkspaceId) -> Option<State> {
        within(self.workspaces.settled(id)).await
    }

    /// Waits until a workspace is in a state that fits.
    async fn until(&self, id: &WorkspaceId, fits: impl FnMut(&State) -> bool) -> State {
        let mut state = self.workspaces.watch(id).unwrap();
        within(state.wait_for(fits)).await.unwrap().clone()
    }

    async fn intent(&self, name: &str) -> Option<Intent> {
        let name = name.parse().unwrap();
        let record = self.store.workspace_named(&self.owner.name, &name).await;
        record.unwrap().map(|record| record.intent)
    }
}

fn options() -> LifecycleOptions {
    LifecycleOptions {
        start_timeout: Duration::from_secs(2),
        open_timeout: Duration::from_secs(20),
        ..LifecycleOptions::default()
    }
}

async fn load(store: &Store, driver: &Arc<Scripted>, options: &LifecycleOptions) -> Workspaces {
    // Asked for nothing: these agents don't dial.
    let authority = Authority::open(&driver.folder().join("certs")).unwrap();
    let tunnels = Tunnels::new(Arc::new(authority));
    let folder = driver.folder().to_owned();
    let driver = Arc::clone(driver) as Arc<dyn Driver>;
    let repositories = Repositories::new(crate::repositories::RepositoryOptions {
        folder: folder.join("repositories"),
        driver: crate::config::DriverName::Docker,
        image: "debian".to_owned(),
        user: "1000".to_owned(),
        mounts: Vec::new(),
        credentials: Arc::new(|_, _| Box::pin(ready(None))),
    });
    let parts = (driver, repositories);
    Workspaces::load(store.clone(), parts, tunnels, options.clone())
        .await
        .unwrap()
}

async fn within<T>(event: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), event)
        .await
        .expect("it should have happened by now")
}

#[tokio::test]
async fn a_created_workspace_starts_and_opens_streams() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    assert_eq!(it.settled(&id).await, Some(State::Running));
    let grant = it.grant("api").await;
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Background);
    let (_, answer) = within(opened).await.unwrap();
    assert_eq!(answer, Answer::Opened);
    let refused = Open::DirectTcpip {
        host: "h".into(),
        port: 1,
    };
    let refused = within(it.workspaces.open(&grant, &refused, Wake::Background)).await;
    assert!(matches!(refused, Err(OpenError::Refused(_))));
    let list = it.workspaces.list().await.unwrap();
    assert_eq!(list[0].state, State::Running);
    assert_eq!(it.workspaces.expects_agent(&id), Expected::Again);
}

#[tokio::test]
async fn an_opening_waits_while_the_workspace_starts() {
    let it = Installation::new().await;
    it.driver.set_fault(Fault::Slow(Duration::from_millis(300)));
    let id = it.create("api", Intent::Stop).await;
    assert_eq!(it.settled(&id).await, Some(State::Created));
    assert_eq!(it.workspaces.expects_agent(&id), Expected::Not);
    let grant = it.grant("api").await;
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Background);
    within(opened).await.unwrap();
    assert_eq!(it.intent("api").await, Some(Intent::Run));
}

#[tokio::test]
async fn a_stop_is_respected_by_the_background_and_undone_by_a_person() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.workspaces.stop(&id).await.unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Stopped));
    assert_eq!(it.driver.running(), 0);
    let grant = it.grant("api").await;
    let refused = within(
        it.workspaces
            .open(&grant, &scripted::ECHO, Wake::Background),
    )
    .await;
    assert!(matches!(refused, Err(OpenError::Stopped(_))));
    assert_eq!(it.settled(&id).await, Some(State::Stopped));
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Interactive);
    within(opened).await.unwrap();
    assert_eq!(it.driver.running(), 1);
}

#[tokio::test]
async fn a_stop_while_somebody_waits_tells_them() {
    let it = Installation::new().await;
    it.driver.set_fault(Fault::Mute);
    let id = it.create("api", Intent::Run).await;
    let grant = it.grant("api").await;
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Background);
    let stopped = async {
        it.driver.started(1).await;
        it.workspaces.stop(&id).await.unwrap();
    };
    let (opened, ()) = within(async { tokio::join!(opened, stopped) }).await;
    assert!(matches!(opened, Err(OpenError::Stopped(_))), "{opened:?}");
}

#[tokio::test]
async fn a_workspace_purged_while_it_starts_is_gone() {
    let it = Installation::new().await;
    it.driver.set_fault(Fault::Mute);
    let id = it.create("api", Intent::Run).await;
    it.driver.started(1).await;
    it.workspaces.purge(&id).await.unwrap();
    assert_eq!(it.settled(&id).await, None);
    assert_eq!(it.intent("api").await, None);
    assert_eq!(it.driver.kept(), 0);
    let gone = it.workspaces.start(&id).await.unwrap_err();
    assert!(matches!(gone, CommandError::Gone));
    let again = it.create("api", Intent::Stop).await;
    assert_ne!(again, id);
}

#[tokio::test]
async fn concurrent_starts_start_one_agent() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Stop).await;
    let mut starts = JoinSet::new();
    for index in 0..20 {
        let (workspaces, id, grant) = (it.workspaces.clone(), id.clone(), it.grant("api").await);
        starts.spawn(async move {
            if index % 2 == 0 {
                workspaces.start(&id).await.unwrap();
            } else {
                let opened = workspaces.open(&grant, &scripted::ECHO, Wake::Background);
                opened.await.unwrap();
            }
        });
    }
    while let Some(done) = within(starts.join_next()).await {
        done.unwrap();
    }
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.starts(), 1);
}

#[tokio::test]
async fn an_agent_that_dies_is_started_again() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.driver.crash(&id);
    it.driver.started(2).await;
    assert_eq!(
        it.until(&id, |state| *state == State::Running).await,
        State::Running
    );
    let grant = it.grant("api").await;
    within(
        it.workspaces
            .open(&grant, &scripted::ECHO, Wake::Background),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn an_agent_that_dies_under_an_opening_is_waited_for() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    let grant = it.grant("api").await;
    // Nothing of the death has been noticed when the stream is opened.
    it.driver.crash(&id);
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Background);
    within(opened).await.unwrap();
}

#[tokio::test]
async fn a_crash_loop_fails_until_a_person_starts_it_again() {
    let it = Installation::new().await;
    it.driver
        .set_fault(Fault::Dies(crate::drivers::Exit::Status(3)));
    let id = it.create("api", Intent::Run).await;
    let failed = it
        .until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    let last = crate::drivers::Exit::Status(3);
    let reason = FailureReason::CrashLoop { crashes: 5, last };
    assert_eq!(failed, State::Failed(reason));
    assert_eq!(it.driver.starts(), 5);
    let grant = it.grant("api").await;
    let refused = within(
        it.workspaces
            .open(&grant, &scripted::ECHO, Wake::Background),
    )
    .await;
    assert!(matches!(refused, Err(OpenError::Failed(_))));
    it.driver.set_fault(Fault::None);
    let opened = it
        .workspaces
        .open(&grant, &scripted::ECHO, Wake::Interactive);
    within(opened).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_never_answers_fails_the_start_and_is_ended() {
    let it = Installation::new().await;
    it.driver.set_fault(Fault::Mute);
    let id = it.create("api", Intent::Run).await;
    let failed = it
        .until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    let reason = FailureReason::AgentTimeout { seconds: 2 };
    assert_eq!(failed, State::Failed(reason));
    assert_eq!(it.driver.running(), 0);
}

#[tokio::test]
async fn a_failed_stop_is_told_and_tried_again() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.driver.set_fault(Fault::Unstoppable);
    it.workspaces.delete(&id).await.unwrap();
    let failed = it
        .until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    assert!(matches!(
        failed,
        State::Failed(FailureReason::StopFailed { .. })
    ));
    let refused = it.workspaces.start(&id).await.unwrap_err();
    assert!(matches!(refused, CommandError::Deleted));
    it.driver.set_fault(Fault::None);
    it.workspaces.delete(&id).await.unwrap();
    it.until(&id, |state| *state == State::Deleted).await;
}

#[tokio::test]
async fn a_hundred_workspaces_are_created_at_once() {
    let it = Installation::new().await;
    let mut tasks = JoinSet::new();
    for index in 0..100 {
        let (workspaces, owner) = (it.workspaces.clone(), it.owner.clone());
        tasks.spawn(async move {
            let name = format!("w{index}").parse().unwrap();
            let record = workspaces
                .create(&owner, &name, Blueprint::default(), Intent::Run)
                .await
                .unwrap();
            workspaces.settled(&record.workspace.id).await
        });
    }
    while let Some(state) = within(tasks.join_next()).await {
        assert_eq!(state.unwrap(), Some(State::Running));
    }
    assert_eq!(it.driver.running(), 100);
    let taken = it
        .workspaces
        .create(
            &it.owner,
            &"w7".parse().unwrap(),
            Blueprint::default(),
            Intent::Run,
        )
        .await;
    assert!(matches!(
        taken,
        Err(CommandError::Store(StoreError::WorkspaceExists(_)))
    ));
}

#[tokio::test]
async fn a_shutdown_leaves_agents_running_and_refuses_commands() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    within(it.workspaces.shutdown()).await;
    assert_eq!(it.driver.running(), 1);
    let refused = it.workspaces.stop(&id).await.unwrap_err();
    assert!(matches!(refused, CommandError::ShuttingDown));
}

#[tokio::test]
async fn a_driver_that_is_away_fails_workspaces_until_it_is_back() {
    let it = Installation::new().await;
    let gone = it.create("gone", Intent::Run).await;
    it.settled(&gone).await;
    it.driver.set_fault(Fault::Away);
    let id = it.create("api", Intent::Run).await;
    it.workspaces.purge(&gone).await.unwrap();
    let away = |state: &State| matches!(state, State::Failed(reason) if reason.passes());
    it.until(&id, away).await;
    it.until(&gone, away).await;
    it.driver.set_fault(Fault::None);
    it.until(&id, |state| *state == State::Running).await;
    within(async {
        while it.workspaces.settled(&gone).await.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert!(!it.driver.keeps(&gone));
}
