//! Workspaces that come, go, sleep and wake; people who may and may not.

use std::time::{Duration, Instant};

use e2e::keys;
use e2e::over_both_reaches;
use e2e::process::wait_until_gone;
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};

over_both_reaches! {
    fn a_stopped_workspace_wakes_when_a_person_logs_in(target: &Target) {
        let agent = target.gateway().agent();
        let _ = target.ssh().run("echo kept > file").ok();
        let _ = target.gateway().cli(&["stop", "default"]).ok();
        wait_until_gone(agent, SOON);
        // Authentication comes at once, the channel waits for the start.
        let done = target.ssh().args(["-tt"]).option("ConnectTimeout=5").run("cat file").ok();
        assert!(done.out().contains("kept"), "{done:?}");
        assert_ne!(target.gateway().agent(), agent);
    }

    fn a_workspace_can_be_created_restarted_and_deleted(target: &Target) {
        let gateway = target.gateway();
        let _ = gateway.cli(&["create", "api"]).ok();
        assert_eq!(target.ssh().user("api").run("echo made; echo kept > file").ok().out(), "made\n");
        assert!(gateway.cli(&["list", "--json"]).ok().out().contains("\"api\""));
        let _ = gateway.cli(&["restart", "api"]).ok();
        assert_eq!(target.ssh().user("api").run("cat file").ok().out(), "kept\n");
        let _ = gateway.cli(&["delete", "api", "--yes"]).ok();
        let done = target.ssh().user("api").run("echo never");
        assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
        assert_eq!(gateway.agents().len(), 1, "the deleted workspace's agent is gone");
        assert_eq!(target.ssh().run("echo good").ok().out(), "good\n");
        let _ = gateway.cli(&["restore", "api"]).ok();
        let _ = gateway.cli(&["start", "api"]).ok();
        assert_eq!(target.ssh().user("api").run("cat file").ok().out(), "kept\n");
        let _ = gateway.cli(&["delete", "api", "--yes", "--purge"]).ok();
        assert_eq!(target.ssh().user("api").run("echo never").code(), 255);
    }

    fn a_workspace_is_renamed_under_a_running_session(target: &Target) {
        let gateway = target.gateway();
        let agent = gateway.agent();
        let mut shell = target.ssh().start("cat");
        shell.write(b"before\n");
        shell.wait_for("before", SOON);
        let _ = gateway.cli(&["rename", "default", "main"]).ok();
        shell.write(b"after\n");
        shell.wait_for("after", SOON);
        assert_eq!(target.ssh().run("echo never").code(), 255);
        let done = target.ssh().user("main").run("echo $DEVGATE_WORKSPACE").ok();
        assert_eq!(done.out(), "main\n");
        assert_eq!(gateway.agent(), agent);
    }

    fn a_transfer_ends_what_its_owner_has_open_and_nothing_that_runs(target: &Target) {
        let gateway = target.gateway();
        let key = keys::generate(target.folder(), "bob");
        let public = keys::public(&key).display().to_string();
        let _ = gateway.cli(&["users", "add", "bob", "--key", &public]).ok();
        let _ = target.ssh().run("(sleep 600; :) > /dev/null 2>&1 & echo $! > pid").ok();
        let mut shell = target.ssh().start("cat");
        shell.write(b"mine\n");
        shell.wait_for("mine", SOON);
        let given = Instant::now();
        let _ = gateway.cli(&["transfer", "default", "bob", "--as", "theirs"]).ok();
        let ended = eventually(SOON, "the end of the owner's connection", || shell.ended());
        assert!(!ended.success());
        assert!(given.elapsed() < Duration::from_secs(5), "{:?}", given.elapsed());
        assert!(shell.errors().contains("somebody else"), "{}", shell.errors());
        assert_eq!(target.ssh().run("echo never").code(), 255);
        let bob = target.ssh().identity(&key).user("theirs");
        let done = bob.run("kill -0 $(cat pid) && echo runs").ok();
        assert_eq!(done.out(), "runs\n");
    }
}

#[test]
fn a_first_start_makes_host_keys_that_old_and_new_clients_take() {
    let target = Target::devgate_untouched(Reach::Unix);
    for algorithm in [
        "ssh-ed25519",
        "rsa-sha2-512",
        "rsa-sha2-256",
        "ecdsa-sha2-nistp256",
    ] {
        let ssh = target
            .ssh()
            .option(&format!("HostKeyAlgorithms={algorithm}"));
        assert_eq!(ssh.run("echo in").ok().out(), "in\n", "{algorithm}");
    }
}

#[test]
fn people_reach_their_own_workspaces_and_do_not_learn_of_others() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let key = keys::generate(target.folder(), "bob");
    let public = keys::public(&key).display().to_string();
    let _ = gateway.cli(&["users", "add", "bob", "--key", &public]).ok();
    let _ = gateway.cli(&["create", "api", "--owner", "bob"]).ok();
    let config = target.path("bob_config");
    let text = std::fs::read_to_string(target.config()).unwrap();
    let mine = target.access().identity;
    std::fs::write(
        &config,
        text.replace(&mine.display().to_string(), &key.display().to_string()),
    )
    .unwrap();
    let bob = || e2e::ssh::Ssh::with_config(&config);

    assert_eq!(bob().user("api").run("echo mine").ok().out(), "mine\n");
    assert_eq!(bob().user("api.bob").run("echo mine").ok().out(), "mine\n");
    let hidden = bob().user("default.root").run("echo never");
    let missing = bob().user("nowhere.root").run("echo never");
    assert_eq!((hidden.code(), missing.code()), (255, 255));
    assert_eq!(
        hidden.err().replace("default", "NAME"),
        missing.err().replace("nowhere", "NAME"),
        "a workspace that one may not see looks like one that isn't there"
    );

    // A key that is taken away no longer lets in.
    let keys = gateway
        .cli(&["keys", "list", "--user", "bob", "--json"])
        .ok();
    let keys: serde_json::Value = serde_json::from_slice(&keys.stdout).unwrap();
    let fingerprint = keys[0]["fingerprint"]
        .as_str()
        .expect("a key has a fingerprint");
    let _ = gateway.cli(&["keys", "remove", fingerprint]).ok();
    assert_eq!(bob().user("api").run("echo never").code(), 255);
}

#[test]
fn the_gateway_raises_its_limit_of_open_files_and_programs_keep_theirs() {
    let mut target = Target::devgate(Reach::Unix);
    let _ = target.gateway().cli(&["stop", "default"]).ok();
    assert_eq!(target.gateway_mut().terminate(), 0);
    target.gateway_mut().limit_open_files(600);
    target.gateway_mut().start_again();
    let limits = format!("/proc/{}/limits", target.gateway().ready().pid);
    let limits = std::fs::read_to_string(limits).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let own: Vec<_> = line.unwrap().split_whitespace().take(2).collect();
    assert_eq!(own[0], own[1], "{limits}");
    assert_ne!(own[0], "600", "{limits}");
    let _ = target.gateway().cli(&["start", "default"]).ok();
    let done = target.ssh().run("ulimit -Sn; ulimit -Hn").ok();
    assert_eq!(done.out(), format!("600\n{}\n", own[1]));
}

#[test]
fn a_connection_that_would_wake_too_much_is_told_which_limit_and_what_runs() {
    let settings = [("DEVGATE_LIMITS_USER_RUNNING", "1")];
    let target = Target::devgate_with(Reach::Unix, &settings);
    let _ = target.gateway().cli(&["create", "api", "--no-start"]).ok();
    let done = target.ssh().user("api").run("echo never");
    assert_eq!((done.code(), done.out().as_str()), (255, ""), "{done:?}");
    for part in ["1 of 1", "(default)", "stop one"] {
        assert!(done.err().contains(part), "{done:?}");
    }
    let _ = target.gateway().cli(&["stop", "default"]).ok();
    let done = target.ssh().user("api").run("echo woken").ok();
    assert_eq!(done.out(), "woken\n");
}

#[test]
fn a_home_outlives_its_deletion_a_killed_gateway_and_no_longer_than_said() {
    let settings = [("DEVGATE_WORKSPACES_DELETE_GRACE", "20s")];
    let mut target = Target::devgate_with(Reach::Unix, &settings);
    let _ = target.gateway().cli(&["create", "api"]).ok();
    let made = target.gateway().cli(&["status", "api", "--json"]).ok();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let id = made["id"].as_str().unwrap();
    let folder = target.gateway().data().join("workspaces").join(id);
    let _ = target.ssh().user("api").run("echo kept > file").ok();
    let since = Instant::now();
    let _ = target.gateway().cli(&["delete", "api", "--yes"]).ok();
    target.gateway_mut().kill();
    target.gateway_mut().start_again();
    assert!(folder.join("home/file").is_file());
    let limit = Duration::from_mins(1);
    eventually(limit, "the end of the grace time", || {
        (!folder.exists()).then_some(())
    });
    assert!(since.elapsed() >= Duration::from_secs(20));
    until(SOON, "the end of its record", || {
        let listed = target.gateway().cli(&["list", "--deleted", "--json"]);
        listed.ok().out().trim() == "[]"
    });
}
