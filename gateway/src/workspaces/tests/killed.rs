//! Gateways that are killed in the middle of everything.

use super::*;

#[tokio::test]
async fn a_new_gateway_adopts_the_agents_of_the_last_one() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    let before = it.driver.pid(&id).unwrap();
    let it = it.kill().await;
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.pid(&id), Some(before));
    assert_eq!(it.driver.starts(), 1);
}

#[tokio::test]
async fn a_new_gateway_starts_what_died_meanwhile() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.workspaces.shutdown().await;
    it.driver.crash(&id);
    let it = it.kill().await;
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.starts(), 2);
}

#[tokio::test]
async fn an_adopted_agent_that_never_answers_is_left_to_its_owner() {
    let it = Installation::new().await;
    it.driver.set_fault(Fault::Mute);
    let id = it.create("api", Intent::Run).await;
    it.driver.started(1).await;
    let it = it.kill().await;
    let failed = it
        .until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    assert!(matches!(
        failed,
        State::Failed(FailureReason::AgentTimeout { .. })
    ));
    assert_eq!(it.driver.running(), 1);
    it.workspaces.restart(&id).await.unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.driver.starts(), 2);
}

/// What a workspace is brought to, and what must be true after it was acknowledged
/// and the gateway was killed at any later point.
#[derive(Clone, Copy, Debug)]
enum Command {
    Create,
    Start,
    Stop,
    Restart,
    Delete,
    Purge,
    Restore,
}

const COMMANDS: [Command; 7] = [
    Command::Create,
    Command::Start,
    Command::Stop,
    Command::Restart,
    Command::Delete,
    Command::Purge,
    Command::Restore,
];

/// Brings a workspace to where the command has something to do.
async fn prepare(it: &Installation, command: Command) -> Option<WorkspaceId> {
    let intent = match command {
        Command::Create => return None,
        Command::Start => Intent::Stop,
        Command::Stop | Command::Restart | Command::Delete | Command::Purge | Command::Restore => {
            Intent::Run
        }
    };
    let id = it.create("api", intent).await;
    it.settled(&id).await;
    if matches!(command, Command::Restore) {
        it.workspaces.delete(&id).await.unwrap();
    }
    Some(id)
}

async fn command(it: &Installation, command: Command, id: Option<WorkspaceId>) -> WorkspaceId {
    let Some(id) = id else {
        return it.create("api", Intent::Run).await;
    };
    match command {
        Command::Create | Command::Start => it.workspaces.start(&id).await,
        Command::Stop => it.workspaces.stop(&id).await,
        Command::Restart => it.workspaces.restart(&id).await,
        Command::Delete => it.workspaces.delete(&id).await,
        Command::Purge => it.workspaces.purge(&id).await,
        Command::Restore => it.workspaces.restore(&id, None).await,
    }
    .unwrap();
    id
}

async fn check(it: &Installation, command: Command, id: &WorkspaceId, before: Option<u32>) {
    let state = it.settled(id).await;
    match command {
        Command::Create | Command::Start => {
            assert_eq!(state, Some(State::Running));
            assert_eq!(it.driver.running(), 1);
        }
        Command::Restart => {
            assert_eq!(state, Some(State::Running));
            assert_eq!(it.driver.running(), 1);
            assert_ne!(it.driver.pid(id), before, "the restart was forgotten");
        }
        Command::Stop | Command::Restore => {
            assert_eq!(state, Some(State::Stopped));
            assert_eq!((it.driver.running(), it.driver.kept()), (0, 1));
            assert_eq!(it.intent("api").await, Some(Intent::Stop));
        }
        Command::Delete => {
            assert_eq!(state, Some(State::Deleted));
            assert_eq!((it.driver.running(), it.driver.kept()), (0, 1));
            assert_eq!(it.intent("api").await, None);
        }
        Command::Purge => {
            assert_eq!(state, None);
            assert_eq!((it.driver.running(), it.driver.kept()), (0, 0));
            assert_eq!(it.intent("api").await, None);
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_wherever_the_gateway_is_killed() {
    for what in COMMANDS {
        for hang in 0..6 {
            for after in [false, true] {
                let it = Installation::new().await;
                let id = prepare(&it, what).await;
                let before = id.as_ref().and_then(|id| it.driver.pid(id));
                it.driver.set_fault(Fault::Hangs { call: hang, after });
                let id = command(&it, what, id).await;
                tokio::select! {
                    _ = it.workspaces.settled(&id) => {}
                    () = it.driver.hung() => {}
                }
                let it = it.kill().await;
                check(&it, what, &id, before).await;
            }
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_whenever_the_gateway_is_killed() {
    for what in COMMANDS {
        for step in 0..12 {
            let it = Installation::new().await;
            let id = prepare(&it, what).await;
            let before = id.as_ref().and_then(|id| it.driver.pid(id));
            let id = command(&it, what, id).await;
            // Not to wait for something: to be killed anywhere.
            tokio::time::sleep(Duration::from_micros(150 * step)).await;
            let it = it.kill().await;
            check(&it, what, &id, before).await;
        }
    }
}
