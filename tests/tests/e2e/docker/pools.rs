//! Workspaces that a template keeps ready.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use e2e::docker::{BUSYBOX, Containers};
use e2e::wait::{SOON, eventually, until};

/// How long a pool may take to be as it should: containers are ended and made for it.
const FILLED: Duration = Duration::from_secs(90);

/// Has a template keep that many workspaces ready, which differ by their greeting.
#[track_caller]
fn add(it: &Containers, ready: usize, greeting: &str) {
    let file = it.target().path("warm.toml");
    let text = format!(
        "image = \"{BUSYBOX}\"\n[environment]\nGREETING = \"{greeting}\"\n[pool]\nready = {ready}\n"
    );
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let args = ["templates", "add", "warm", &file];
    let _ = it.target().gateway().cli(&args).ok();
}

/// Returns how many workspaces of the template are ready.
fn ready(it: &Containers) -> u64 {
    let listed = it.target().gateway().cli(&["templates", "list", "--json"]);
    let templates: serde_json::Value = serde_json::from_slice(&listed.ok().stdout).unwrap();
    templates[0]["pool"]["ready"].as_u64().unwrap_or_default()
}

/// Returns the ids of people's workspaces.
fn owned(it: &Containers) -> BTreeSet<String> {
    let listed = it.target().gateway().cli(&["list", "--json"]).ok();
    let list: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let ids = list.as_array().unwrap().iter();
    ids.map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns of each container its workspace's id and name, and its own process id.
fn containers(it: &Containers) -> Vec<(String, String, u32)> {
    let format = "{{index .Config.Labels \"devgate.workspace\"}} \
                  {{index .Config.Labels \"devgate.name\"}} {{.State.Pid}}";
    let all = it.all("container");
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let args = [&["inspect", "--format", format][..], &all].concat();
    // One that goes at this moment isn't there.
    let inspected = it.engine().run(&args).out();
    let words = inspected.lines().map(|line| line.split(' '));
    words
        .filter_map(|mut words| {
            let (id, name) = (words.next()?.to_owned(), words.next()?.to_owned());
            Some((id, name, words.next()?.parse().ok()?))
        })
        .collect()
}

/// Waits until there is what people have, so many members, and nothing else.
#[track_caller]
fn settle(it: &Containers, members: usize) {
    until(FILLED, "a pool without anything beside", || {
        let owned = owned(it);
        let found = containers(it);
        let ids: BTreeSet<_> = found.iter().map(|(id, ..)| id.clone()).collect();
        let all = owned.len() + members;
        u64::try_from(members).unwrap() == ready(it)
            && ids.is_superset(&owned)
            && (found.len(), ids.len(), it.all("volume").len()) == (all, all, all)
            && found.iter().all(|(.., pid)| *pid != 0)
    });
}

#[test]
fn a_workspace_of_a_warm_template_ran_before_and_is_its_owners_alone() {
    let it = Containers::start(BUSYBOX, &[("DEVGATE_STARTUP_SECRETS", "TOKEN")]);
    let gateway = it.target().gateway();
    let file = it.target().path("token");
    fs::write(&file, "of-the-owner").unwrap();
    let file = file.display().to_string();
    let _ = gateway
        .cli(&["secrets", "set", "TOKEN", "--file", &file])
        .ok();
    add(&it, 2, "hello");
    settle(&it, 2);
    let before = containers(&it);
    assert_eq!(owned(&it).len(), 1, "members are in no list");
    let listed = gateway.cli(&["templates", "list"]).ok().out();
    assert!(listed.contains("2/2"), "{listed}");
    let theirs = |name: &str| it.target().ssh().user(name).run("echo in");
    for (_, name, _) in &before {
        if name != "default" {
            for target in [name.clone(), format!("{name}.~nobody")] {
                assert_eq!(theirs(&target).code(), 255, "{target}");
            }
        }
    }

    let _ = gateway.cli(&["create", "api", "--template", "warm"]).ok();
    let ssh = || it.target().ssh().user("api");
    let greeting = "echo $GREETING $DEVGATE_WORKSPACE $TOKEN; test -n \"$DEVGATE_OWNER\"";
    let done = ssh().run(greeting).ok();
    assert_eq!(done.out(), "hello api of-the-owner\n");
    let given = owned(&it);
    let mut given = before.iter().filter(|(id, ..)| given.contains(id));
    let given = given.find(|(_, name, _)| name != "default");
    assert!(given.is_some(), "it is a container that ran before");
    settle(&it, 2);
    let now = containers(&it);
    assert!(now.contains(given.unwrap()), "nothing was started again");

    // It is like any other from now on, whatever becomes of its template.
    let _ = ssh().run("echo kept > file").ok();
    let _ = gateway.cli(&["restart", "api"]).ok();
    add(&it, 1, "welcome");
    settle(&it, 1);
    assert!(gateway.cli(&["list"]).ok().out().contains("warm (behind)"));
    assert_eq!(ssh().run("cat file").ok().out(), "kept\n");
    let args = ["templates", "remove", "warm", "--yes"];
    let _ = gateway.cli(&args).ok();
    settle(&it, 0);
    assert_eq!(ssh().run(greeting).ok().out(), "hello api of-the-owner\n");
}

#[test]
fn a_gateway_that_is_killed_leaves_as_many_as_are_wanted_and_nothing_else() {
    let mut it = Containers::start(BUSYBOX, &[]);
    for (round, pause) in [0, 30, 100, 250, 600, 1200].into_iter().enumerate() {
        // What was ready is ended, others are made, and somebody makes one meanwhile.
        add(&it, 2, &format!("hello-{round}"));
        let gateway = it.target().gateway();
        let name = format!("w{round}");
        let mut making = gateway.start_cli(&["create", &name, "--template", "warm"]);
        // Not to wait for something: to be killed anywhere.
        std::thread::sleep(Duration::from_millis(pause));
        it.gateway_mut().kill();
        eventually(SOON, "the end of the command", || making.ended());
        it.gateway_mut().start_again();
        settle(&it, 2);
    }
    let members = containers(&it);
    it.gateway_mut().kill();
    it.gateway_mut().start_again();
    settle(&it, 2);
    assert_eq!(containers(&it), members, "they are taken up as they are");
}
