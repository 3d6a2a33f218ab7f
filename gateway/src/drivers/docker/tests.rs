//! The contract with real agents in a real engine, and what is special to containers.

mod accounts;
pub(super) mod installation;
mod outside;
mod snapshots;
mod startup;
mod volumes;

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};

use self::installation::{plain_options, real_containers};
use super::containers::Fresh;
use super::*;
use crate::drivers::contract::{answers, contract, within, workspace};
use crate::names::InstallationId;

contract!(real_containers);

const GRACE: Duration = Duration::from_secs(10);

async fn up(driver: &DockerDriver, workspace: &Workspace) -> u32 {
    driver.create(workspace).await.unwrap();
    let started = driver.start(workspace).await.unwrap();
    answers(driver, workspace).await;
    started.pid()
}

async fn inspect(driver: &DockerDriver, workspace: &Workspace) -> ContainerInspectResponse {
    let client = driver.containers.engine().client().await.unwrap();
    client
        .inspect_container(
            &spec::container(&workspace.id),
            None::<InspectContainerOptions>,
        )
        .await
        .unwrap()
}

fn status(pid: u32) -> HashMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

#[tokio::test]
async fn an_agent_is_process_1_of_an_ordinary_user_without_privileges() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let status = status(pid);
    assert_eq!(status["NSpid"].split_whitespace().last(), Some("1"));
    assert_eq!(status["Uid"], "1000\t1000\t1000\t1000");
    assert_eq!(status["Gid"], "1000\t1000\t1000\t1000");
    assert_eq!(status["NoNewPrivs"], "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    let root = format!("/proc/{pid}/root");
    let home = std::fs::metadata(format!("{root}/home/dev")).unwrap();
    assert_eq!((home.uid(), home.gid()), (1000, 1000));
    let agent = std::fs::metadata(format!("{root}{}", spec::AGENT)).unwrap();
    assert_eq!((agent.uid(), agent.mode() & 0o777), (0, 0o755));
    let passwd = std::fs::read_to_string(format!("{root}/etc/passwd")).unwrap();
    assert!(
        passwd.contains("dev:x:1000:1000::/home/dev:/bin/sh\n"),
        "{passwd}"
    );
    let hosts = std::fs::read_to_string(format!("{root}/etc/hosts")).unwrap();
    assert!(hosts.contains("10.0.0.7\tdb"), "{hosts}");
    let found = inspect(&driver, &workspace).await;
    let host = found.host_config.unwrap();
    assert_eq!(host.nano_cpus, Some(500_000_000));
    assert_eq!(
        (host.memory, host.memory_swap),
        (Some(256 << 20), Some(256 << 20))
    );
    assert_eq!(host.pids_limit, Some(200));
    let labels = found.config.unwrap().labels.unwrap();
    for (label, value) in [
        ("devgate.workspace", workspace.id.as_str()),
        ("devgate.name", "api"),
        ("devgate.owner", workspace.owner.as_str()),
        ("devgate.owner-name", "ada"),
    ] {
        assert_eq!(labels[label], value, "{label}");
    }
}

#[tokio::test]
async fn an_image_with_accounts_gives_its_user_by_name() {
    let mut it = real_containers();
    it.options.image = "devgate-test/debian".to_owned();
    it.options.user = "ana".to_owned();
    it.options.home = "/home/ana".into();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    assert!(status(pid)["Uid"].starts_with("1000\t"));
    // What the image has there is in the new home.
    assert!(Path::new(&format!("/proc/{pid}/root/home/ana/.bashrc")).exists());
    it.options.user = "bob".to_owned();
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let error = it.docker_driver().start(&workspace).await.unwrap_err();
    assert!(
        matches!(error, DriverError::UserMissing { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_container_with_other_settings_is_made_anew_and_its_home_kept() {
    let mut it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let note = "root/home/dev/note";
    std::fs::write(format!("/proc/{pid}/{note}"), "kept").unwrap();
    let first = inspect(&driver, &workspace).await.id;
    // The same settings: the same container.
    driver.stop(&workspace.id, GRACE).await.unwrap();
    up(&it.docker_driver(), &workspace).await;
    assert_eq!(inspect(&driver, &workspace).await.id, first);
    it.options.pids = 300;
    let driver = it.docker_driver();
    // One that runs goes on.
    let found = driver.start(&workspace).await.unwrap();
    assert!(matches!(found, Started::Found(_)), "{found:?}");
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let pid = up(&driver, &workspace).await;
    let second = inspect(&driver, &workspace).await;
    assert_ne!(second.id, first);
    assert_eq!(second.host_config.unwrap().pids_limit, Some(300));
    let text = std::fs::read_to_string(format!("/proc/{pid}/{note}")).unwrap();
    assert_eq!(text, "kept");
}

#[tokio::test]
async fn a_new_image_of_the_same_name_makes_a_new_container_and_a_lost_one_does_not() {
    let mut it = real_containers();
    let name = format!("devgate-test/{}", InstallationId::random());
    it.options.image.clone_from(&name);
    let docker = |args: &[&str]| {
        let mut docker = Command::new("docker");
        let host = format!("unix://{}", it.options.engine);
        let done = docker.env("DOCKER_HOST", host).args(args).output();
        assert!(done.unwrap().status.success(), "{args:?}");
    };
    docker(&["tag", "devgate-test/busybox", &name]);
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    let first = inspect(&driver, &workspace).await.id;
    for (args, is_new) in [
        (["tag", "devgate-test/debian", &name].as_slice(), true),
        (["rmi", "--force", &name].as_slice(), false),
    ] {
        driver.stop(&workspace.id, GRACE).await.unwrap();
        let before = inspect(&driver, &workspace).await.id;
        docker(args);
        up(&driver, &workspace).await;
        let after = inspect(&driver, &workspace).await.id;
        assert_eq!(after != before, is_new, "{args:?}");
        assert_ne!(after, first);
    }
}

#[tokio::test]
async fn a_half_made_container_is_finished() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let shared = driver.folder(&workspace.id).shared();
    let wanted = spec::body(
        &it.options,
        driver.containers.installation(),
        &workspace,
        &shared,
    );
    let prepared = driver.containers.prepare(&workspace, &wanted, None).await;
    assert!(matches!(
        prepared,
        Ok(Prepared::Fresh(Fresh { is_new: true, .. }))
    ));
    let exit = within(driver.exited(&workspace.id)).await.unwrap();
    assert_eq!(exit, Exit::Unseen);
    up(&it.docker_driver(), &workspace).await;
}

#[tokio::test]
async fn a_container_that_is_removed_from_outside_is_noticed_and_made_anew() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    let remove = async {
        let client = driver.containers.engine().client().await.unwrap();
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let name = spec::container(&workspace.id);
        client.remove_container(&name, Some(options)).await.unwrap();
    };
    let (exit, ()) = within(async { tokio::join!(driver.exited(&workspace.id), remove) }).await;
    exit.unwrap();
    assert_eq!(
        driver.inspect(&workspace.id).await.unwrap(),
        Presence::Stopped
    );
    up(&driver, &workspace).await;
}

#[tokio::test]
async fn what_a_workspace_leaves_in_the_shared_folder_is_not_in_its_way() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let socket = driver.folder(&workspace.id).shared().join(SOCKET);
    let _ = std::fs::remove_file(&socket);
    std::fs::create_dir_all(socket.join("in/the/way")).unwrap();
    up(&driver, &workspace).await;
}

#[tokio::test]
async fn a_network_that_was_removed_is_made_again_and_the_container_with_it() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    let first = inspect(&driver, &workspace).await.id;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    let client = driver.containers.engine().client().await.unwrap();
    let network = spec::network(driver.containers.installation());
    client.remove_network(&network).await.unwrap();
    up(&driver, &workspace).await;
    assert_ne!(inspect(&driver, &workspace).await.id, first);
}

#[tokio::test]
async fn a_home_that_is_gone_is_not_made_anew() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.release(&workspace.id).await.unwrap();
    let homes = driver.containers.remove_homes(&workspace.id);
    homes.await.unwrap();
    let error = it.docker_driver().create(&workspace).await.unwrap_err();
    let DriverError::HomeMissing { volume } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*volume, spec::volume(&workspace));
    assert!(!driver.containers.has_home(&workspace).await.unwrap());
    // Put back, or deleted, it can be used again.
    driver.containers.make_home(&workspace).await.unwrap();
    driver.create(&workspace).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
    driver.create(&workspace).await.unwrap();
}

#[tokio::test]
async fn a_new_container_leaves_the_homes_mode_and_time_alone() {
    let mut it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let pid = up(&driver, &workspace).await;
    let home = |pid| format!("/proc/{pid}/root/home/dev");
    let facts = |pid| {
        let found = std::fs::metadata(home(pid)).unwrap();
        (found.uid(), found.mode() & 0o7777, found.mtime_nsec())
    };
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(home(pid), mode).unwrap();
    // What the agent's own files are in: it makes that where it isn't there.
    let own = format!("{}/.local", home(pid));
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(1000), Some(1000)).unwrap();
    let before = facts(pid);
    driver.stop(&workspace.id, GRACE).await.unwrap();
    it.options.pids = 300;
    let pid = up(&it.docker_driver(), &workspace).await;
    assert_eq!(facts(pid), before);
    assert_eq!(before.1, 0o700);
}

#[tokio::test]
async fn an_image_that_is_nowhere_is_named() {
    let mut it = real_containers();
    it.options.image = "127.0.0.1:1/nowhere".to_owned();
    let (driver, workspace) = (it.docker_driver(), workspace());
    let error = within(driver.create(&workspace)).await.unwrap_err();
    let DriverError::ImageMissing { image, detail } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(image, "127.0.0.1:1/nowhere");
    assert!(detail.contains("connection refused"), "{detail}");
}

#[tokio::test]
async fn what_belongs_to_another_installation_is_left_alone() {
    let (it, other) = (real_containers(), real_containers());
    let workspace = workspace();
    let driver = it.docker_driver();
    let pid = up(&driver, &workspace).await;
    let other = other.docker_driver();
    assert_eq!(other.kept().await.unwrap().workspaces, []);
    for error in [
        other.create(&workspace).await.unwrap_err(),
        other.start(&workspace).await.unwrap_err(),
        other.stop(&workspace.id, Duration::ZERO).await.unwrap_err(),
        other.remove(&workspace.id).await.unwrap_err(),
    ] {
        assert!(matches!(error, DriverError::Foreign { .. }), "{error:?}");
    }
    let running = driver.inspect(&workspace.id).await.unwrap();
    assert_eq!(running, Presence::Running { pid });
}

#[tokio::test]
async fn fifty_starts_at_once_make_one_network() {
    let it = real_containers();
    let driver = it.docker_driver();
    let network = spec::network(driver.containers.installation());
    let made = futures_util::future::join_all((0..50).map(|_| driver.containers.have_network()));
    for made in within(made).await {
        made.unwrap();
    }
    let client = driver.containers.engine().client().await.unwrap();
    let found = client
        .inspect_network(
            &network,
            None::<bollard::query_parameters::InspectNetworkOptions>,
        )
        .await
        .unwrap();
    let apart = "com.docker.network.bridge.enable_icc";
    assert_eq!(found.options.unwrap()[apart], "false");
}

#[tokio::test]
async fn a_removal_leaves_nothing_in_the_engine_or_on_the_disk() {
    let it = real_containers();
    let (driver, workspace) = (it.docker_driver(), workspace());
    up(&driver, &workspace).await;
    driver.stop(&workspace.id, GRACE).await.unwrap();
    driver.remove(&workspace.id).await.unwrap();
    let client = driver.containers.engine().client().await.unwrap();
    let label = format!("devgate.workspace={}", workspace.id);
    let filters = HashMap::from([("label", vec![label.as_str()])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    assert_eq!(client.list_containers(Some(options)).await.unwrap(), []);
    assert!(
        client
            .inspect_volume(&spec::volume(&workspace))
            .await
            .is_err()
    );
    let left = std::fs::read_dir(it.folder.path().join("docker")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    // What all of them share.
    assert_eq!(left, ["devgate-agent", "installation"]);
}

#[test]
fn the_same_settings_have_the_same_digest() {
    let options = DockerOptions {
        image: "a".to_owned(),
        ..plain_options()
    };
    let (installation, workspace) = (InstallationId::random(), workspace());
    let digest = |options: &DockerOptions| {
        let body = spec::body(options, &installation, &workspace, Path::new("/run"));
        body.labels.unwrap().remove(spec::SPEC).unwrap()
    };
    assert_eq!(digest(&options), digest(&options.clone()));
    let mut other = options.clone();
    other.image = "b".to_owned();
    assert_ne!(digest(&options), digest(&other));
    let mut renamed = workspace.clone();
    renamed.name = "other".parse().unwrap();
    renamed.owner = crate::names::UserId::random();
    renamed.owner_name = "bob".parse().unwrap();
    let body = spec::body(&options, &installation, &renamed, Path::new("/run"));
    let labels = body.labels.unwrap();
    assert_eq!(labels[spec::SPEC], digest(&options));
    assert_eq!(labels["devgate.name"], "other");
}

#[test]
fn the_filter_of_the_log_is_handed_on_and_not_in_the_digest() {
    let (options, installation) = (plain_options(), InstallationId::random());
    let (workspace, shared) = (workspace(), Path::new("/run"));
    let made = |filter: Option<&str>| {
        let filter = filter.map(str::to_owned);
        let body = spec::body_with_filter(&options, &installation, &workspace, shared, filter);
        let digest = body.labels.unwrap().remove(spec::SPEC).unwrap();
        (digest, body.env.unwrap())
    };
    let (without, with) = (made(None), made(Some("debug")));
    assert_eq!(without.0, with.0);
    assert_eq!(without.1.len(), 1);
    assert_eq!(with.1[1], "DEVGATE_AGENT_LOG=debug");
}
