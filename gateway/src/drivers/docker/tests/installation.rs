//! Installations of the tests, in the engine that `scripts/docker.sh` starts.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use devgate_protocol::config::{EditorConfig, TerminalsConfig};
use tempfile::TempDir;

use crate::drivers::Driver;
use crate::drivers::contract::{self, Subject};
use crate::drivers::docker::{DockerDriver, DockerOptions, DockerReach, Endpoint, folder};

/// Removes everything of an installation, images before those that they are made of, which
/// are older, once the test is over, or its process is gone.
const CLEAN: &str = "
    read nothing
    docker ps -aq --filter label=devgate.installation=$1 | xargs -r docker rm -fv
    docker volume ls -q --filter label=devgate.installation=$1 | xargs -r docker volume rm
    docker network ls -q --filter label=devgate.installation=$1 | xargs -r docker network rm
    docker image ls -q --filter label=devgate.installation=$1 | awk '!seen[$0]++' | xargs -r docker image rm -f";

/// An installation of a test's own, whose containers and homes go with it.
pub(in crate::drivers::docker) struct Installation {
    pub(in crate::drivers::docker) folder: TempDir,
    pub(in crate::drivers::docker) options: DockerOptions,
    clean: Child,
}

impl Installation {
    pub(in crate::drivers::docker) fn docker_driver(&self) -> DockerDriver {
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

/// Makes one in the tests' own engine, with an image that has nothing but a shell.
pub(in crate::drivers::docker) fn real_containers() -> Installation {
    let agent = contract::agent();
    let folder = tempfile::tempdir().unwrap();
    let options = DockerOptions {
        folder: folder.path().join("docker"),
        engine: Endpoint::Socket(socket()),
        reach: DockerReach::Folder,
        agent,
        build: None,
        image: "devgate-test/busybox".to_owned(),
        user: "1000:1000".to_owned(),
        home: "/home/dev".into(),
        shell: None,
        nano_cpus: Some(500_000_000),
        memory: Some(256 << 20),
        pids: 200,
        tmp_size: 16 << 20,
        mounts: Vec::new(),
        own_mounts: Vec::new(),
        remote_environment: BTreeMap::new(),
        extra_hosts: vec!["db:10.0.0.7".to_owned()],
        gpus: false,
        network: None,
        environment: BTreeMap::new(),
        editor: EditorConfig::default(),
        terminals: TerminalsConfig::default(),
        startup: devgate_protocol::config::Startup::default(),
    };
    let id = folder::installation(&options.folder).unwrap();
    let clean = Command::new("sh")
        .args(["-c", CLEAN, "sh", id.as_str()])
        .env("DOCKER_HOST", format!("unix://{}", options.engine))
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

/// Returns options that nothing runs with.
pub(in crate::drivers::docker) fn plain_options() -> DockerOptions {
    DockerOptions {
        folder: "/f".into(),
        engine: Endpoint::Socket("/s".into()),
        reach: DockerReach::Folder,
        agent: "/a".into(),
        image: String::new(),
        build: None,
        user: "1".to_owned(),
        home: "/h".into(),
        shell: None,
        nano_cpus: None,
        memory: None,
        pids: 100,
        tmp_size: 0,
        mounts: Vec::new(),
        own_mounts: Vec::new(),
        remote_environment: BTreeMap::new(),
        extra_hosts: Vec::new(),
        gpus: false,
        network: None,
        environment: BTreeMap::new(),
        editor: EditorConfig::default(),
        terminals: TerminalsConfig::default(),
        startup: devgate_protocol::config::Startup::default(),
    }
}
