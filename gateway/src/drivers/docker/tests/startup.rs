//! What runs once in a container, and once in a home.

use std::time::Instant;

use devgate_protocol::config::Step;
use serde_json::json;

use super::*;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(1);

fn step(name: &str, runs: &str) -> Step {
    let line = format!("echo x >> {name}");
    serde_json::from_value(json!({ "name": name, "command": line, "runs": runs })).unwrap()
}

/// Waits until that many start-ups are over, and returns how often each step ran.
async fn ran(pid: u32, starts: usize) -> [usize; 3] {
    let home = format!("/proc/{pid}/root/home/dev");
    let lines = |name: &str, words: &str| {
        let text = std::fs::read_to_string(format!("{home}/{name}")).unwrap_or_default();
        text.lines().filter(|line| line.ends_with(words)).count()
    };
    let deadline = Instant::now() + PATIENCE;
    while lines(".local/state/devgate/startup.log", "the start-up is over") < starts {
        assert!(Instant::now() < deadline, "no {starts}th start-up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ["always", "container", "home"].map(|name| lines(name, "x"))
}

#[tokio::test]
async fn a_step_runs_once_in_each_container_or_home() {
    let mut it = real_containers();
    it.options.startup.steps = vec![
        step("always", "always"),
        step("container", "once-per-container"),
        step("home", "once-per-home"),
    ];
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    assert_eq!(ran(pid, 1).await, [1, 1, 1]);
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let pid = up(&driver, &workspace).await;
    assert_eq!(ran(pid, 2).await, [2, 1, 1]);
    driver.stop(&workspace.id, GRACE).await.unwrap();
    it.options.pids = 300;
    let driver = it.docker_driver();
    let pid = up(&driver, &workspace).await;
    assert_eq!(ran(pid, 3).await, [3, 2, 1]);
}
