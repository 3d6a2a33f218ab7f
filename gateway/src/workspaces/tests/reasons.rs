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
