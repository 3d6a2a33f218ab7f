//! The contract with real agents in a real engine, and what is special to containers.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use tempfile::TempDir;

use super::*;
use crate::drivers::contract::{Subject, answers, contract, within, workspace};
use crate::names::InstallationId;

contract!(real_containers);

const GRACE: Duration = Duration::from_secs(10);

/// Removes everything of an installation once the test is over, or its process is gone.
const CLEAN: &str = "
    read nothing
    docker ps -aq --filter label=devgate.installation=$1 | xargs -r docker rm -fv
    docker volume ls -q --filter label=devgate.installation=$1 | xargs -r docker volume rm
    docker network ls -q --filter label=devgate.installation=$1 | xargs -r docker network rm";

/// An installation of a test's own, whose containers and homes go with it.
struct Installation {
    folder: TempDir,
    options: DockerOptions,
    clean: Child,
}

impl Installation {
    fn docker_driver(&self) -> DockerDriver {
        DockerDriver::open(self.options.clone()).unwrap()
    }
}

impl Subject for Installation {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.docker_driver())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        drop(self.clean.stdin.take());
        let cleaned = self.clean.wait();
        assert!(cleaned.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn socket() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("DEVGATE_TEST_CACHE").unwrap_or_else(|| {
        let caches = variable("XDG_CACHE_HOME");
        let home = || variable("HOME").unwrap_or_default().join(".cache");
        caches.unwrap_or_else(home).join("devgate-tests")
    });
    let socket = cache.join("docker/docker.sock");
    assert!(
        std::os::unix::net::UnixStream::connect(&socket).is_ok(),
        "the tests' Docker Engine doesn't run: sh scripts/docker.sh"
    );
    socket
}

fn real_containers() -> Installation {
    let own = std::env::current_exe().unwrap();
    let agent = own.ancestors().nth(2).unwrap().join("devgate-agent");
    assert!(
        agent.is_file(),
        "{} is missing: run `cargo build -p devgate-agent`",
        agent.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let options = DockerOptions {
        folder: folder.path().join("docker"),
        socket: socket(),
        agent,
        image: "devgate-test/busybox".to_owned(),
        user: "1000:1000".to_owned(),
        home: "/home/dev".into(),
        shell: None,
        nano_cpus: Some(500_000_000),
        memory: Some(256 << 20),
        pids: 200,
        tmp_size: 16 << 20,
        mounts: Vec::new(),
        extra_hosts: vec!["db:10.0.0.7".to_owned()],
        gpus: false,
        network: None,
        environment: BTreeMap::new(),
        editor: EditorConfig::default(),
        terminals: TerminalsConfig::default(),
    };
    let id = folder::installation(&options.folder).unwrap();
    let clean = Command::new("sh")
        .args(["-c", CLEAN, "sh", id.as_str()])
        .env(
            "DOCKER_HOST",
            format!("unix://{}", options.socket.display()),
        )
        .stdin(Stdio::piped()) // ends with this process
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    Installation {
        folder,
        options,
        clean,
    }
}

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
    let prepared = driver.containers.prepare(&workspace.id, &wanted).await;
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
async fn an_image_that_is_nowhere_is_named() {
    let mut it = real_containers();
    it.options.image = "127.0.0.1:1/nowhere".to_owned();
    let (driver, workspace) = (it.docker_driver(), workspace());
    driver.create(&workspace).await.unwrap();
    let error = within(driver.start(&workspace)).await.unwrap_err();
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
    assert_eq!(other.kept().await.unwrap(), []);
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
            .inspect_volume(&spec::volume(&workspace.id))
            .await
            .is_err()
    );
    let left = std::fs::read_dir(it.folder.path().join("docker")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["installation"]);
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
}

fn plain_options() -> DockerOptions {
    DockerOptions {
        folder: "/f".into(),
        socket: "/s".into(),
        agent: "/a".into(),
        image: String::new(),
        user: "1".to_owned(),
        home: "/h".into(),
        shell: None,
        nano_cpus: None,
        memory: None,
        pids: 100,
        tmp_size: 0,
        mounts: Vec::new(),
        extra_hosts: Vec::new(),
        gpus: false,
        network: None,
        environment: BTreeMap::new(),
        editor: EditorConfig::default(),
        terminals: TerminalsConfig::default(),
    }
}
