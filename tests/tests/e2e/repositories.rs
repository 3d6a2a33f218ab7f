//! Workspaces that are made from a repository, as processes: what they are told of it,
//! and repositories that aren't there or are wrong.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use e2e::gateway::Gateway;
use e2e::reach::Reach;
use e2e::repository::Repository;
use e2e::survivors;
use e2e::target::Target;
use e2e::wait::{SOON, until};

const FILE: &str = ".devcontainer/devcontainer.json";

/// What a private repository's server is shown.
const TOKEN: &str = "t0ken-f0r-the-test";

/// Adds the template `api` of a repository.
#[track_caller]
fn add_template(target: &Target, url: &str) {
    let text = format!("[repository]\nurl = \"{url}\"\nbranch = \"main\"\n");
    add_template_of(target, &text);
}

/// Sets a secret of the owner's.
#[track_caller]
fn set_secret(target: &Target, name: &str, value: &str) {
    let file = target.path("secret.value");
    fs::write(&file, value).unwrap();
    let file = file.display().to_string();
    let args = ["secrets", "set", name, "--file", &file];
    let _ = target.gateway().cli(&args).ok();
}

/// Adds the template `api`.
#[track_caller]
fn add_template_of(target: &Target, text: &str) {
    let file = target.path("api.toml");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let _ = target
        .gateway()
        .cli(&["templates", "add", "api", &file])
        .ok();
}

/// Returns what `devgate status` says, in one line.
fn status(gateway: &Gateway) -> String {
    let said = gateway.cli(&["status", "api"]).out();
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Tells whether a git of the gateway's runs.
fn is_reading(data: &Path) -> bool {
    survivors::of(&data.join("repositories"))
        .iter()
        .any(|process| process.program.starts_with("git"))
}

#[test]
fn what_a_repository_says_counts_once_it_was_read_and_until_a_rebuild() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let mut repository = Repository::start(
        target.folder(),
        &[(
            FILE,
            "// ours\n{\n  \"image\": \"debian:12\",\n  \"containerEnv\": {\"STAGE\": \"one\"},\n  \
             \"remoteEnv\": {\"PATH\": \"${containerEnv:PATH}:/opt/${localEnv:NONE:tools}\"},\n  \
             \"initializeCommand\": \"touch /tmp/never\",\n}\n",
        )],
    );
    add_template(&target, &repository.url());
    let _ = gateway.cli(&["create", "api", "--template", "api"]).ok();
    let ssh = || target.ssh().user("api").run("echo $STAGE; echo $PATH");
    let said = ssh().ok().out();
    assert!(said.starts_with("one\n"), "{said}");
    assert!(said.contains(":/opt/tools:"), "{said}");
    let told = status(gateway);
    assert!(
        told.contains(&format!("{FILE}:6: initializeCommand: it isn't run")),
        "{told}"
    );
    assert!(told.contains(&format!("{FILE}:3: image:")), "{told}");
    // Nothing is kept of it, and a restart doesn't ask for it.
    let kept = fs::read_dir(gateway.data().join("repositories"));
    let kept = kept.map_or(0, Iterator::count);
    assert_eq!(kept, 0);
    repository.take_away();
    let _ = gateway.cli(&["restart", "api"]).ok();
    assert!(ssh().ok().out().starts_with("one\n"));
    repository.serve();
    repository.commit(&[(FILE, "{\"containerEnv\": {\"STAGE\": \"two\"}}")]);
    let _ = gateway.cli(&["restart", "api"]).ok();
    assert!(ssh().ok().out().starts_with("one\n"));
    let _ = gateway.cli(&["rebuild", "api", "--yes"]).ok();
    assert!(ssh().ok().out().starts_with("two\n"));
    assert!(!status(gateway).contains("initializeCommand"));
}

#[test]
fn a_repository_that_is_away_or_wrong_is_told_with_what_to_do_and_read_when_it_is_mended() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let mut repository = Repository::start(
        target.folder(),
        &[(FILE, "{\n  \"containerEnv\": {\n    \"STAGE\": 1\n  }\n}\n")],
    );
    repository.take_away();
    add_template(&target, &repository.url());
    let create = ["create", "api", "--template", "api"];
    assert_ne!(gateway.cli(&create).code(), 0);
    let told = status(gateway);
    assert!(told.contains("repository-unreachable"), "{told}");
    assert!(
        told.contains(&repository.url()) && told.contains("start again"),
        "{told}"
    );
    let done = target.ssh().user("api").args(["-tt"]).run("echo never");
    assert_eq!(done.code(), 255, "{done:?}");

    repository.serve();
    assert_ne!(gateway.cli(&["start", "api"]).code(), 0);
    let told = status(gateway);
    assert!(told.contains("devcontainer-invalid"), "{told}");
    let place = format!("{FILE}:3: containerEnv.STAGE: write a text");
    assert!(
        told.contains(&place) || told.contains(&format!("{FILE}:3: STAGE")),
        "{told}"
    );

    repository.commit(&[(FILE, "{\"containerEnv\": {\"STAGE\": \"good\"}}")]);
    let _ = gateway.cli(&["start", "api"]).ok();
    let done = target.ssh().user("api").run("echo $STAGE").ok();
    assert_eq!(done.out(), "good\n");
    assert!(!is_reading(gateway.data()));
}

#[test]
fn an_empty_repository_is_cloned_and_a_branch_that_is_not_there_is_told_with_what_to_do() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let repository = Repository::empty(target.folder());
    let url = repository.url();
    let plain = format!("[repository]\nurl = \"{url}\"\n");
    add_template_of(&target, &plain);
    let _ = gateway.cli(&["create", "api", "--template", "api"]).ok();
    let ssh = |command: &str| target.ssh().user("api").run(command);
    until(SOON, "the empty clone", || {
        ssh("git -C api rev-parse --git-dir").out() == ".git\n"
    });
    let refused = |name: &str, text: &str| {
        let file = target.path(name);
        fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        let _ = gateway.cli(&["templates", "add", name, &file]).ok();
        let done = gateway.cli(&["create", name, "--template", name]);
        assert_ne!(done.code(), 0, "{done:?}");
        done.err().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let said = refused("named", &format!("{plain}branch = \"main\"\n"));
    assert!(said.contains("it is empty: push its branch main"), "{said}");
    let said = refused("needed", &format!("{plain}devcontainer = true\n"));
    assert!(said.contains("there is none in the repository"), "{said}");
    repository.commit(&[("go.mod", "module api\n")]);
    repository.set_default_branch("gone");
    let said = refused("other", &plain);
    assert!(said.contains("branch = \"main\""), "{said}");
}

#[test]
fn a_small_repository_that_unfolds_without_end_takes_no_memory_for_long() {
    let target = Target::devgate(Reach::Unix);
    let repository = Repository::start(target.folder(), &[("go.mod", "module api\n")]);
    repository.commit_bomb();
    add_template(&target, &repository.url());
    let create = ["create", "api", "--template", "api"];
    assert_ne!(target.gateway().cli(&create).code(), 0);
    let told = status(target.gateway());
    assert!(told.contains("it is too large"), "{told}");
}

#[test]
fn reading_is_told_ends_with_a_stop_and_is_done_anew_after_a_kill() {
    let mut target = Target::devgate(Reach::Unix);
    // One that takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("git://127.0.0.1:{port}/api");
    add_template(&target, &url);
    let create = ["create", "api", "--template", "api", "--no-wait"];
    let _ = target.gateway().cli(&create).ok();
    let data = target.gateway().data().to_owned();
    let waits = |target: &Target| {
        let said = target.gateway().cli(&["status", "api", "--json"]).out();
        said.contains(&format!("reading the repository {url}"))
    };
    until(SOON, "words about the repository", || waits(&target));
    until(SOON, "git", || is_reading(&data));
    target.gateway_mut().kill();
    target.gateway_mut().start_again();
    until(SOON, "words about the repository", || waits(&target));
    let _ = target.gateway().cli(&["stop", "api"]).ok();
    assert!(status(target.gateway()).contains("stopped"));
    // The killed gateway's git ends when its server does.
    drop(silent);
    until(SOON, "the end of git", || !is_reading(&data));
    let _ = target
        .gateway()
        .cli(&["delete", "api", "--purge", "--yes"])
        .ok();
    let kept = fs::read_dir(data.join("repositories"));
    assert_eq!(kept.map_or(0, Iterator::count), 0);
}

#[test]
fn a_repository_is_cloned_and_its_commands_run_in_their_order() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let repository = Repository::start(
        target.folder(),
        &[
            ("go.mod", "module api\n"),
            (
                FILE,
                "{\n  \"onCreateCommand\": \"echo created >> ../order; cat go.mod >> ../order\",\n  \
                 \"postCreateCommand\": [\"sh\", \"-c\", \"echo after >> ../order\"],\n  \
                 \"postStartCommand\": {\"one\": \"echo started >> ../order\"},\n  \
                 \"waitFor\": \"postStartCommand\",\n  \
                 \"customizations\": {\"vscode\": {\"settings\": {\"editor.tabSize\": 3}}}\n}\n",
            ),
        ],
    );
    add_template(&target, &repository.url());
    let _ = gateway.cli(&["create", "api", "--template", "api"]).ok();
    let order = || target.ssh().user("api").run("cat order").out();
    let first = "created\nmodule api\nafter\nstarted\n";
    until(SOON, "the commands' end", || order() == first);
    // Some run once, and some with each start.
    let _ = gateway.cli(&["restart", "api"]).ok();
    let second = format!("{first}started\n");
    until(SOON, "the second start's commands", || order() == second);
    let cloned = target.ssh().user("api").run("git -C api log --format=%s");
    assert_eq!(cloned.ok().out(), "Change\n");
}

#[test]
fn a_private_repository_is_read_and_cloned_with_a_secret_of_the_owners() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let files = [
        ("go.mod", "module api\n"),
        (FILE, "{\"containerEnv\": {\"STAGE\": \"private\"}}"),
    ];
    let repository = Repository::start(target.folder(), &files);
    let server = repository.serve_privately(&format!("bot:{TOKEN}"));
    let text = format!(
        "secrets = [\"NPM_TOKEN\"]\n[repository]\nurl = \"{}\"\nbranch = \"main\"\n\
         token = \"GIT_TOKEN\"\ntoken-user = \"bot\"\n",
        server.url()
    );
    add_template_of(&target, &text);

    assert_ne!(
        gateway.cli(&["create", "api", "--template", "api"]).code(),
        0
    );
    let told = status(gateway);
    assert!(told.contains("repository-unreachable"), "{told}");
    assert!(told.contains("devgate secrets set GIT_TOKEN"), "{told}");

    set_secret(&target, "GIT_TOKEN", "not-the-one");
    assert_ne!(gateway.cli(&["start", "api"]).code(), 0);
    let told = status(gateway);
    assert!(told.contains("repository-unreachable"), "{told}");
    assert!(!told.contains("not-the-one"), "{told}");

    set_secret(&target, "GIT_TOKEN", TOKEN);
    set_secret(&target, "NPM_TOKEN", "for-programs");
    let _ = gateway.cli(&["start", "api"]).ok();
    let ssh = |command: &str| target.ssh().user("api").run(command);
    until(SOON, "the clone", || ssh("cat api/go.mod").code() == 0);
    let said = ssh("echo $STAGE $NPM_TOKEN \"<$GIT_TOKEN>\"; cat api/.git/config").ok();
    let said = said.out();
    assert!(said.starts_with("private for-programs <>\n"), "{said}");
    assert!(!said.contains(TOKEN), "{said}");
    let log = gateway.cli(&["logs", "--startup", "api"]).out();
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn a_template_says_how_it_is_found_out_that_its_workspaces_are_ready() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let with = |readiness: &str| {
        let text = format!("[startup]\nscript = \"sleep 2; echo up > up\"\n{readiness}");
        add_template_of(&target, &text);
    };
    with("[readiness]\ncommand = \"test -e up\"\n");
    let _ = gateway.cli(&["create", "api", "--template", "api"]).ok();
    assert_eq!(target.ssh().user("api").run("cat up").ok().out(), "up\n");

    with("[readiness]\nport = 1\ntimeout = \"1s\"\n");
    let _ = gateway.cli(&["rebuild", "api", "--yes"]);
    let told = status(gateway);
    assert!(told.contains("port 1"), "{told}");
}

#[test]
fn a_template_brings_a_script_and_says_when_its_workspaces_sleep() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let file = target.path("own.toml");
    let text = "[startup]\nscript = \"echo $TEAM > made\"\nwait = true\n\
                [sleep]\nafter = \"3h\"\n[environment]\nTEAM = \"tools\"\n";
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let _ = gateway.cli(&["templates", "add", "own", &file]).ok();
    let _ = gateway.cli(&["create", "api", "--template", "own"]).ok();
    let made = target.ssh().user("api").run("cat made");
    assert_eq!(made.ok().out(), "tools\n");
    let why = gateway.cli(&["why", "api", "--json"]).ok().out();
    let policy: serde_json::Value = serde_json::from_str(&why).unwrap();
    assert_eq!(policy["policy"]["after_seconds"], 10_800, "{why}");
    let why = gateway.cli(&["why", "default", "--json"]).ok().out();
    let policy: serde_json::Value = serde_json::from_str(&why).unwrap();
    assert!(policy["policy"]["after_seconds"].is_null(), "{why}");
}
