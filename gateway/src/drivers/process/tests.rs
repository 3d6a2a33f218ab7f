//! The contract with the real agent; and with programs that behave as no agent
//! does, what the driver does about them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use devgate_protocol::config::{AgentConfig, Command as StepCommand};
use tempfile::TempDir;

use super::folder::Folder;
use super::*;
use crate::drivers::contract::{self, Subject, contract, within, workspace};
use crate::drivers::{AgentCredentials, Snapshots as _};
use crate::workspaces::{Blueprint, LifecycleCommand, LifecycleRun, Runs};

contract!(real_agents);

/// Returns the options of a driver in a data folder, which reaches its agents by sockets.
pub(super) fn options(data_folder: &Path, agent: PathBuf) -> ProcessOptions {
    ProcessOptions {
        folder: data_folder.join("workspaces"),
        agent,
        shell: None,
        environment: BTreeMap::new(),
        editor: EditorConfig::default(),
        terminals: TerminalsConfig::default(),
        startup: Startup::default(),
        reach: ProcessReach::Socket,
    }
}

struct Processes {
    folder: TempDir,
    agent: PathBuf,
}

impl Processes {
    fn options(&self) -> ProcessOptions {
        options(self.folder.path(), self.agent.clone())
    }

    fn process_driver(&self) -> ProcessDriver {
        ProcessDriver::new(self.options())
    }
}

impl Subject for Processes {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.process_driver())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Agents that a failed test left behind; each test has its own folder.
        let folder = self.folder.path().to_string_lossy().into_owned();
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return;
        };
        for pid in entries.flatten().filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&line)
                .contains(&folder)
                .then_some(pid)
        }) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}

fn real_agents() -> Processes {
    let agent = contract::agent();
    Processes {
        folder: tempfile::tempdir().unwrap(),
        agent,
    }
}

/// Agents that are a shell script, which finds `agent.toml` as `$2`.
fn scripts(script: &str) -> Processes {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agent.sh");
    std::fs::write(&agent, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o700)).unwrap();
    Processes { folder, agent }
}

/// Waits until a file holds a whole line, and returns it.
async fn line_of(path: &Path) -> String {
    within(async {
        loop {
            if let Ok(text) = std::fs::read_to_string(path)
                && text.ends_with('\n')
            {
                return text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

async fn start(driver: &ProcessDriver, workspace: &Workspace) -> u32 {
    driver.create(workspace).await.unwrap();
    driver.start(workspace).await.unwrap().pid()
}

#[tokio::test]
async fn an_agent_has_its_own_session_no_input_and_a_clean_environment() {
    let it = scripts("env > env; cut -d' ' -f6 /proc/$$/stat > sid; exec sleep 600");
    let (driver, workspace) = (it.process_driver(), workspace());
    let pid = start(&driver, &workspace).await;
    let root = driver.folder(&workspace.id).root().to_owned();
    assert_eq!(line_of(&root.join("sid")).await, pid.to_string());
    let environment = std::fs::read_to_string(root.join("env")).unwrap();
    assert!(environment.contains(&format!("DEVGATE_WORKSPACE_ID={}\n", workspace.id)));
    assert!(environment.contains("PATH="));
    assert!(!environment.contains("CARGO"), "{environment}");
    let input = std::fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert_eq!(input, Path::new("/dev/null"));
    for (path, mode) in [
        ("", 0o700),
        ("home", 0o700),
        ("run", 0o700),
        ("run/agent.toml", 0o600),
    ] {
        let found = std::fs::metadata(root.join(path)).unwrap().permissions();
        assert_eq!(found.mode() & 0o777, mode, "{path}");
    }
    driver.stop(&workspace.id, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_ignores_the_request_to_end_is_killed_after_the_grace() {
    let it = scripts("trap '' TERM; echo up > up; while :; do sleep 600; done");
    let (driver, workspace) = (it.process_driver(), workspace());
    start(&driver, &workspace).await;
    line_of(&driver.folder(&workspace.id).root().join("up")).await;
    let grace = Duration::from_millis(200);
    let before = Instant::now();
    within(driver.stop(&workspace.id, grace)).await.unwrap();
    assert!(before.elapsed() >= grace);
    let exit = within(driver.exited(&workspace.id)).await.unwrap();
    assert_eq!(exit, Exit::Signal(9));
}

#[tokio::test]
async fn a_stop_ends_what_an_agent_left_behind_too() {
    let it = scripts(
        "setsid sleep 600 & echo $! > orphan; setsid sh -c 'trap \"\" TERM; echo up > up; sleep 601; sleep 602' & exec sleep 600",
    );
    let (driver, workspace) = (it.process_driver(), workspace());
    let pid = start(&driver, &workspace).await;
    let root = driver.folder(&workspace.id).root().to_owned();
    let orphan: u32 = line_of(&root.join("orphan")).await.parse().unwrap();
    line_of(&root.join("up")).await;
    let agent = Process::open(pid).unwrap();
    agent.signal(Signal::KILL).unwrap();
    within(agent.ended()).await.unwrap();
    let orphan = Process::open(orphan).unwrap();
    within(driver.stop(&workspace.id, Duration::from_millis(200)))
        .await
        .unwrap();
    assert!(orphan.has_ended());
}

#[tokio::test]
async fn a_process_that_was_given_the_agents_id_is_left_alone() {
    let it = scripts("exec sleep 600");
    let driver = it.process_driver();
    let workspace = workspace();
    driver.create(&workspace).await.unwrap();
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let folder = driver.folder(&workspace.id);
    find::record(&folder, &Process::open(other.id()).unwrap()).unwrap();
    let text = std::fs::read_to_string(folder.pid()).unwrap();
    let mut identity: serde_json::Value = serde_json::from_str(&text).unwrap();
    identity["started"] = 1.into();
    std::fs::write(folder.pid(), identity.to_string()).unwrap();
    let found = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(found, Presence::Stopped);
    driver.stop(&workspace.id, Duration::ZERO).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn an_agent_that_nobody_recorded_is_found_by_its_lock() {
    let it = scripts(
        "exec flock -n \"$(dirname \"$2\")/agent.lock\" sh -c 'echo up > up; sleep 600' agent \"$@\"",
    );
    let (driver, workspace) = (it.process_driver(), workspace());
    let pid = start(&driver, &workspace).await;
    let folder = driver.folder(&workspace.id);
    line_of(&folder.root().join("up")).await;
    drop(driver);
    std::fs::remove_file(folder.pid()).unwrap();
    let driver = it.process_driver();
    let found = driver.start(&workspace).await.unwrap();
    assert_eq!(found, Started::Found(pid));
    assert!(folder.pid().is_file());
    within(driver.stop(&workspace.id, Duration::ZERO))
        .await
        .unwrap();
    let after = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(after, Presence::Stopped);
}

#[tokio::test]
async fn a_missing_agent_and_one_that_can_not_run_are_told_apart() {
    let mut it = scripts("exit 0");
    let workspace = workspace();
    std::fs::set_permissions(&it.agent, std::fs::Permissions::from_mode(0o600)).unwrap();
    let driver = it.process_driver();
    driver.create(&workspace).await.unwrap();
    let error = driver.start(&workspace).await.unwrap_err();
    assert!(
        matches!(error, DriverError::SpawnFailed { .. }),
        "{error:?}"
    );
    it.agent = it.folder.path().join("nothing");
    let error = it.process_driver().start(&workspace).await.unwrap_err();
    assert!(
        matches!(error, DriverError::AgentMissing { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_home_that_can_not_be_made_is_told() {
    let it = scripts("exec sleep 600");
    let (driver, workspace) = (it.process_driver(), workspace());
    let root = driver.folder(&workspace.id).root().to_owned();
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("home"), "a file").unwrap();
    let error = driver.create(&workspace).await.unwrap_err();
    assert!(
        matches!(error, DriverError::HomeUnwritable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_exit_status_is_told_and_the_child_reaped() {
    let it = scripts("exit 7");
    let (driver, workspace) = (it.process_driver(), workspace());
    let pid = start(&driver, &workspace).await;
    let exit = within(driver.exited(&workspace.id)).await.unwrap();
    assert_eq!(exit, Exit::Status(7));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_removal_that_was_cut_short_is_finished() {
    let it = scripts("exec sleep 600");
    let (driver, workspace) = (it.process_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let folder = driver.folder(&workspace.id);
    let all = it.options().folder;
    let removed = all.join(format!(".removed-{}", workspace.id));
    std::fs::create_dir(&removed).unwrap();
    std::fs::write(removed.join("left"), "").unwrap();
    std::fs::create_dir(folder.home().join("read-only")).unwrap();
    std::os::unix::fs::symlink("/etc", folder.home().join("etc")).unwrap();
    driver.remove(&workspace.id).await.unwrap();
    assert_eq!(std::fs::read_dir(&all).unwrap().count(), 0);
    assert!(Path::new("/etc/passwd").exists());
}

#[tokio::test]
async fn an_agent_that_dials_gets_its_certificate_in_private_files() {
    let it = scripts("exec sleep 600");
    let authority = devgate_certs::Authority::open(&it.folder.path().join("certs")).unwrap();
    let issue: Issue = Arc::new(move |id| {
        Ok(AgentCredentials {
            identity: authority.issue_agent(id.as_str())?,
            ca_pem: authority.ca_pem().to_owned(),
        })
    });
    let mut options = it.options();
    options.reach = ProcessReach::Dial {
        gateways: vec!["127.0.0.1:8443".into()],
        issue,
    };
    assert!(!format!("{options:?}").contains("PRIVATE"));
    let (driver, workspace) = (ProcessDriver::new(options), workspace());
    start(&driver, &workspace).await;
    assert_eq!(driver.reach(&workspace.id), Reach::Dial);
    let run = driver.folder(&workspace.id).root().join("run");
    let key = std::fs::metadata(run.join("agent.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let config = std::fs::read_to_string(run.join("agent.toml")).unwrap();
    let config: devgate_protocol::config::AgentConfig = toml::from_str(&config).unwrap();
    assert!(matches!(
        config.reach,
        devgate_protocol::config::Reach::Dial { .. }
    ));
    driver.stop(&workspace.id, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_home_that_is_gone_is_said_to_be_and_no_empty_one_takes_its_place() {
    let it = scripts("exec sleep 600");
    let (driver, workspace) = (it.process_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let home = driver.home(&workspace.id);
    std::fs::write(home.join("work"), "mine").unwrap();
    let gone = |error: DriverError| match error {
        DriverError::HomeGone { path } => assert_eq!(path, home),
        error => panic!("{error:?}"),
    };

    let away = it.folder.path().join("away");
    std::fs::rename(&home, &away).unwrap();
    gone(driver.create(&workspace).await.unwrap_err());
    let snapshot = crate::names::SnapshotId::random();
    let label = crate::drivers::Label::default();
    let taken = driver.take(&workspace, &snapshot, &label).await;
    gone(taken.unwrap_err());
    assert!(!home.exists());
    std::fs::rename(&away, &home).unwrap();
    driver.create(&workspace).await.unwrap();
    assert_eq!(std::fs::read_to_string(home.join("work")).unwrap(), "mine");

    // The disk of all of them.
    let all = it.options().folder;
    std::fs::rename(&all, &away).unwrap();
    std::fs::create_dir(&all).unwrap();
    // Another gateway's.
    let driver = it.process_driver();
    gone(driver.create(&workspace).await.unwrap_err());
    std::fs::remove_dir(&all).unwrap();
    std::fs::rename(&away, &all).unwrap();
    driver.create(&workspace).await.unwrap();
    assert_eq!(std::fs::read_to_string(home.join("work")).unwrap(), "mine");

    driver.remove(&workspace.id).await.unwrap();
    driver.create(&workspace).await.unwrap();
}

#[tokio::test]
async fn a_home_of_an_earlier_version_is_taken_note_of() {
    let it = scripts("exec sleep 600");
    let (driver, workspace) = (it.process_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let notes = it.options().folder.with_file_name(folder::NOTES);
    std::fs::remove_dir_all(&notes).unwrap();
    driver.note_homes().unwrap();
    std::fs::remove_dir(driver.home(&workspace.id)).unwrap();
    let error = driver.create(&workspace).await.unwrap_err();
    assert!(matches!(error, DriverError::HomeGone { .. }), "{error:?}");
}

#[test]
fn what_a_repository_takes_of_the_environment_is_what_agents_inherit() {
    let it = real_agents();
    let (options, mut workspace) = (it.options(), workspace());
    let folder = Folder::new(&options.folder, &workspace.id);
    folder.create().unwrap();
    workspace.blueprint = Arc::new(Blueprint {
        remote_environment: [("PATH", "${containerEnv:PATH}:/extra")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        lifecycle: vec![LifecycleCommand {
            name: "postCreateCommand".to_owned(),
            command: LifecycleRun::Shell("${containerEnv:HOME} ${containerEnv:CARGO}".to_owned()),
            directory: "/".into(),
            runs: Runs::Always,
            wait: true,
        }],
        ..Blueprint::default()
    });
    folder.write_config(&options, &workspace).unwrap();
    let told = std::fs::read_to_string(folder.config()).unwrap();
    let told: AgentConfig = toml::from_str(&told).unwrap();
    let own = |name| std::env::var(name).unwrap();
    assert_eq!(told.environment["PATH"], format!("{}:/extra", own("PATH")));
    let line = format!("{} ", own("HOME"));
    assert_eq!(told.startup.steps[0].command, StepCommand::Shell(line));
}
