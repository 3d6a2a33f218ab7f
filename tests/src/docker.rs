//! Workspaces in containers, of the tests' own Docker Engines.

pub mod far;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use nix::unistd::{getegid, geteuid};

use crate::component::{cache, program};
use crate::gateway::Gateway;
use crate::process::{Finished, run};
use crate::reach::Reach;
use crate::survivors::{Folder, at_the_end};
use crate::target::Target;

/// How long one request to the engine may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A root with busybox and nothing else.
pub const BUSYBOX: &str = "devgate-test/busybox";

/// A root whose programs are those of a `/usr` that is mounted.
const HOST: &str = "devgate-test/host";

/// A minimal Debian with a user `ana`.
pub const DEBIAN: &str = "devgate-test/debian";

/// Removes everything of an installation, however the test ended.
const CLEAN: &str = r#"
read nothing
for kind in container volume network image; do
    case $kind in container) all=-a force=-fv;; image) all=-a force=-f;; *) all= force=; esac
    docker $kind ls -q $all --filter "label=devgate.installation=$1" |
        xargs -r docker $kind rm $force
done
docker image ls -q --filter "label=devgate.installation=$1" | awk '!seen[$0]++' | xargs -r docker image rm -f
"#;

/// A gateway whose workspaces are containers. Dropping it removes them, and so does the
/// end of the test's process.
pub struct Containers {
    target: Target,
    engine: Engine,
    installation: String,
    clean: Option<Child>,
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    socket: PathBuf,
}

impl Engine {
    /// Returns the one that has networks of its own: what comes and goes in them is seen by
    /// nobody else. Browsers drop what they load whenever a network of their host changes.
    #[track_caller]
    pub fn of_the_tests() -> Self {
        Self::in_folder("docker")
    }

    /// Returns the one that is in this host's network: its containers have no other.
    #[track_caller]
    pub fn in_this_hosts_network() -> Self {
        Self::in_folder("docker-here")
    }

    /// Returns one that `scripts/docker.sh` starts.
    #[track_caller]
    fn in_folder(name: &str) -> Self {
        let engine = Self {
            socket: cache().join(name).join("docker.sock"),
        };
        let version = engine.run(&["version"]);
        assert_eq!(
            version.code(),
            0,
            "the tests' Docker Engines don't run: sh scripts/docker.sh"
        );
        engine
    }

    /// Returns its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs `docker` with arguments.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(program("docker"));
        command.env("DOCKER_HOST", self.host()).args(args);
        run(&mut command, b"", LIMIT)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Containers {
    /// Starts a gateway with one workspace of that image.
    #[track_caller]
    pub fn start(image: &str, settings: &[(&str, &str)]) -> Self {
        let engine = Engine::of_the_tests();
        let socket = engine.socket.display().to_string();
        Self::start_by(engine, &socket, image, settings)
    }

    /// Starts a gateway with one workspace of that image, in this host's network, where
    /// the engine finds the test's registry.
    #[track_caller]
    pub fn start_beside_a_registry(image: &str) -> Self {
        let engine = Engine::in_this_hosts_network();
        let socket = engine.socket.display().to_string();
        Self::start_by(
            engine,
            &socket,
            image,
            &[("DEVGATE_DOCKER_NETWORK", "host")],
        )
    }

    /// Starts a gateway with one workspace that has this host's programs and network,
    /// the tests' user, and the test's own folder.
    #[track_caller]
    pub fn like_this_host() -> Self {
        Self::like_this_host_with(&[])
    }

    /// Does the same with further settings.
    #[track_caller]
    pub fn like_this_host_with(settings: &[(&str, &str)]) -> Self {
        let engine = Engine::in_this_hosts_network();
        let socket = engine.socket.display().to_string();
        let folder = Folder::new();
        let own = folder.path().display();
        let cache = cache().display().to_string();
        let mounts = format!(
            "/usr:/usr:ro,/etc/alternatives:/etc/alternatives:ro,{cache}:{cache}:ro,{own}:{own}"
        );
        let user = format!("{}:{}", geteuid(), getegid());
        let mut all = vec![
            ("DEVGATE_DOCKER_MOUNTS", mounts.as_str()),
            ("DEVGATE_DOCKER_USER", &user),
            ("DEVGATE_DOCKER_NETWORK", "host"),
            ("DEVGATE_DOCKER_SHELL", "/bin/bash"),
        ];
        all.extend_from_slice(settings);
        Self::start_in(folder, engine, (&socket, HOST), &all)
    }

    /// Starts a gateway that looks for the engine at another socket.
    #[track_caller]
    pub fn start_by(engine: Engine, socket: &str, image: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_in(Folder::new(), engine, (socket, image), settings)
    }

    #[track_caller]
    fn start_in(
        folder: Folder,
        engine: Engine,
        (socket, image): (&str, &str),
        settings: &[(&str, &str)],
    ) -> Self {
        let mut all = vec![
            ("DEVGATE_WORKSPACES_DRIVER", "docker"),
            ("DEVGATE_DOCKER_SOCKET", socket),
            ("DEVGATE_DOCKER_IMAGE", image),
        ];
        all.extend_from_slice(settings);
        let target = Target::devgate_in(folder, Reach::Unix, &all);
        let id = target.gateway().data().join("docker/installation");
        let installation = std::fs::read_to_string(id).expect("an installation has an id");
        let installation = installation.trim().to_owned();
        let mut clean = at_the_end(CLEAN, &installation);
        clean.env("DOCKER_HOST", engine.host());
        let clean = clean.spawn().expect("/bin/sh runs");
        Self {
            target,
            engine,
            installation,
            clean: Some(clean),
        }
    }

    /// Returns what clients connect to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns what clients connect to, to be killed and started again.
    pub fn target_mut(&mut self) -> &mut Target {
        &mut self.target
    }

    /// Returns the gateway, to be killed and started again.
    pub fn gateway_mut(&mut self) -> &mut Gateway {
        self.target.gateway_mut()
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the containers, volumes or networks that there are of this installation.
    #[track_caller]
    pub fn all(&self, kind: &str) -> Vec<String> {
        let filter = format!("label=devgate.installation={}", self.installation);
        let mut args = vec![kind, "ls", "-q", "--filter", &filter];
        if kind == "container" {
            args.push("-a");
        }
        let listed = self.engine.run(&args).ok().out();
        listed.lines().map(str::to_owned).collect()
    }

    /// Returns the names of the images that there are of this installation.
    #[track_caller]
    pub fn images(&self) -> Vec<String> {
        let filter = format!("label=devgate.installation={}", self.installation);
        let format = "{{.Repository}}:{{.Tag}}";
        let args = ["image", "ls", "--filter", &filter, "--format", format];
        let listed = self.engine.run(&args).ok().out();
        listed.lines().map(str::to_owned).collect()
    }

    /// Returns the id of a workspace's container, if it has one.
    #[track_caller]
    pub fn container(&self, workspace: &str) -> Option<String> {
        let installation = format!("label=devgate.installation={}", self.installation);
        let name = format!("label=devgate.name={workspace}");
        let args = [
            "container",
            "ls",
            "-aq",
            "--filter",
            &installation,
            "--filter",
            &name,
        ];
        let listed = self.engine.run(&args).ok().out();
        listed.lines().next().map(str::to_owned)
    }

    /// Returns where a workspace's home is on this host's disk, which only root may see.
    #[track_caller]
    pub fn home_on_disk(&self, workspace: &str) -> PathBuf {
        let container = self.container(workspace).expect("there is a container");
        let format =
            r#"{{range .Mounts}}{{if eq .Type "volume"}}{{println .Source}}{{end}}{{end}}"#;
        let inspected = self
            .engine
            .run(&["inspect", "--format", format, &container]);
        let inspected = inspected.ok().out();
        let mut volumes = inspected.lines().filter(|line| !line.is_empty());
        let home = volumes.next().expect("a home is a volume");
        assert_eq!(volumes.next(), None, "it is the only one");
        PathBuf::from(home)
    }

    /// Returns the process id of a workspace's agent, 0 where none runs.
    #[track_caller]
    pub fn agent(&self, workspace: &str) -> u32 {
        let container = self.container(workspace).expect("there is a container");
        let args = ["inspect", "--format", "{{.State.Pid}}", &container];
        self.engine.run(&args).ok().out().trim().parse().unwrap()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for container in self.all("container") {
                let logs = self.engine.run(&["logs", "--tail", "40", &container]);
                eprintln!("--- container {container}\n{}{}", logs.out(), logs.err());
            }
        }
        // What starts containers goes first.
        self.gateway_mut().end();
        if let Some(mut clean) = self.clean.take() {
            drop(clean.stdin.take());
            clean.wait().ok();
        }
    }
}
