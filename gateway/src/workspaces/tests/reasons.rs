//! Why a workspace failed, in its state and in the event.

use super::*;
use crate::drivers::Exit;

#[tokio::test]
async fn how_an_agent_ended_again_and_again_is_told_in_the_state_and_the_event() {
    for (last, said) in [
        (Exit::Status(3), "exit status 3"),
        (Exit::Signal(11), "signal 11"),
        (Exit::OutOfMemory, "its memory used up"),
    ] {
        let it = Installation::new().await;
        it.driver.set_fault(Fault::Dies(last));
        let id = it.create("api", Intent::Run).await;
        let failed = it
            .until(&id, |state| matches!(state, State::Failed(_)))
            .await;
        let reason = FailureReason::CrashLoop { crashes: 5, last };
        assert!(reason.to_string().contains(said), "{reason}");
        assert_eq!(failed, State::Failed(reason));
        told(&it, said).await;
    }
}

#[tokio::test]
async fn a_host_that_is_down_is_told_in_the_state_and_the_event() {
    let it = Installation::new().await;
    it.driver.set_fault(Fault::Away);
    let id = it.create("api", Intent::Run).await;
    it.until(&id, |state| matches!(state, State::Failed(_)))
        .await;
    told(&it, "doesn't answer").await;
}

async fn told(it: &Installation, said: &str) {
    let events = deleted::events(it).await;
    let last = events.last().unwrap();
    assert_eq!(last.kind, "workspace-state");
    assert_eq!(last.data["state"], "failed");
    let detail = last.data["detail"].as_str().unwrap();
    assert!(detail.contains(said), "{detail}");
}

#[tokio::test]
async fn how_an_agent_ended_that_was_started_again_is_told_until_somebody_asks_for_something() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    assert_eq!(it.workspaces.doing(&id), None);
    it.driver.crash(&id);
    it.driver.started(2).await;
    it.until(&id, |state| *state == State::Running).await;
    let told = it.workspaces.doing(&id).unwrap();
    assert!(told.contains("ended by itself at "), "{told}");
    // The end may come before anybody waits for it, who doesn't see how then.
    let exit = told
        .split("Z, with ")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let exit = exit.expect("it is told how").to_owned();
    assert!(
        ["signal 9", "an unknown status"].contains(&exit.as_str()),
        "{told}"
    );
    let events = deleted::events(&it).await;
    let says = |event: &crate::events::Event, name: &str| {
        let text = event.data.get(name).and_then(serde_json::Value::as_str);
        text.map(str::to_owned)
    };
    let states = events
        .iter()
        .filter(|event| event.kind == "workspace-state");
    let whys: Vec<_> = states.filter_map(|event| says(event, "detail")).collect();
    let [why] = &whys[..] else {
        panic!("{whys:?}");
    };
    assert!(
        why.contains(&format!("with {exit}: it is started again")),
        "{why}"
    );
    // The next gateway tells it as well.
    let it = it.kill().await;
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.workspaces.doing(&id), Some(told));
    it.workspaces.restart(&id).await.unwrap();
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.workspaces.doing(&id), None);
    let it = it.kill().await;
    assert_eq!(it.settled(&id).await, Some(State::Running));
    assert_eq!(it.workspaces.doing(&id), None);
}

/// Waits until what is told of a workspace fits.
async fn doing(it: &Installation, id: &WorkspaceId, fits: impl Fn(Option<&str>) -> bool) {
    let told = async {
        while !fits(it.workspaces.doing(id).as_deref()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(told).await;
}

#[tokio::test]
async fn an_agent_that_cant_be_reached_is_told_of_until_it_is_there_again() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.driver.cut_off(&id).await;
    let since =
        |told: Option<&str>| told.is_some_and(|told| told.contains("can't be reached since"));
    doing(&it, &id, since).await;
    // It is wanted as before, and nobody starts another one.
    assert!(it.workspaces.is_running(&id) && it.workspaces.is_out_of_reach(&id));
    it.driver.reach_again(&id).await;
    doing(&it, &id, |told| told.is_none()).await;
    assert!(!it.workspaces.is_out_of_reach(&id));
    assert_eq!(it.driver.starts(), 1);
    let events = deleted::events(&it).await;
    let notices = events.iter().filter(|it| it.kind == "workspace-notice");
    let details: Vec<_> = notices.map(|it| it.data["detail"].to_string()).collect();
    let [lost, back] = &details[..] else {
        panic!("{details:?}");
    };
    assert!(
        lost.contains("can't be reached") && back.contains("reached again"),
        "{details:?}"
    );
}

#[tokio::test]
async fn an_agent_that_cant_be_reached_is_forgotten_with_its_workspace() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    it.driver.cut_off(&id).await;
    doing(&it, &id, |told| told.is_some()).await;
    it.driver.crash(&id);
    it.driver.started(2).await;
    it.until(&id, |state| *state == State::Running).await;
    doing(&it, &id, |told| {
        told.is_some_and(|told| told.contains("ended by itself"))
    })
    .await;
}
