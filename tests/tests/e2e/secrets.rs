//! Secrets: they reach the programs of workspaces, and no disk, no setting, no log.

use std::path::Path;
use std::process::Command;

use e2e::component::program;
use e2e::docker::{BUSYBOX, Containers};
use e2e::keys;
use e2e::process::run;
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, until};

/// What must be found nowhere.
const VALUE: &str = "5ecret-f0r-the-test";

const SETTINGS: [(&str, &str); 2] = [
    ("DEVGATE_STARTUP_SECRETS", "NPM_TOKEN,MISSING"),
    (
        "DEVGATE_STARTUP_SCRIPT",
        "test -n \"$NPM_TOKEN\" && echo the script has $NPM_TOKEN; true",
    ),
];

/// Sets a secret from a file that is none of the gateway's.
fn set(target: &Target, name: &str, value: &str, more: &[&str]) {
    let file = target.path("secret.value");
    std::fs::write(&file, value).unwrap();
    let file = file.display().to_string();
    let args = [&["secrets", "set", name, "--file", &file], more].concat();
    let done = target.gateway().cli(&args).ok();
    assert!(!done.out().contains(value) && !done.err().contains(value));
    std::fs::remove_file(target.path("secret.value")).unwrap();
}

/// Fails where a file below a folder has the value in it.
#[track_caller]
fn is_nowhere_below(folder: &Path) {
    let mut grep = Command::new(program("grep"));
    grep.args(["-r", "-l", "-a", "--devices=skip", VALUE])
        .arg(folder);
    let found = run(&mut grep, b"", SOON);
    assert_eq!(found.out(), "", "the value is on the disk");
}

fn check(target: &Target) {
    let gateway = target.gateway();
    set(
        target,
        "NPM_TOKEN",
        "the-installations",
        &["--installation"],
    );
    let _ = gateway.cli(&["restart", "default"]).ok();
    let shown = || target.ssh().run("echo $NPM_TOKEN").ok().out();
    assert_eq!(shown(), "the-installations\n");
    // One's own goes before it.
    set(target, "NPM_TOKEN", VALUE, &[]);
    let _ = gateway.cli(&["restart", "default"]).ok();
    assert_eq!(shown(), format!("{VALUE}\n"));
    let log = || gateway.cli(&["logs", "--startup", "default"]).ok().out();
    until(SOON, "the script", || log().contains("the script has ***"));
    assert!(log().contains("there is no secret MISSING"), "{}", log());
    let listed = gateway.cli(&["secrets", "list", "--json"]).ok().out();
    assert!(listed.contains("NPM_TOKEN") && !listed.contains(VALUE));
    is_nowhere_below(gateway.data());
    assert!(!gateway.log().contains(VALUE));
}

#[test]
fn a_secret_reaches_programs_over_a_unix_socket_and_no_file() {
    check(&Target::devgate_with(Reach::Unix, &SETTINGS));
}

#[test]
fn a_secret_reaches_programs_over_tls_and_no_file() {
    check(&Target::devgate_with(Reach::Dial, &SETTINGS));
}

#[test]
fn a_changed_secret_counts_with_the_next_start_and_a_removed_one_is_gone() {
    let target = Target::devgate_with(Reach::Unix, &SETTINGS);
    let gateway = target.gateway();
    let shown = || target.ssh().run("echo ${NPM_TOKEN-none}").ok().out();
    set(&target, "NPM_TOKEN", "first-value", &[]);
    assert_eq!(shown(), "none\n");
    let _ = gateway.cli(&["restart", "default"]).ok();
    assert_eq!(shown(), "first-value\n");
    let _ = gateway.cli(&["secrets", "remove", "NPM_TOKEN"]).ok();
    let _ = gateway.cli(&["restart", "default"]).ok();
    assert_eq!(shown(), "none\n");
    let refused = gateway.cli(&["secrets", "remove", "NPM_TOKEN"]);
    assert_ne!(refused.code(), 0);
    assert!(
        refused.err().contains("there is no secret NPM_TOKEN"),
        "{refused:?}"
    );
}

#[test]
fn who_is_given_a_workspace_that_runs_finds_their_own_secrets_there_and_no_others() {
    for reach in [Reach::Unix, Reach::Dial] {
        let target = Target::devgate_with(reach, &SETTINGS);
        let gateway = target.gateway();
        set(&target, "NPM_TOKEN", VALUE, &[]);
        let _ = gateway.cli(&["restart", "default"]).ok();
        let command = "echo $NPM_TOKEN $DEVGATE_WORKSPACE $DEVGATE_OWNER";
        assert!(target.ssh().run(command).ok().out().starts_with(VALUE));
        let agent = gateway.agent();
        let key = keys::generate(target.folder(), "bob");
        let public = keys::public(&key).display().to_string();
        let _ = gateway.cli(&["users", "add", "bob", "--key", &public]).ok();
        let args = ["transfer", "default", "bob", "--as", "theirs"];
        let given = gateway.cli(&args).ok().out();
        assert!(given.contains("devgate restart theirs.bob"), "{given}");
        let shown = target.ssh().identity(&key).user("theirs").run(command);
        assert_eq!(shown.ok().out(), "theirs bob\n");
        assert_eq!(gateway.agent(), agent);
    }
}

#[test]
fn a_secret_is_there_after_the_gateway_and_the_agent_were_killed() {
    let mut target = Target::devgate_with(Reach::Unix, &SETTINGS);
    set(&target, "NPM_TOKEN", VALUE, &[]);
    target.gateway_mut().kill();
    target.gateway_mut().start_again();
    let agent = target.gateway().agent();
    e2e::process::signal(agent, nix::sys::signal::Signal::SIGKILL);
    until(SOON, "another agent", || {
        let agents = target.gateway().agents();
        agents.iter().any(|process| process.pid != agent)
    });
    let shown = || target.ssh().run("echo $NPM_TOKEN").out();
    until(SOON, "the secret", || shown() == format!("{VALUE}\n"));
    is_nowhere_below(target.gateway().data());
}

/// With a network of the workspace's own: apart from the browsers, as `docker` is.
mod docker {
    use super::*;

    #[test]
    fn a_secret_is_neither_in_a_container_nor_in_its_settings() {
        let it = Containers::start(BUSYBOX, &SETTINGS);
        let target = it.target();
        check(target);
        let container = it.container("default").unwrap();
        let inspected = it.engine().run(&["inspect", &container]).ok().out();
        assert!(inspected.contains("devgate.workspace"));
        assert!(!inspected.contains(VALUE));
        let logs = it.engine().run(&["logs", &container]).ok();
        assert!(!logs.out().contains(VALUE) && !logs.err().contains(VALUE));
        let folder = target.path("exported");
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("container.tar").display().to_string();
        let _ = it.engine().run(&["export", "-o", &file, &container]).ok();
        assert!(std::fs::metadata(&file).unwrap().len() > 100_000);
        is_nowhere_below(&folder);
        // Nor in what the workspace keeps.
        let found = target
            .ssh()
            .run(format!("grep -r {VALUE} . /.devgate /etc; echo $?"));
        let last = found.out().lines().last().map(str::to_owned);
        assert_ne!(last.as_deref(), Some("0"), "{found:?}");
    }
}
