//! What an agent answers of the API.

use nix::sys::signal::{Signal, kill};

use crate::gateway::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stands_still_is_not_waited_for() {
    let gateway = Gateway::start().await;
    let (ada, _) = gateway.sign_in(&gateway.ada).await;
    let path = format!("/api/v1/workspaces/{}/ports", gateway.workspace);
    let ports = async || {
        let own = [("cookie", ada.as_str())];
        gateway.get(&gateway.dashboard(), &path, &own).await.status
    };
    assert_eq!(ports().await, 200);
    let agent = gateway.agent();
    kill(agent, Signal::SIGSTOP).unwrap();
    let late = ports().await;
    kill(agent, Signal::SIGCONT).unwrap();
    assert_eq!(late, 504);
    assert_eq!(ports().await, 200);
    gateway.end().await;
}
