//! Snapshots, clones and registries with a real engine, and gateways that are killed in
//! the middle of them.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use e2e::docker::{BUSYBOX, Containers};
use e2e::process::Finished;
use e2e::registry::{Asks, PASSWORD, Registry, USER};
use e2e::survivors::Folder;
use e2e::wait::{eventually_ok, until};
use serde_json::Value;

/// How long what goes on may take until it is done.
const DONE: Duration = Duration::from_mins(1);

fn json(said: Finished) -> Value {
    serde_json::from_str(&said.ok().out()).expect("it was asked for JSON")
}

fn cli(it: &Containers, args: &[&str]) -> Finished {
    it.target().gateway().cli(args)
}

/// Runs something in a workspace.
fn say(it: &Containers, workspace: &str, command: &str) -> String {
    let ssh = it.target().ssh().user(workspace);
    ssh.run(command).ok().out().trim().to_owned()
}

/// Returns the states of all workspaces by name.
fn states(it: &Containers) -> Vec<(String, String)> {
    let list = json(cli(it, &["list", "--json"]));
    let list = list.as_array().unwrap().iter().map(|one| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        (text("name"), text("state"))
    });
    list.collect()
}

/// Waits until every workspace runs and every snapshot is there.
fn converged(it: &Containers) {
    eventually_ok(
        DONE,
        "workspaces that run and snapshots that are there",
        || {
            let states = states(it);
            let run = states.iter().all(|(_, state)| state == "running");
            let snapshots = json(cli(it, &["snapshots", "list", "--json"]));
            let mut made = snapshots.as_array().unwrap().iter();
            let ready = made.all(|one| one["state"] == "ready");
            (run && ready).then_some(()).ok_or((states, snapshots))
        },
    );
}

#[test]
fn a_workspace_comes_back_as_it_was_and_its_history_tells_who_asked() {
    let it = Containers::start(BUSYBOX, &[]);
    say(
        &it,
        "default",
        "echo then > file; mkdir -m 700 private; echo x > private/y",
    );
    let args = [
        "snapshots",
        "create",
        "default",
        "first",
        "-d",
        "before the change",
    ];
    let said = cli(&it, &args).ok().out();
    assert!(said.contains("is ready"), "{said}");
    say(&it, "default", "echo now > file; rm -r private");
    let listed = cli(&it, &["snapshots", "list"]).ok().out();
    assert!(listed.contains("before the change"), "{listed}");
    // It asks where nobody can be asked.
    assert_eq!(cli(&it, &["snapshots", "restore", "first"]).code(), 2);
    let _ = cli(&it, &["snapshots", "restore", "first", "--yes"]).ok();
    let there = say(
        &it,
        "default",
        "cat file private/y; ls -ld private | cut -c1-10",
    );
    assert_eq!(there, "then\nx\ndrwx------");
    assert_eq!(it.all("volume").len(), 1, "the home before is left");
    let _ = cli(&it, &["create", "second", "--snapshot", "first"]).ok();
    assert_eq!(say(&it, "second", "cat file; hostname"), "then\nsecond");
    let history = cli(&it, &["history", "default"]).ok().out();
    for words in [
        "asked for: restore",
        "snapshot first ready",
        "(command line)",
        "created",
    ] {
        assert!(history.contains(words), "{words}: {history}");
    }
    let restored = history.find("asked for: restore").unwrap();
    assert!(
        restored < history.find("snapshot first ready").unwrap(),
        "newest first"
    );

    // Deleted, it stays for those that are made of it, and goes with the last.
    let _ = cli(&it, &["snapshots", "delete", "first", "--yes"]).ok();
    assert_eq!(cli(&it, &["snapshots", "show", "first"]).code(), 3);
    let _ = cli(&it, &["restart", "second"]).ok();
    assert_eq!(say(&it, "second", "cat file"), "then");
    let _ = cli(&it, &["delete", "second", "default", "--purge", "--yes"]).ok();
    until(DONE, "the removal of the image", || it.images().is_empty());
    assert_eq!(it.all("volume").len() + it.all("container").len(), 0);
}

#[test]
fn five_clones_are_made_in_the_background_and_are_apart() {
    let it = Containers::start(BUSYBOX, &[]);
    say(&it, "default", "echo ours > file");
    let _ = cli(&it, &["clone", "default", "--count", "5", "--name", "copy"]).ok();
    for number in 1..=5 {
        let name = format!("copy-{number}");
        assert_eq!(
            say(&it, &name, "cat file; hostname"),
            format!("ours\n{name}")
        );
        say(&it, &name, &format!("echo {number} > file"));
    }
    assert_eq!(say(&it, "default", "cat file"), "ours");
    let taken = cli(&it, &["clone", "default", "--count", "3", "--name", "copy"]);
    assert_eq!(taken.code(), 1, "{taken:?}");
    assert!(taken.err().contains("copy-1"), "{taken:?}");
    assert_eq!(states(&it).len(), 6, "nothing was made");
    assert_eq!(
        cli(&it, &["snapshots", "list", "--json"]).ok().out().trim(),
        "[]"
    );
    for number in 1..=5 {
        let name = format!("copy-{number}");
        let _ = cli(&it, &["delete", &name, "--purge", "--yes"]).ok();
    }
    until(DONE, "the removal of their image", || {
        it.images().is_empty()
    });
    assert_eq!(say(&it, "default", "cat file"), "ours");
}

#[test]
fn a_snapshot_goes_to_a_registry_and_comes_back_from_it() {
    let folder = Folder::new();
    let registry = Registry::start(folder.path(), Asks::Everybody);
    let image = registry.image("team/api:1");
    let it = Containers::start_beside_a_registry(BUSYBOX);
    say(&it, "default", "echo ours > file; chmod 750 .");
    let _ = cli(
        &it,
        &["snapshots", "create", "default", "first", "-d", "two words"],
    )
    .ok();
    let refused = cli(&it, &["snapshots", "push", "first", &image]);
    assert_eq!(refused.code(), 1, "{refused:?}");
    assert!(refused.err().contains("isn't pushed"), "{refused:?}");
    let capitals = registry.image("Team/A:1");
    let refused = cli(&it, &["snapshots", "push", "first", &capitals]);
    assert!(
        refused.err().contains("in lowercase letters"),
        "{refused:?}"
    );
    let login = ["--username", USER, "--password-stdin"];
    let with = |args: &[&str], password: &str| {
        let args: Vec<_> = args.iter().chain(&login).copied().collect();
        it.target().gateway().cli_with(&args, password.as_bytes())
    };
    let pushed = with(&["snapshots", "push", "first", &image], PASSWORD);
    assert_eq!(pushed.ok().out(), format!("{image} is pushed\n"));
    let _ = cli(&it, &["snapshots", "delete", "first", "--yes"]).ok();
    until(DONE, "the removal of the image", || it.images().is_empty());

    // Somebody else's gateway.
    let other = Containers::start_beside_a_registry(BUSYBOX);
    let pull = ["snapshots", "pull", &image, "theirs"];
    assert_eq!(cli(&other, &pull).code(), 1);
    let _ = cli(&other, &["snapshots", "delete", "theirs", "--yes"]).ok();
    let args: Vec<_> = pull.iter().chain(&login).copied().collect();
    let pulled = other
        .target()
        .gateway()
        .cli_with(&args, PASSWORD.as_bytes());
    assert!(pulled.ok().out().contains("is ready"));
    let shown = json(cli(&other, &["snapshots", "show", "theirs", "--json"]));
    assert_eq!(shown["description"], "two words");
    assert_eq!(shown["transfer"]["state"], "pulled");
    let _ = cli(&other, &["create", "api", "--snapshot", "theirs"]).ok();
    let there = say(&other, "api", "cat file; ls -ld . | cut -c1-10; id -u");
    assert_eq!(there, "ours\ndrwxr-x---\n1000");
    // No name of the registry's is left in the engine, and no password anywhere.
    let left = it
        .engine()
        .run(&["image", "ls", "-q", &registry.image("team/api")]);
    assert_eq!(left.ok().out(), "");
    for containers in [&it, &other] {
        assert!(!containers.target().gateway().log().contains(PASSWORD));
        let data = containers.target().gateway().data();
        let found = Command::new("grep")
            .args(["-rqa", PASSWORD])
            .arg(data)
            .status();
        assert_eq!(found.unwrap().code(), Some(1), "the password is kept");
    }
}

#[test]
fn what_is_no_snapshot_is_not_pulled() {
    let folder = Folder::new();
    let registry = Registry::start(folder.path(), Asks::Nobody);
    let it = Containers::start_beside_a_registry(BUSYBOX);
    let image = registry.image("plain");
    let _ = it.engine().run(&["tag", BUSYBOX, &image]).ok();
    let _ = it.engine().run(&["push", &image]).ok();
    let _ = it.engine().run(&["image", "rm", &image]).ok();
    let pulled = cli(&it, &["snapshots", "pull", &image, "plain"]);
    assert_eq!(pulled.code(), 1);
    assert!(pulled.err().contains("is no snapshot"), "{pulled:?}");
    let nowhere = cli(
        &it,
        &["snapshots", "pull", "127.0.0.1:1/nothing:1", "other"],
    );
    assert!(nowhere.err().contains("connection refused"), "{nowhere:?}");
    let bad = cli(&it, &["snapshots", "pull", "no registry", "third"]);
    assert_eq!(bad.code(), 2, "{bad:?}");
    let _ = it.engine().run(&["image", "rm", &image]);
}

/// Kills the gateway at one time after another while something goes on, and checks each
/// time what there is once it is back.
fn killed_at_any_time(
    it: &mut Containers,
    mut ask: impl FnMut(&Containers, u32) -> Vec<String>,
    mut check: impl FnMut(&Containers, u32),
) {
    for (round, millis) in (0..).zip([0, 40, 120, 250, 450, 800, 1300]) {
        let args = ask(it, round);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let _ = cli(it, &args).ok();
        // Not to wait for something: to be killed anywhere.
        sleep(Duration::from_millis(millis));
        it.gateway_mut().kill();
        it.gateway_mut().start_again();
        converged(it);
        check(it, round);
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_gateway_that_is_killed_while_it_takes_snapshots_finishes_them() {
    let mut it = Containers::start(BUSYBOX, &[]);
    say(
        &it,
        "default",
        "head -c 20000000 /dev/urandom > big; md5sum big > sum",
    );
    killed_at_any_time(
        &mut it,
        |_, round| words(&format!("snapshots create default s-{round} --no-wait")),
        |it, round| {
            let listed = json(cli(it, &["snapshots", "list", "--json"]));
            assert_eq!(
                listed.as_array().unwrap().len(),
                usize::try_from(round).unwrap() + 1
            );
            assert_eq!(say(it, "default", "md5sum -c sum"), "big: OK");
        },
    );
    let _ = cli(&it, &["create", "other", "--snapshot", "s-3"]).ok();
    assert_eq!(say(&it, "other", "md5sum -c sum"), "big: OK");
    eventually_ok(DONE, "nothing but snapshots", || {
        let (images, containers) = (it.images(), it.all("container"));
        let done = images.len() == 7 && containers.len() == 2;
        done.then_some(()).ok_or((images, containers))
    });
}

#[test]
fn what_an_engine_makes_for_a_gateway_that_is_gone_is_removed() {
    let it = Containers::start(BUSYBOX, &[]);
    let _ = cli(&it, &["snapshots", "create", "default", "kept"]).ok();
    let images = it.images();
    let [snapshot] = images.as_slice() else {
        panic!("other images than the snapshot's: {images:?}");
    };
    let container = it.container("default").unwrap();
    let half = format!("{snapshot}-base");
    let _ = it.engine().run(&["commit", &container, &half]).ok();
    let change = ["commit", "--change", "ENV LATE=1", &container];
    let _ = it.engine().run(&change).ok();
    let (installation, id) = snapshot.split_once("/snapshot:").unwrap();
    let helper = format!("{installation}-for-{id}");
    let label = format!(
        "devgate.installation={}",
        installation.strip_prefix("devgate-").unwrap()
    );
    let make = [
        "create", "--name", &helper, "--label", &label, snapshot, "none",
    ];
    let _ = it.engine().run(&make).ok();
    eventually_ok(DONE, "nothing but the snapshot", || {
        let (images, containers) = (it.images(), it.all("container"));
        let done = images.len() == 1 && containers.len() == 1;
        done.then_some(()).ok_or((images, containers))
    });
    assert_eq!(it.images(), images);
    assert_eq!(it.container("default"), Some(container));
}

#[test]
fn a_gateway_that_is_killed_while_it_clones_and_deletes_leaves_nothing_behind() {
    let mut it = Containers::start(BUSYBOX, &[]);
    say(
        &it,
        "default",
        "head -c 5000000 /dev/urandom > big; md5sum big > sum",
    );
    killed_at_any_time(
        &mut it,
        |_, round| {
            words(&format!(
                "clone default --count 2 --name c{round} --no-wait"
            ))
        },
        |it, round| {
            for number in 1..=2 {
                let name = format!("c{round}-{number}");
                assert_eq!(say(it, &name, "md5sum -c sum"), "big: OK");
                let _ = cli(it, &["delete", &name, "--purge", "--yes", "--no-wait"]).ok();
            }
        },
    );
    it.gateway_mut().kill();
    it.gateway_mut().start_again();
    eventually_ok(DONE, "nothing but the first workspace", || {
        let left = [it.all("container"), it.all("volume"), it.images()];
        let counts = left.each_ref().map(Vec::len);
        let done = counts == [1, 1, 0] && states(&it).len() == 1;
        done.then_some(()).ok_or(left)
    });
    assert_eq!(say(&it, "default", "md5sum -c sum"), "big: OK");
}

#[test]
fn a_gateway_that_is_killed_while_it_restores_loses_neither_home() {
    let mut it = Containers::start(BUSYBOX, &[]);
    say(
        &it,
        "default",
        "head -c 20000000 /dev/urandom > big; md5sum big > sum",
    );
    let _ = cli(&it, &["snapshots", "create", "default", "first"]).ok();
    killed_at_any_time(
        &mut it,
        |it, _| {
            say(it, "default", "echo lost > big");
            words("snapshots restore first --yes --no-wait")
        },
        |it, _| assert_eq!(say(it, "default", "md5sum -c sum"), "big: OK"),
    );
    until(DONE, "one home", || it.all("volume").len() == 1);
    assert_eq!(it.all("container").len(), 1);
}
