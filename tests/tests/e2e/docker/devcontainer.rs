//! Repositories with a `devcontainer.json`, whose images are built.

use std::fs;

use e2e::docker::{BUSYBOX, Containers};
use e2e::repository::Repository;

const FILE: &str = ".devcontainer/devcontainer.json";

const DEVCONTAINER: &str = r#"{
  "name": "API", // a comment
  "build": {
    "dockerfile": "Dockerfile",
    "context": "..",
    "args": { "STAGE": "one" }, "target": "made",
  },
  "features": {
    "./hello": { "greeting": "it's $HOME" },
    "ghcr.io/devcontainers/features/go:1": {},
  },
  "remoteUser": "ana",
  "containerEnv": { "WHERE": "${containerWorkspaceFolder}" },
  "remoteEnv": { "PATH": "${containerEnv:PATH}:/opt/last" },
  "mounts": [
    "source=devgate-cache,target=/var/cache/own,type=volume",
    "type=tmpfs,target=/scratch,tmpfs-size=1m",
    "source=/etc,target=/host,type=bind",
  ],
  "forwardPorts": [8000],
  "runArgs": ["--privileged"],
}
"#;

const DOCKERFILE: &str = "FROM devgate-test/busybox AS made
ARG STAGE
RUN mkdir -p /etc && echo 'root:x:0:0::/:/bin/sh' > /etc/passwd \\
  && echo 'ana:x:1234:1234::/home/ana:/bin/sh' >> /etc/passwd && echo $STAGE > /stage
COPY go.mod /go.mod
ENV PATH=/usr/bin:/bin
ENV FROM_IMAGE=yes
USER ana
FROM made AS unneeded
RUN exit 1
";

const FEATURE: &str = r#"{
  "id": "hello", "version": "1.0.0", "name": "Hello",
  "options": { "greeting": { "type": "string", "default": "hi" } },
  "containerEnv": { "PATH": "/opt/hello:${PATH}" }
}
"#;

const INSTALL: &str = "#!/bin/sh
mkdir -p /opt/hello
echo \"#!/bin/sh\" > /opt/hello/hello
echo \"echo '$_REMOTE_USER $_REMOTE_USER_HOME' \\\"$(id -u)\\\"\" >> /opt/hello/hello
echo \"$GREETING\" > /opt/hello/greeting
chmod 755 /opt/hello/hello
";

#[test]
fn a_repositorys_dockerfile_and_features_are_built_and_nothing_of_it_reaches_the_host() {
    let it = Containers::start(BUSYBOX, &[]);
    let (target, gateway) = (it.target(), it.target().gateway());
    let repository = Repository::start(
        target.folder(),
        &[
            (FILE, DEVCONTAINER),
            (".devcontainer/Dockerfile", DOCKERFILE),
            (".devcontainer/hello/devcontainer-feature.json", FEATURE),
            (".devcontainer/hello/install.sh", INSTALL),
            ("go.mod", "module api\n"),
        ],
    );
    let file = target.path("api.toml");
    let url = repository.url();
    let text = format!("[repository]\nurl = \"{url}\"\ndevcontainer = true\n");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let _ = gateway.cli(&["templates", "add", "api", &file]).ok();
    let _ = gateway.cli(&["create", "api", "--template", "api"]).ok();
    let run = |script: &str| target.ssh().user("api").run(script).ok().out();
    assert_eq!(
        run("id -un; cat /stage /go.mod; echo $FROM_IMAGE"),
        "ana\none\nmodule api\nyes\n"
    );
    assert_eq!(
        run("hello; cat /opt/hello/greeting"),
        "ana /home/ana 0\nit's $HOME\n"
    );
    assert_eq!(
        run("echo $WHERE; case :$PATH: in *:/opt/hello:*:/opt/last:*) echo both;; esac"),
        "/home/dev/api\nboth\n"
    );
    // Its volume is its own, and its user's.
    assert_eq!(
        run("echo kept > /var/cache/own/file; echo x > /scratch/x; cat /scratch/x"),
        "x\n"
    );
    assert_eq!(run("ls /host 2>/dev/null | wc -l"), "0\n");
    let listed = it.engine().run(&["volume", "ls", "-q"]).ok().out();
    assert!(
        !listed.lines().any(|name| name == "devgate-cache"),
        "{listed}"
    );
    let container = it.container("api").unwrap();
    let format = "{{.HostConfig.Privileged}} {{.HostConfig.CapAdd}} {{.HostConfig.Binds}}";
    let inspected = it
        .engine()
        .run(&["inspect", "--format", format, &container])
        .ok()
        .out();
    assert_eq!(inspected, "false [] []\n");
    let status = gateway.cli(&["status", "api"]).ok().out();
    for named in [
        "10: features.ghcr.io/devcontainers/features/go:1",
        "18: mounts: /host",
        "21: runArgs",
    ] {
        assert!(
            status.contains(&format!("{FILE}:{named}")),
            "{named}: {status}"
        );
    }

    // A restart needs neither repository nor build; a rebuild takes what is new, and
    // keeps home and volumes.
    let image = |container: &str| {
        let args = ["inspect", "--format", "{{.Image}}", container];
        it.engine().run(&args).ok().out()
    };
    let _ = run("echo home > file");
    let first = image(&container);
    let _ = gateway.cli(&["restart", "api"]).ok();
    assert_eq!(image(&it.container("api").unwrap()), first);
    repository.commit(&[("go.mod", "module new\n")]);
    let _ = gateway.cli(&["rebuild", "api", "--yes"]).ok();
    assert_eq!(
        run("cat file /var/cache/own/file /go.mod"),
        "home\nkept\nmodule new\n"
    );
    assert_ne!(image(&it.container("api").unwrap()), first);

    let _ = gateway.cli(&["delete", "api", "--purge", "--yes"]).ok();
    assert_eq!(it.all("volume").len(), 1, "the other workspace's home");
    let kept = fs::read_dir(gateway.data().join("repositories")).unwrap();
    assert_eq!(kept.count(), 0);
}

#[test]
fn what_a_repository_adds_to_the_path_keeps_that_of_an_image_that_says_none() {
    let it = Containers::start(BUSYBOX, &[]);
    let (target, gateway) = (it.target(), it.target().gateway());
    let text = r#"{
        "image": "devgate-test/busybox",
        "remoteEnv": { "PATH": "${containerEnv:PATH}:/extra", "HERE": "${workspaceFolder}" }
    }"#;
    let repository = Repository::start(target.folder(), &[(FILE, text)]);
    let file = target.path("api.toml");
    let url = repository.url();
    fs::write(&file, format!("[repository]\nurl = \"{url}\"\n")).unwrap();
    let file = file.display().to_string();
    let _ = gateway.cli(&["templates", "add", "api", &file]).ok();
    let _ = gateway.cli(&["create", "api", "--template", "api"]).ok();
    let run = |script: &str| target.ssh().user("api").run(script).ok().out();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        run("echo $PATH"),
        format!("{path}:/extra:/.devgate/runtime/bin\n")
    );
    let status = gateway.cli(&["status", "api"]).ok().out();
    let named = format!("{FILE}:3: ${{workspaceFolder}}: it stays as it is");
    assert!(status.contains(&named), "{status}");
}
