//! What is left of workspaces that are no more.

use super::*;

#[tokio::test]
async fn what_a_workspace_left_that_is_no_more_is_released_and_its_home_kept() {
    let it = Installation::new().await;
    let id = it.create("api", Intent::Run).await;
    it.settled(&id).await;
    let orphan = WorkspaceId::random();
    it.driver.keep(&orphan);
    let it = it.kill().await;
    within(async {
        while it.driver.released().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert_eq!(it.driver.released(), std::slice::from_ref(&orphan));
    assert!(it.driver.keeps(&orphan));
    assert_eq!(it.settled(&id).await, Some(State::Running));
}

#[tokio::test]
async fn what_a_host_that_was_away_still_has_is_released_once_it_is_back() {
    let it = Installation::new().await;
    let [here, there] = [WorkspaceId::random(), WorkspaceId::random()];
    it.driver.keep(&here);
    it.driver.hide_some();
    let it = it.kill().await;
    let released = async |count: usize| {
        within(async {
            while it.driver.released().len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    };
    released(1).await;
    it.driver.keep(&there);
    it.driver.tell_all();
    released(2).await;
    assert_eq!(it.driver.released(), [here, there]);
}

#[tokio::test]
async fn what_comes_late_of_a_workspace_that_is_no_more_is_released_too() {
    let it = Installation::with(LifecycleOptions {
        recovery_pause: Duration::from_micros(50),
        ..options()
    })
    .await;
    let [first, late] = [WorkspaceId::random(), WorkspaceId::random()];
    let released = async |id: &WorkspaceId| {
        within(async {
            while !it.driver.released().contains(id) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    };
    it.driver.keep(&first);
    released(&first).await;
    it.driver.keep(&late);
    released(&late).await;
}
