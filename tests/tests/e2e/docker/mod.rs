//! Workspaces in containers of a real Docker Engine.

mod devcontainer;
mod engine;
mod fire;
mod hosts;
mod limits;
mod pools;
mod snapshots;
mod templates;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::docker::{BUSYBOX, Containers, DEBIAN};
use e2e::ports;
use e2e::process::{is_running, run};
use e2e::wait::{SOON, eventually, until};

const LIMIT: Duration = Duration::from_mins(1);

/// Answers one connection to a port of the workspace, in whatever shell.
const SERVER: &str = "echo pong | nc -l -p 8000";

#[test]
fn stock_clients_work_in_an_image_with_nothing_but_a_shell() {
    let it = Containers::start(BUSYBOX, &[]);
    let target = it.target();
    let done = target.ssh().run("id -un; id -u; pwd; echo $0 $HOME").ok();
    assert_eq!(done.out(), "dev\n1000\n/home/dev\nsh /home/dev\n");
    assert_eq!(target.ssh().run("exit 7").code(), 7);
    let again = target
        .ssh()
        .input("through\n")
        .run("cat /dev/stdin > /dev/stdout");
    assert_eq!(again.ok().out(), "through\n");
    let done = target.ssh().args(["-tt"]).run("tty; stty size").ok();
    assert!(done.out().starts_with("/dev/pts/"), "{done:?}");
    // What the agent runs as is known to the image's own programs, too.
    let done = target.ssh().run("ls -ld ~ /tmp | cut -c1-10").ok();
    assert_eq!(done.out(), "drwxr-xr-x\ndrwxrwxrwt\n");

    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    fs::write(target.path("sent"), &bytes).unwrap();
    let mut scp = target.client("scp");
    scp.arg(target.path("sent")).arg("ws:file");
    let _ = run(&mut scp, b"", LIMIT).ok();
    let mut sftp = target.client("sftp");
    sftp.args(["-b", "-", "ws"]);
    let batch = format!("get file {}\n", target.path("back").display());
    let _ = run(&mut sftp, batch.as_bytes(), LIMIT).ok();
    assert!(fs::read(target.path("back")).unwrap() == bytes);

    // A port of the workspace's own, which the host doesn't see.
    let mut server = target.ssh().start(SERVER);
    let port = ports::free();
    let forward = format!("127.0.0.1:{port}:127.0.0.1:8000");
    let _forward = target.ssh().args(["-L", &forward]).start_without_command();
    let answer = eventually(SOON, "the forwarded port", || {
        let mut text = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"ping\n").ok()?;
        stream.read_to_string(&mut text).ok()?;
        (!text.is_empty()).then_some(text)
    });
    assert_eq!(answer, "pong\n");
    until(SOON, "the server's end", || server.ended().is_some());
}

#[test]
fn stock_clients_work_in_debian_as_a_user_of_its_own() {
    let settings = [
        ("DEVGATE_DOCKER_USER", "ana"),
        ("DEVGATE_DOCKER_HOME", "/home/ana"),
        ("DEVGATE_DOCKER_ENVIRONMENT", "EDITOR=vim"),
    ];
    let it = Containers::start(DEBIAN, &settings);
    let target = it.target();
    let done = target.ssh().run("id -un; pwd; echo $SHELL $EDITOR").ok();
    assert_eq!(done.out(), "ana\n/home/ana\n/bin/bash vim\n");
    let done = target.ssh().run("hostname; grep ^ID= /etc/os-release").ok();
    assert_eq!(done.out(), "default\nID=debian\n");
    let done = target.ssh().run("ps -o user=,comm= -p 1").ok();
    assert_eq!(done.out(), "ana      devgate-agent\n");
}

#[test]
fn a_home_survives_restarts_and_the_rest_of_a_container_does_not_hold_it() {
    let it = Containers::start(BUSYBOX, &[]);
    let target = it.target();
    let _ = target
        .ssh()
        .run("echo kept > file; echo gone > /tmp/file")
        .ok();
    let first = it.agent("default");
    let _ = target.gateway().cli(&["restart", "default"]).ok();
    let done = target.ssh().run("cat file; ls /tmp").ok();
    assert_eq!(done.out(), "kept\n");
    assert_ne!(it.agent("default"), first);
    // Without its container, too.
    let container = it.container("default").unwrap();
    let _ = it.engine().run(&["rm", "-f", &container]).ok();
    let done = target.ssh().run("cat file").ok();
    assert_eq!(done.out(), "kept\n");
    let _ = target.gateway().cli(&["stop", "default"]).ok();
    assert_eq!(it.agent("default"), 0);
}

#[test]
fn a_killed_gateway_finds_its_containers_and_their_programs_again() {
    let mut it = Containers::start(BUSYBOX, &[]);
    let script = "sleep 600 > /dev/null 2>&1 < /dev/null & echo $!";
    let done = it.target().ssh().run(script).ok();
    let program = done.out().trim().to_owned();
    let agent = it.agent("default");
    it.gateway_mut().kill();
    assert!(is_running(agent));
    it.gateway_mut().start_again();
    let done = it
        .target()
        .ssh()
        .run(format!("kill -0 {program} && echo lives"));
    assert_eq!(done.ok().out(), "lives\n");
    assert_eq!(it.agent("default"), agent);
}

#[test]
fn a_container_that_is_killed_from_outside_comes_back_within_seconds() {
    let it = Containers::start(BUSYBOX, &[]);
    let target = it.target();
    let mut busy = target.ssh().start("echo up; cat > /dev/null");
    busy.wait_for("up", SOON);
    let agent = it.agent("default");
    let container = it.container("default").unwrap();
    let _ = it.engine().run(&["kill", &container]).ok();
    let killed = Instant::now();
    let log = || target.gateway().log();
    until(SOON, "the gateway's note", || log().contains("signal 9"));
    assert!(killed.elapsed() < Duration::from_secs(2));
    let ended = eventually(SOON, "the end of the lost channel", || busy.ended());
    assert!(!ended.success(), "a lost program is no success");
    assert_eq!(target.ssh().run("echo again").ok().out(), "again\n");
    assert_ne!(it.agent("default"), agent);
}

#[test]
fn a_purged_workspace_leaves_nothing_in_the_engine() {
    let it = Containers::start(BUSYBOX, &[]);
    let gateway = it.target().gateway();
    let _ = gateway.cli(&["create", "second"]).ok();
    let ssh = it.target().ssh().user("second");
    let _ = ssh.run("mkdir -m 0 closed; echo made > file").ok();
    assert_eq!(it.all("container").len(), 2);
    assert_eq!(it.all("volume").len(), 2);
    let _ = gateway.cli(&["delete", "second", "--purge", "--yes"]).ok();
    assert_eq!(it.container("second"), None);
    assert_eq!(it.all("container").len(), 1);
    assert_eq!(it.all("volume").len(), 1);
    let left = fs::read_dir(gateway.data().join("docker")).unwrap().count();
    assert_eq!(
        left, 3,
        "the other workspace's folder, the installation's id and the agent's program"
    );
}

#[test]
fn a_deleted_workspace_leaves_its_home_and_comes_back_with_it() {
    let it = Containers::start(BUSYBOX, &[]);
    let gateway = it.target().gateway();
    let _ = it.target().ssh().run("echo kept > file").ok();
    let _ = gateway.cli(&["delete", "default", "--yes"]).ok();
    assert_eq!(it.all("container").len(), 0);
    assert_eq!(it.all("volume").len(), 1);
    let _ = gateway.cli(&["restore", "default", "--as", "again"]).ok();
    let ssh = it.target().ssh().user("again").args(["-tt"]);
    let done = ssh.run("cat file").ok();
    assert!(done.out().contains("kept"), "{done:?}");
    let _ = gateway.cli(&["delete", "again", "--yes"]).ok();
    let _ = gateway.cli(&["purge", "again", "--yes"]).ok();
    assert_eq!(it.all("volume").len(), 0);
}

#[test]
fn a_container_is_the_same_after_its_workspace_was_renamed() {
    let it = Containers::start(BUSYBOX, &[]);
    let gateway = it.target().gateway();
    assert_eq!(it.target().ssh().run("echo up").ok().out(), "up\n");
    let before = it.container("default").unwrap();
    let _ = gateway.cli(&["rename", "default", "main"]).ok();
    let _ = gateway.cli(&["restart", "main"]).ok();
    let done = it
        .target()
        .ssh()
        .user("main")
        .run("echo $DEVGATE_WORKSPACE")
        .ok();
    assert_eq!(done.out(), "main\n");
    assert_eq!(it.all("container"), [before]);
}

#[test]
fn workspaces_do_not_reach_each_other() {
    let it = Containers::start(BUSYBOX, &[]);
    let target = it.target();
    let _ = target.gateway().cli(&["create", "second"]).ok();
    let done = target.ssh().run("hostname -i").ok();
    let address = done.out().trim().to_owned();
    let server = target
        .ssh()
        .start("echo up; while echo pong | nc -l -p 8000; do :; done");
    server.wait_for("up", SOON);
    let ask = format!("nc -w 3 {address} 8000 < /dev/null");
    let own = || target.ssh().run(&ask).out() == "pong\n";
    until(SOON, "the server", own);
    let other = target.ssh().user("second").run(&ask);
    assert_ne!(other.code(), 0, "{other:?}");
    assert_eq!(other.out(), "");
    // Nor another one's files, nor what the gateway keeps.
    let done = target
        .ssh()
        .user("second")
        .run("ls /home; ls -A /.devgate/run");
    assert_eq!(done.ok().out(), "dev\nagent.sock\n");
}

#[test]
fn a_workspace_can_not_lead_the_gateway_to_somebody_elses_agent() {
    let it = Containers::start(BUSYBOX, &[]);
    let target = it.target();
    let _ = target.gateway().cli(&["create", "second"]).ok();
    assert_eq!(
        target.ssh().user("second").run("echo up").ok().out(),
        "up\n"
    );
    let own = target.gateway().data().join("docker");
    let id = |workspace: &str| {
        let container = it.container(workspace).unwrap();
        let format = "{{index .Config.Labels \"devgate.workspace\"}}";
        let label = it
            .engine()
            .run(&["inspect", "--format", format, &container]);
        label.ok().out().trim().to_owned()
    };
    let theirs = own.join(id("second")).join("run/agent.sock");
    let link = format!("ln -sf {} /.devgate/run/agent.sock", theirs.display());
    let _ = target.ssh().run(link).ok();
    let done = target.ssh().run("hostname");
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
}
