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
