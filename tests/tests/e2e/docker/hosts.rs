//! Workspaces on several Docker hosts.

use std::fs;

use e2e::docker::far::FarEngine;
use e2e::docker::{BUSYBOX, Containers, Engine};
use e2e::survivors::Folder;
use e2e::wait::{SOON, eventually, until};

/// Starts a gateway whose workspaces are on those hosts.
#[track_caller]
fn on(hosts: &str, start_timeout: &str) -> (Containers, Folder) {
    let folder = Folder::new();
    let config = folder.path().join("devgate.toml");
    fs::write(&config, format!("[docker]\nnetwork = \"host\"\n{hosts}")).unwrap();
    let config = config.display().to_string();
    let settings = [
        ("DEVGATE_CONFIG", config.as_str()),
        ("DEVGATE_WORKSPACES_START_TIMEOUT", start_timeout),
    ];
    (Containers::start(BUSYBOX, &settings), folder)
}

#[test]
fn workspaces_are_placed_by_labels_and_a_host_that_is_down_takes_only_its_own_with_it() {
    let mut far = FarEngine::start();
    let engine = Engine::of_the_tests();
    let here = format!(
        "[[docker.hosts]]\nname = \"here\"\nurl = \"unix://{}\"\n",
        engine.socket().display()
    );
    let hosts = here + &far.entry("far", "127.0.0.1:0");
    let (mut it, _folder) = on(&hosts, "60s");
    let file = it.target().path("far.toml");
    fs::write(&file, "host-labels = [\"far\"]\n").unwrap();
    let file = file.display().to_string();
    let cli = |it: &Containers, args: &[&str]| it.target().gateway().cli(args);
    let _ = cli(&it, &["templates", "add", "far", &file]).ok();
    let _ = cli(&it, &["create", "api", "--template", "far"]).ok();
    let ssh = |it: &Containers, command: &str| it.target().ssh().user("api").run(command);
    assert_eq!(ssh(&it, "echo kept | tee file").ok().out(), "kept\n");
    assert_eq!(it.container("api"), None, "it isn't on this host");
    let listed = far.run(&["ps", "-q", "--filter", "label=devgate.name=api"]);
    assert_eq!(listed.ok().out().lines().count(), 1);
    assert_eq!(it.target().ssh().run("echo here").ok().out(), "here\n");
    assert!(it.container("default").is_some());

    // A gateway that is killed finds both again.
    it.gateway_mut().kill();
    it.gateway_mut().start_again();
    assert_eq!(ssh(&it, "cat file").ok().out(), "kept\n");

    far.end();
    let state = |it: &Containers| cli(it, &["status", "api"]).out();
    until(SOON, "the word that the host is away", || {
        state(&it).contains("unreachable")
    });
    let done = ssh(&it, "echo never");
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
    assert_eq!(it.target().ssh().run("echo here").ok().out(), "here\n");
    // A new one that may be anywhere goes where a host answers.
    let _ = cli(&it, &["create", "other"]).ok();
    assert!(it.container("other").is_some());
    let done = cli(&it, &["create", "lost", "--template", "far"]);
    assert!(done.err().contains("goes on by itself"), "{done:?}");

    far.start_again();
    until(SOON, "the start of what waited for the host", || {
        cli(&it, &["status", "lost"]).out().contains("running")
    });
    let back = eventually(SOON, "the workspace's return", || {
        let done = ssh(&it, "cat file");
        (done.code() == 0).then(|| done.out())
    });
    assert_eq!(back, "kept\n");
    let _ = cli(&it, &["delete", "api", "lost", "--purge", "--yes"]).ok();
    let left = far.run(&["ps", "-aq"]).ok().out() + &far.run(&["volume", "ls", "-q"]).ok().out();
    assert_eq!(left, "");
}

#[test]
fn a_host_is_named_with_what_is_wrong_with_its_certificates_or_ours() {
    let mut far = FarEngine::start();
    let far_from = |name: &str| far.entry(name, "127.0.0.1:0");
    let with = |name: &str, file: &str| {
        let own = file
            .trim_start_matches("expired-")
            .trim_start_matches("other-");
        far_from(name).replace(&format!("/{own}"), &format!("/{file}"))
    };
    let hosts = [
        with("expired", "expired-client-cert.pem"),
        with("other", "other-ca.pem"),
        far_from("far"),
    ];
    let (it, _folder) = on(&hosts.concat(), "60s");
    let cli = |args: &[&str]| it.target().gateway().cli(args);
    let refused = |name: &str| {
        let file = it.target().path(name);
        fs::write(&file, format!("host-labels = [{name:?}]\n")).unwrap();
        let file = file.display().to_string();
        let _ = cli(&["templates", "add", name, &file]).ok();
        let done = cli(&["create", name, "--template", name]);
        assert_ne!(done.code(), 0, "{done:?}");
        let said = done.err().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("docker.hosts {name}")), "{said}");
        assert!(!said.contains("systemctl"), "{said}");
        said
    };
    let said = refused("expired");
    assert!(
        said.contains("expired-client-cert.pem expired at "),
        "{said}"
    );
    let said = refused("other");
    assert!(said.contains("issued by another CA"), "{said}");
    assert!(said.contains("other-ca.pem"), "{said}");
    far.end();
    let said = refused("far");
    assert!(said.contains("reach it at the url"), "{said}");
}

#[test]
fn labels_that_no_host_has_are_told() {
    let engine = Engine::of_the_tests();
    let folder = Folder::new();
    let config = folder.path().join("devgate.toml");
    let text = format!(
        "[[docker.hosts]]\nname = \"here\"\nurl = \"unix://{}\"\nlabels = [\"ssd\"]\n",
        engine.socket().display(),
    );
    fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let it = Containers::start(BUSYBOX, &[("DEVGATE_CONFIG", &config)]);
    let gateway = it.target().gateway();
    for (name, label) in [("fast", "ssd"), ("large", "gpu")] {
        let file = it.target().path(name);
        fs::write(&file, format!("host-labels = [{label:?}]\n")).unwrap();
        let file = file.display().to_string();
        let _ = gateway.cli(&["templates", "add", name, &file]).ok();
    }
    let _ = gateway.cli(&["create", "one", "--template", "fast"]).ok();
    let done = gateway.cli(&["create", "two", "--template", "large"]);
    assert_eq!(done.code(), 1);
    assert!(done.err().contains("none has the labels gpu"), "{done:?}");
}

#[test]
fn an_agent_that_never_dials_in_fails_its_workspace_and_leaves_nothing_running() {
    let far = FarEngine::start();
    // Nobody listens there.
    let (it, _folder) = on(&far.entry("far", "127.0.0.1:1"), "5s");
    let cli = |args: &[&str]| it.target().gateway().cli(args);
    let done = cli(&["start", "default"]);
    assert_eq!(done.code(), 1, "{done:?}");
    assert!(done.err().contains("did not answer within 5 s"), "{done:?}");
    let login = it.target().ssh().run("echo never");
    assert_eq!((login.code(), login.out().as_str()), (255, ""), "{login:?}");
    let _ = cli(&["delete", "default", "--purge", "--yes"]).ok();
    let left = far.run(&["ps", "-aq"]).ok().out() + &far.run(&["volume", "ls", "-q"]).ok().out();
    assert_eq!(left, "");
}

#[test]
fn a_host_whose_disk_is_full_says_so_and_works_again_once_it_isnt() {
    let far = FarEngine::with_disk("320m");
    let (it, _folder) = on(&far.entry("far", "127.0.0.1:0"), "60s");
    let cli = |args: &[&str]| it.target().gateway().cli(args);
    let ssh = |command: &str| it.target().ssh().run(command);
    let _ = ssh("echo kept > file").ok();
    let full = ssh("dd if=/dev/zero of=big bs=1M");
    assert!(full.err().contains("No space left"), "{full:?}");
    // Who is in stays in, and others get in to make room.
    assert_eq!(ssh("cat file").ok().out(), "kept\n");
    let done = cli(&["snapshots", "create", "default", "full"]);
    assert_ne!(done.code(), 0, "{done:?}");
    assert!(done.err().contains("no space left"), "{done:?}");
    let done = cli(&["create", "other"]);
    assert_ne!(done.code(), 0, "{done:?}");
    assert!(done.err().contains("disk"), "{done:?}");
    assert_eq!(ssh("rm big && cat file").ok().out(), "kept\n");
    let _ = cli(&["start", "other"]).ok();
    let said = it.target().ssh().user("other").run("echo runs").ok();
    assert_eq!(said.out(), "runs\n");
    let _ = cli(&["snapshots", "create", "default", "again"]).ok();
}
