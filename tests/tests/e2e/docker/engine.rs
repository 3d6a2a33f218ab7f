//! An engine or an image that isn't there.

use std::net::TcpListener;
use std::process::Command;

use e2e::browser::Browser;
use e2e::component::program;
use e2e::docker::{BUSYBOX, Containers, Engine};
use e2e::process::Running;
use e2e::survivors::Folder;
use e2e::wait::{SOON, eventually, until};
use nix::sys::signal::Signal;

/// Stands in for an engine that comes and goes: hands connections on to the real one.
fn door(socket: &str, engine: &Engine) -> Running {
    std::fs::remove_file(socket).ok();
    let mut socat = Command::new(program("socat"));
    socat
        .arg(format!("UNIX-LISTEN:{socket},fork"))
        .arg(format!("UNIX-CONNECT:{}", engine.socket().display()));
    let door = Running::start(&mut socat);
    until(SOON, "socat's socket", || {
        std::os::unix::net::UnixStream::connect(socket).is_ok()
    });
    door
}

#[test]
fn a_missing_image_is_one_clear_sentence_wherever_one_looks() {
    let image = "127.0.0.1:1/nowhere";
    let it = Containers::start(image, &[]);
    let done = it.target().ssh().run("echo never");
    assert_eq!((done.code(), done.out().as_str()), (255, ""));
    assert_eq!(done.err().trim().lines().count(), 1, "{done:?}");
    let gateway = it.target().gateway();
    let status = gateway.cli(&["status", "default"]);
    for text in [done.err(), status.out()] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&format!("`docker pull {image}`")), "{text}");
        assert!(text.contains("docker.image"), "{text}");
    }
    assert!(gateway.cli(&["list"]).ok().out().contains("failed"));
    assert_eq!(it.all("container").len(), 0);
}

#[test]
fn an_engine_that_comes_late_finds_the_workspaces_waiting() {
    let folder = Folder::new();
    let engine = Engine::of_the_tests();
    let socket = folder.path().join("engine.sock").display().to_string();
    let it = Containers::start_by(engine.clone(), &socket, BUSYBOX, &[]);
    let done = it.target().ssh().run("echo never");
    assert_eq!((done.code(), done.out().as_str()), (255, ""));
    assert!(done.err().contains("Docker Engine"), "{done:?}");
    assert!(done.err().contains("systemctl start docker"), "{done:?}");
    let _door = door(&socket, &engine);
    eventually(SOON, "a running workspace", || {
        let listed = it.target().gateway().cli(&["list"]).out();
        listed.contains("running").then_some(())
    });
    assert_eq!(it.target().ssh().run("echo up").ok().out(), "up\n");
}

#[test]
fn people_in_containers_do_not_notice_that_the_engine_is_away() {
    let folder = Folder::new();
    let engine = Engine::of_the_tests();
    let socket = folder.path().join("engine.sock").display().to_string();
    let first = door(&socket, &engine);
    let it = Containers::start_by(engine.clone(), &socket, BUSYBOX, &[]);
    let target = it.target();
    assert_eq!(target.ssh().run("echo up").ok().out(), "up\n");
    let agent = it.agent("default");
    drop(first);
    until(SOON, "the gateway's note", || {
        target.gateway().log().contains("the engine is away")
    });
    assert_eq!(target.ssh().run("echo still").ok().out(), "still\n");
    let stopped = target.gateway().cli(&["stop", "default"]);
    assert_ne!(stopped.code(), 0, "{stopped:?}");
    let _second = door(&socket, &engine);
    // What was asked for is done, once it can be.
    eventually(SOON, "the stop", || {
        let listed = target.gateway().cli(&["list"]).out();
        listed.contains("stopped").then_some(())
    });
    assert_ne!(it.agent("default"), agent);
    assert_eq!(it.agent("default"), 0);
}

#[test]
fn an_engine_that_takes_connections_and_never_answers_is_told_as_one_that_is_away() {
    let folder = Folder::new();
    let engine = Engine::of_the_tests();
    let socket = folder.path().join("engine.sock").display().to_string();
    let door = door(&socket, &engine);
    let it = Containers::start_by(engine.clone(), &socket, BUSYBOX, &[]);
    let target = it.target();
    assert_eq!(target.ssh().run("echo up").ok().out(), "up\n");
    door.signal(Signal::SIGSTOP);
    let gateway = target.gateway();
    for command in [["stop", "default"], ["create", "api"]] {
        let done = gateway.cli(&command);
        assert_ne!(done.code(), 0, "{done:?}");
        let text = format!("the Docker Engine at {socket} doesn't answer");
        let said = done.err().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&text), "{done:?}");
    }
    let refused = target.ssh().user("api").run("echo never");
    assert!(refused.err().contains("doesn't answer"), "{refused:?}");
    door.signal(Signal::SIGCONT);
    // What was asked for is done, once it can be.
    let is = |name: &str, state: &str| {
        eventually(SOON, "what was asked for", || {
            let shown = gateway.cli(&["status", name, "--json"]).out();
            shown.contains(&format!("\"{state}\"")).then_some(())
        });
    };
    is("default", "stopped");
    is("api", "running");
}

#[test]
fn a_container_that_others_pause_is_told_of_and_goes_on_where_somebody_starts_it() {
    let it = Containers::start(BUSYBOX, &[]);
    let (target, gateway) = (it.target(), it.target().gateway());
    assert_eq!(target.ssh().run("echo up").ok().out(), "up\n");
    let agent = it.agent("default");
    let container = it.container("default").unwrap();
    let _ = it.engine().run(&["pause", &container]).ok();
    until(SOON, "the word of the pause", || {
        let shown = gateway.cli(&["status", "default"]).ok().out();
        shown.contains("paused from outside")
    });
    let _ = gateway.cli(&["start", "default"]).ok();
    assert_eq!(target.ssh().run("echo on").ok().out(), "on\n");
    let shown = gateway.cli(&["status", "default"]).ok().out();
    assert!(!shown.contains("paused"), "{shown}");
    assert_eq!(it.agent("default"), agent);
}

#[test]
fn how_a_container_ended_that_was_started_again_is_told_in_status_and_history() {
    let it = Containers::start(BUSYBOX, &[]);
    let target = it.target();
    assert_eq!(target.ssh().run("echo up").ok().out(), "up\n");
    let container = it.container("default").unwrap();
    let _ = it.engine().run(&["kill", &container]).ok();
    let gateway = target.gateway();
    until(SOON, "the reason in the status", || {
        let shown = gateway.cli(&["status", "default"]).ok().out();
        shown.contains("running") && shown.contains("ended by itself")
    });
    let shown = gateway.cli(&["status", "default"]).ok().out();
    assert!(shown.contains("with signal 9"), "{shown}");
    let history = gateway.cli(&["history", "default"]).ok().out();
    let told = "starting: its agent ended by itself with signal 9";
    assert!(history.contains(told), "{history}");
}

#[test]
fn who_waits_for_an_image_is_told_so_and_a_stop_ends_the_wait() {
    // A registry that takes connections and never says a word.
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("127.0.0.1:{}/slow", registry.local_addr().unwrap().port());
    let it = Containers::start_beside_a_registry(&image);
    let waiting = it.target().ssh().args(["-tt"]).start("echo never");
    waiting.wait_for_error(&format!("pulling the image {image}"), SOON);
    let shown = it.target().gateway().cli(&["status", "default", "--json"]);
    assert!(shown.ok().out().contains("pulling the image"));
    let browser = Browser::signed_in(it.target().gateway(), it.target().folder());
    let workspaces = browser.get("/api/v1/workspaces");
    let doing = &workspaces["items"][0]["doing"];
    assert!(doing.as_str().unwrap().contains(&image), "{workspaces}");
    let _ = it.target().gateway().cli(&["stop", "default"]).ok();
    let done = waiting.finish(SOON);
    assert_eq!(done.code(), 255, "{done:?}");
    let listed = it.target().gateway().cli(&["list"]).ok().out();
    assert!(listed.contains("stopped"), "{listed}");
}
