//! What every driver must do, tested with real agents.
//!
//! A driver's tests call [`contract!`] with the path of a function that makes a
//! [`Subject`].

mod snapshots;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use devgate_protocol::control::{self, FromAgent};
use devgate_protocol::{Answer, Open, Stream, handshake, socket};
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};

use super::{Driver, Exit, Follow, Presence, Reach, Started};
use crate::names::{UserId, WorkspaceId};
use crate::workspaces::Workspace;

/// A place where workspaces run. Ends what still runs there when it is dropped.
pub(crate) trait Subject {
    /// Makes a driver, as a gateway does that starts anew.
    fn driver(&self) -> Arc<dyn Driver>;
}

/// Makes one test of each rule.
macro_rules! contract {
    ($subject:path; $($rule:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $rule() {
            $crate::drivers::contract::$rule(&$subject()).await;
        })+
    };
    ($subject:path) => {
        contract!(
            $subject;
            what_was_never_made_is_absent_and_can_be_stopped_and_removed,
            a_started_agent_answers_and_is_found_when_started_again,
            an_agent_survives_its_driver_and_is_adopted_by_the_next_one,
            a_stop_ends_the_agent_and_keeps_the_home,
            a_removal_leaves_nothing_and_can_be_repeated,
            the_death_of_an_agent_is_noticed_at_once,
            a_start_that_nobody_waits_for_leaves_one_agent_at_most,
            logs_are_there_whether_the_agent_runs_or_not,
            what_is_kept_is_told,
            a_release_keeps_the_home_and_the_next_start_makes_the_rest_anew,
            a_snapshot_brings_a_home_back_in_its_place_and_elsewhere,
            a_snapshot_that_nobody_waits_for_is_taken_anew_or_removed,
            a_restoring_that_nobody_waits_for_is_finished_by_the_next_call,
            a_snapshot_that_is_not_there_is_named,
        );
    };
}

pub(crate) use contract;
pub(crate) use snapshots::{
    a_restoring_that_nobody_waits_for_is_finished_by_the_next_call,
    a_snapshot_brings_a_home_back_in_its_place_and_elsewhere,
    a_snapshot_that_is_not_there_is_named,
    a_snapshot_that_nobody_waits_for_is_taken_anew_or_removed, home, label, restored,
};

const GRACE: Duration = Duration::from_secs(10);

/// Returns the agent's program, which is built beside the tests.
pub(crate) fn agent() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let agent = own.ancestors().nth(2).unwrap().join("devgate-agent");
    assert!(
        agent.is_file(),
        "{} is missing: run `cargo build -p devgate-agent`",
        agent.display()
    );
    agent
}

/// Returns a workspace that no other test has.
pub(crate) fn workspace() -> Workspace {
    Workspace {
        id: WorkspaceId::random(),
        name: "api".parse().unwrap(),
        owner: UserId::random(),
        owner_name: "ada".parse().unwrap(),
        created: OffsetDateTime::now_utc(),
        expires: None,
        blueprint: Arc::default(),
    }
}

pub(crate) async fn within<T>(event: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), event)
        .await
        .expect("it should have happened by now")
}

/// Waits until the workspace's agent answers on its socket.
pub(crate) async fn answers(driver: &dyn Driver, workspace: &Workspace) {
    let (Reach::Socket(path) | Reach::SharedSocket(path)) = driver.reach(&workspace.id) else {
        panic!("these agents are to be reached by socket");
    };
    within(async {
        loop {
            if let Ok(stream) = socket::connect(&path).await {
                let mut stream = Stream::from(stream);
                handshake::write_open(&mut stream, &Open::Control)
                    .await
                    .unwrap();
                assert_eq!(
                    handshake::read_answer(&mut stream).await.unwrap(),
                    Answer::Opened
                );
                let hello = control::read(&mut stream).await.unwrap();
                let Some(FromAgent::Hello { workspace: id, .. }) = hello else {
                    panic!("no hello: {hello:?}");
                };
                assert_eq!(id, workspace.id.as_str());
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn up(driver: &dyn Driver, workspace: &Workspace) -> u32 {
    driver.create(workspace).await.unwrap();
    let started = driver.start(workspace).await.unwrap();
    let Started::New(pid) = started else {
        panic!("there was one already: {started:?}");
    };
    answers(driver, workspace).await;
    pid
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

pub(crate) async fn what_was_never_made_is_absent_and_can_be_stopped_and_removed(
    subject: &impl Subject,
) {
    let (driver, id) = (subject.driver(), WorkspaceId::random());
    assert_eq!(driver.inspect(&id).await.unwrap(), Presence::Absent);
    driver.stop(&id, GRACE).await.unwrap();
    driver.remove(&id).await.unwrap();
    assert_eq!(within(driver.exited(&id)).await.unwrap(), Exit::Unseen);
    assert_eq!(driver.inspect(&id).await.unwrap(), Presence::Absent);
}

pub(crate) async fn a_started_agent_answers_and_is_found_when_started_again(
    subject: &impl Subject,
) {
    let (driver, workspace) = (subject.driver(), workspace());
    driver.create(&workspace).await.unwrap();
    driver.create(&workspace).await.unwrap();
    let stopped = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(stopped, Presence::Stopped);
    let pid = up(&*driver, &workspace).await;
    let running = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(running, Presence::Running { pid });
    let again = driver.start(&workspace).await.unwrap();
    assert_eq!(again, Started::Found(pid));
    driver.stop(&workspace.id, GRACE).await.unwrap();
}

pub(crate) async fn an_agent_survives_its_driver_and_is_adopted_by_the_next_one(
    subject: &impl Subject,
) {
    let workspace = workspace();
    let driver = subject.driver();
    let pid = up(&*driver, &workspace).await;
    drop(driver);
    let driver = subject.driver();
    answers(&*driver, &workspace).await;
    let running = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(running, Presence::Running { pid });
    let found = driver.start(&workspace).await.unwrap();
    assert_eq!(found, Started::Found(pid));
    let mut exited = pin!(driver.exited(&workspace.id));
    let early = timeout(Duration::from_millis(50), &mut exited).await;
    assert!(early.is_err(), "{early:?}");
    kill(pid);
    within(exited).await.unwrap();
}

pub(crate) async fn a_stop_ends_the_agent_and_keeps_the_home(subject: &impl Subject) {
    let (driver, workspace) = (subject.driver(), workspace());
    let home = driver.home(&workspace.id);
    assert!(home.is_absolute(), "{}", home.display());
    let pid = up(&*driver, &workspace).await;
    let (stopped, exited) = tokio::join!(
        driver.stop(&workspace.id, GRACE),
        driver.exited(&workspace.id)
    );
    stopped.unwrap();
    assert_eq!(exited.unwrap(), Exit::Status(0));
    let after = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(after, Presence::Stopped);
    driver.stop(&workspace.id, GRACE).await.unwrap();
    assert_ne!(up(&*driver, &workspace).await, pid);
    driver.stop(&workspace.id, Duration::ZERO).await.unwrap();
    let after = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(after, Presence::Stopped);
}

pub(crate) async fn a_removal_leaves_nothing_and_can_be_repeated(subject: &impl Subject) {
    let (driver, workspace) = (subject.driver(), workspace());
    up(&*driver, &workspace).await;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
    let after = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(after, Presence::Absent);
}

pub(crate) async fn the_death_of_an_agent_is_noticed_at_once(subject: &impl Subject) {
    let (driver, workspace) = (subject.driver(), workspace());
    let pid = up(&*driver, &workspace).await;
    let killed = async {
        kill(pid);
    };
    let (exit, ()) = within(async { tokio::join!(driver.exited(&workspace.id), killed) }).await;
    assert_eq!(exit.unwrap(), Exit::Signal(9));
    let after = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(after, Presence::Stopped);
    let again = up(&*driver, &workspace).await;
    assert_ne!(again, pid);
    driver.stop(&workspace.id, GRACE).await.unwrap();
}

pub(crate) async fn a_start_that_nobody_waits_for_leaves_one_agent_at_most(subject: &impl Subject) {
    let (driver, workspace) = (subject.driver(), workspace());
    driver.create(&workspace).await.unwrap();
    for micros in [0, 10, 100, 1000] {
        let start = driver.start(&workspace);
        drop(timeout(Duration::from_micros(micros), start).await);
    }
    let started = driver.start(&workspace).await.unwrap();
    answers(&*driver, &workspace).await;
    let running = driver.inspect(&workspace.id).await.unwrap();
    let pid = started.pid();
    assert_eq!(running, Presence::Running { pid });
    driver.stop(&workspace.id, GRACE).await.unwrap();
}

pub(crate) async fn logs_are_there_whether_the_agent_runs_or_not(subject: &impl Subject) {
    let (driver, workspace) = (subject.driver(), workspace());
    up(&*driver, &workspace).await;
    let first = driver.logs(&workspace.id, 100, Follow::Yes).await.unwrap();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let second = driver.logs(&workspace.id, 100, Follow::No).await.unwrap();
    for mut logs in [first, second] {
        let chunk = std::future::poll_fn(|cx| logs.as_mut().poll_next(cx));
        let chunk = within(chunk).await.unwrap().unwrap();
        assert!(!chunk.is_empty());
    }
    let file = driver.home_file(&workspace.id, "nowhere/to/be/found");
    assert_eq!(within(file).await.unwrap(), None);
    driver.remove(&workspace.id).await.unwrap();
    let file = driver.home_file(&workspace.id, "file");
    assert_eq!(within(file).await.unwrap(), None);
}

pub(crate) async fn what_is_kept_is_told(subject: &impl Subject) {
    let (driver, workspace) = (subject.driver(), workspace());
    assert_eq!(driver.kept().await.unwrap().workspaces, []);
    driver.create(&workspace).await.unwrap();
    let only = std::slice::from_ref(&workspace.id);
    assert_eq!(driver.kept().await.unwrap().workspaces, only);
    up(&*driver, &workspace).await;
    assert_eq!(driver.kept().await.unwrap().workspaces, only);
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
    assert_eq!(driver.kept().await.unwrap().workspaces, []);
}

pub(crate) async fn a_release_keeps_the_home_and_the_next_start_makes_the_rest_anew(
    subject: &impl Subject,
) {
    let (driver, workspace) = (subject.driver(), workspace());
    driver.release(&workspace.id).await.unwrap();
    up(&*driver, &workspace).await;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.release(&workspace.id).await.unwrap();
    driver.release(&workspace.id).await.unwrap();
    let after = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(after, Presence::Stopped);
    up(&*driver, &workspace).await;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
}
