//! Data folders that were copied or moved while their agents ran.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::drivers::contract::{self, answers, within, workspace};
use crate::drivers::process::ProcessDriver;
use crate::drivers::process::tests::options;
use crate::drivers::{Driver as _, Presence, Started};
use crate::workspaces::Workspace;

const GRACE: Duration = Duration::from_secs(10);

/// Data folders side by side. What still runs in them is killed when it is dropped.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the driver of a gateway that starts on one of them, with real agents.
    fn driver(&self, name: &str) -> ProcessDriver {
        ProcessDriver::new(options(&self.path(name), contract::agent()))
    }

    /// Starts a workspace in a new one, and returns its agent.
    async fn start(&self, name: &str, workspace: &Workspace) -> Process {
        std::fs::create_dir(self.path(name)).unwrap();
        let driver = self.driver(name);
        driver.create(workspace).await.unwrap();
        let started = driver.start(workspace).await.unwrap();
        answers(&driver, workspace).await;
        Process::open(started.pid()).unwrap()
    }

    /// Starts a program as an agent does, which outlives its agent.
    fn program(&self, name: &str, workspace: &Workspace) -> Process {
        let folder = Folder::new(&self.path(name).join("workspaces"), &workspace.id);
        let child = Command::new("sleep")
            .arg("600")
            .env("DEVGATE_WORKSPACE_ID", workspace.id.as_str())
            .env("DEVGATE_KEEP_AWAKE", folder.run().join("keep-awake.sock"))
            .current_dir(folder.home())
            .spawn();
        Process::open(child.unwrap().id()).unwrap()
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        let own = self.0.path().to_owned();
        for process in processes(|pid| {
            let works_in = std::fs::read_link(format!("/proc/{pid}/cwd"));
            works_in.is_ok_and(|folder| folder.starts_with(&own))
        }) {
            let _ = process.signal(Signal::KILL);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[tokio::test]
async fn what_runs_in_a_folder_is_left_alone_by_a_gateway_on_a_copy_of_it() {
    let (it, workspace) = (Folders::new(), workspace());
    let id = &workspace.id;
    let agent = it.start("own", &workspace).await;
    let program = it.program("own", &workspace);
    copy(&it.path("own"), &it.path("copy"));

    let driver = it.driver("copy");
    let found = driver.inspect(id).await.unwrap();
    assert_eq!(found, Presence::Stopped);
    let started = driver.start(&workspace).await.unwrap();
    assert!(matches!(started, Started::New(_)), "{started:?}");
    answers(&driver, &workspace).await;
    let of_copy = it.program("copy", &workspace);
    // Its agent ends everything, and then the driver what is left.
    within(driver.stop(id, GRACE)).await.unwrap();
    within(of_copy.ended()).await.unwrap();
    assert!(!agent.has_ended() && !program.has_ended());

    let driver = it.driver("own");
    let pid = agent.pid();
    let found = driver.inspect(id).await.unwrap();
    assert_eq!(found, Presence::Running { pid });
    // One that was killed leaves it to the driver alone.
    agent.signal(Signal::KILL).unwrap();
    within(agent.ended()).await.unwrap();
    within(it.driver("copy").stop(id, GRACE)).await.unwrap();
    assert!(!program.has_ended());
    within(driver.stop(id, GRACE)).await.unwrap();
    within(program.ended()).await.unwrap();
}

#[tokio::test]
async fn an_agent_whose_folder_was_moved_is_started_anew() {
    let (it, workspace) = (Folders::new(), workspace());
    let agent = it.start("before", &workspace).await;
    let program = it.program("before", &workspace);
    std::fs::rename(it.path("before"), it.path("after")).unwrap();

    let driver = it.driver("after");
    let pid = agent.pid();
    let found = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(found, Presence::Running { pid });
    let started = within(driver.start(&workspace)).await.unwrap();
    assert!(matches!(started, Started::New(_)), "{started:?}");
    answers(&driver, &workspace).await;
    assert!(agent.has_ended() && program.has_ended());
    within(driver.stop(&workspace.id, GRACE)).await.unwrap();
}

#[tokio::test]
async fn an_agent_is_found_by_another_way_to_its_folder() {
    let (it, workspace) = (Folders::new(), workspace());
    let agent = it.start("own", &workspace).await;
    std::os::unix::fs::symlink(it.path("own"), it.path("link")).unwrap();
    let driver = it.driver("link");
    let started = driver.start(&workspace).await.unwrap();
    assert_eq!(started, Started::Found(agent.pid()));
    // So is one that nobody recorded.
    let folder = Folder::new(&it.path("own").join("workspaces"), &workspace.id);
    std::fs::remove_file(folder.pid()).unwrap();
    let driver = it.driver("link");
    let started = driver.start(&workspace).await.unwrap();
    assert_eq!(started, Started::Found(agent.pid()));
    within(driver.stop(&workspace.id, GRACE)).await.unwrap();
    assert!(agent.has_ended());
}
