//! What workspaces do when they start: the script of the configuration, as people see it.

use std::fs;
use std::net::TcpListener;

use e2e::caller::Caller;
use e2e::docker::{BUSYBOX, Containers};
use e2e::ports;
use e2e::reach::Reach;
use e2e::servers;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};

/// Runs in workspaces other than the first, which is there before the test is.
const NOT_FIRST: &str = "test $DEVGATE_WORKSPACE = default && exit 0; ";

/// Starts a gateway whose workspaces, but the first, run a script.
fn target(reach: Reach, script: &str, settings: &[(&str, &str)]) -> Target {
    let script = format!("{NOT_FIRST}{script}");
    let mut all = vec![("DEVGATE_STARTUP_SCRIPT", script.as_str())];
    all.extend_from_slice(settings);
    Target::devgate_with(reach, &all)
}

fn startup_log(target: &Target, workspace: &str) -> String {
    let gateway = target.gateway();
    gateway.cli(&["logs", "--startup", workspace]).ok().out()
}

fn a_script_runs_at_each_start_and_its_log_is_shown(target: &Target) {
    let gateway = target.gateway();
    let _ = gateway.cli(&["create", "api"]).ok();
    let has = |count| {
        let log = startup_log(target, "api");
        log.matches("[script] ran in ").count() == count && log.contains("[script] oops")
    };
    until(SOON, "the script's end", || has(1));
    let _ = gateway.cli(&["restart", "api"]).ok();
    until(SOON, "the script's next end", || has(2));
    let done = target
        .ssh()
        .user("api")
        .run("cat .local/state/devgate/startup.log")
        .ok();
    assert!(done.out().contains("[script] oops"), "{done:?}");
    assert!(!startup_log(target, "default").contains("ran in"));
}

const RUNS: &str = "echo ran in $PWD; echo oops >&2";

#[test]
fn a_script_runs_over_a_unix_socket() {
    a_script_runs_at_each_start_and_its_log_is_shown(&target(Reach::Unix, RUNS, &[]));
}

#[test]
fn a_script_runs_over_tls() {
    a_script_runs_at_each_start_and_its_log_is_shown(&target(Reach::Dial, RUNS, &[]));
}

#[test]
fn whoever_waits_for_a_script_is_told_and_let_in_afterwards() {
    for reach in [Reach::Unix, Reach::Dial] {
        let script = "until test -e ../../../go; do sleep 0.05; done";
        let target = target(reach, script, &[("DEVGATE_STARTUP_WAIT", "true")]);
        let gateway = target.gateway();
        let _ = gateway.cli(&["create", "api", "--no-wait"]).ok();
        let shows = |words: &str| {
            let shown = gateway.cli(&["status", "api", "--json"]).ok().out();
            shown.contains(words)
        };
        let doing = "running the start-up script (script, 1 of 1)";
        until(SOON, "the script", || shows(doing));
        assert!(shows("\"starting\""));
        // Its log is there meanwhile.
        assert!(startup_log(&target, "api").contains("running script"));
        let mut ssh = target.ssh().user("api").args(["-tt"]).start("echo let in");
        ssh.wait_for_error(doing, SOON);
        fs::write(gateway.data().join("go"), "").unwrap();
        let ended = eventually(SOON, "the connection's end", || ssh.ended());
        assert!(ended.success(), "{ended:?}");
        assert!(shows("\"running\""));
    }
}

#[test]
fn a_listener_waits_for_its_workspace_and_a_program_for_the_listener() {
    for reach in [Reach::Unix, Reach::Dial] {
        let script = "until test -e ../../../go; do sleep 0.05; done";
        let target = target(reach, script, &[("DEVGATE_STARTUP_WAIT", "true")]);
        let gateway = target.gateway();
        let _ = gateway.cli(&["create", "api", "--no-wait"]).ok();
        let server = servers::greeter("127.0.0.1:0", b"hello\n");
        let port = ports::free();
        let forward = format!("127.0.0.1:{port}:127.0.0.1:{}", server.port());
        let mut ssh = target
            .ssh()
            .user("api")
            .option("ExitOnForwardFailure=yes")
            // Its answers come after the listener's, and what is said meanwhile keeps it there.
            .option("ServerAliveInterval=1")
            .option("ServerAliveCountMax=2")
            .args(["-tt", "-R", &forward])
            .start(format!("head -n1 < /dev/tcp/127.0.0.1/{port}"));
        ssh.wait_for_error("running the start-up script (script, 1 of 1)", SOON);
        fs::write(gateway.data().join("go"), "").unwrap();
        ssh.wait_for("hello", SOON);
        let ended = eventually(SOON, "the connection's end", || ssh.ended());
        assert!(ended.success(), "{ended:?}");
    }
}

#[test]
fn a_start_takes_as_long_as_its_script() {
    let settings = [
        ("DEVGATE_STARTUP_WAIT", "true"),
        ("DEVGATE_WORKSPACES_START_TIMEOUT", "1s"),
    ];
    let target = target(Reach::Unix, "sleep 3", &settings);
    let done = target.gateway().cli(&["create", "api"]).ok();
    assert!(done.out().contains("is running"), "{done:?}");
}

#[test]
fn a_script_that_fails_is_told_and_people_get_in_to_mend_it() {
    for reach in [Reach::Unix, Reach::Dial] {
        let script = "echo no luck; exit 7";
        let mut target = target(reach, script, &[("DEVGATE_STARTUP_WAIT", "true")]);
        let done = target.gateway().cli(&["create", "api"]).ok();
        assert!(done.err().contains("exit status 7"), "{done:?}");
        assert_eq!(target.ssh().user("api").run("echo in").ok().out(), "in\n");
        let shown = target.gateway().cli(&["status", "api"]).ok().out();
        assert!(shown.contains("running (startup-failed)"), "{shown}");
        assert!(shown.contains("devgate logs --startup api."), "{shown}");
        // The next gateway finds it so.
        target.gateway_mut().kill();
        target.gateway_mut().start_again();
        let again = || target.gateway().cli(&["status", "api"]).ok().out();
        until(SOON, "the failure", || again().contains("startup-failed"));
    }
}

#[test]
fn a_gateway_that_goes_disturbs_no_script() {
    let script = "echo begun >> log; until test -e go; do sleep 0.05; done; echo ended >> log";
    let mut target = target(Reach::Unix, script, &[("DEVGATE_STARTUP_WAIT", "true")]);
    let _ = target.gateway().cli(&["create", "api", "--no-wait"]).ok();
    until(SOON, "the script", || {
        startup_log_if_there(&target).contains("running script")
    });
    target.gateway_mut().kill();
    target.gateway_mut().start_again();
    let state = || {
        target
            .gateway()
            .cli(&["status", "api", "--json"])
            .ok()
            .out()
    };
    until(SOON, "the script is seen again", || {
        state().contains("1 of 1")
    });
    assert!(state().contains("\"starting\""));
    let homes = fs::read_dir(target.gateway().data().join("workspaces")).unwrap();
    for home in homes {
        fs::write(home.unwrap().path().join("home/go"), "").unwrap();
    }
    until(SOON, "the end of the start", || {
        state().contains("\"running\"")
    });
    let done = target.ssh().user("api").run("cat log").ok();
    assert_eq!(done.out(), "begun\nended\n");
}

fn startup_log_if_there(target: &Target) -> String {
    let said = target.gateway().cli(&["logs", "--startup", "api"]);
    if said.code() == 0 {
        said.out()
    } else {
        String::new()
    }
}

#[test]
fn the_start_ups_log_is_searched_by_time() {
    let target = Target::devgate_with(Reach::Unix, &[("DEVGATE_STARTUP_SCRIPT", RUNS)]);
    let whole = || startup_log(&target, "default");
    until(SOON, "the script's end", || whole().contains("ran in"));
    let within = |times: &[&str]| {
        let arguments = [&["logs", "--startup", "default"], times].concat();
        target.gateway().cli(&arguments).ok().out()
    };
    let (past, future) = ("2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
    assert_eq!(within(&["--until", past]), "");
    assert_eq!(within(&["--since", future]), "");
    assert_eq!(within(&["--since", past, "--until", future]), whole());
    let last = within(&["--since", past, "--lines", "1"]);
    assert_eq!(last.lines().count(), 1, "{last}");
    let caller = Caller::of(target.gateway());
    let within = |times: &str| {
        let path = format!("/startup/log?{times}");
        caller.get(&path).expect(200).text()
    };
    assert_eq!(within(&format!("until={past}")), "");
    assert_eq!(within(&format!("since={future}")), "");
    assert_eq!(within(&format!("since={past}&until={future}")), whole());
}

#[test]
fn the_start_ups_log_can_be_read_while_the_workspace_is_stopped() {
    let target = Target::devgate_with(Reach::Unix, &[("DEVGATE_STARTUP_SCRIPT", RUNS)]);
    let whole = || startup_log(&target, "default");
    until(SOON, "the script's end", || whole().contains("ran in"));
    let running = whole();
    let _ = target.gateway().cli(&["stop", "default"]).ok();
    assert_eq!(whole(), running);
    let last = ["logs", "--startup", "default", "--lines", "1"];
    let last = target.gateway().cli(&last).ok().out();
    assert_eq!(last.lines().count(), 1, "{last}");
    assert!(running.ends_with(&last), "{last}");
    // What nobody writes isn't followed.
    let follow = ["logs", "--startup", "-f", "default"];
    let refused = target.gateway().cli(&follow);
    assert!(refused.err().contains("doesn't run"), "{}", refused.err());
}

#[test]
fn a_followed_log_goes_on() {
    let script = "until test -e go; do sleep 0.05; done; echo the end";
    let target = target(Reach::Unix, script, &[]);
    let gateway = target.gateway();
    let _ = gateway.cli(&["create", "api"]).ok();
    let follow = ["logs", "--startup", "-f", "api"];
    let log = gateway.start_cli(&follow);
    log.wait_for("running script", SOON);
    let _ = target.ssh().user("api").run("touch go").ok();
    log.wait_for("[script] the end", SOON);
}

/// Settings by which starts wait until something listens on that port of this host, but the
/// first workspace's.
fn waits_for(port: u16) -> String {
    let listens = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    format!(
        "test $DEVGATE_WORKSPACE = default || \
         bash -c 'until ({listens}) 2>/dev/null; do sleep 0.1; done'"
    )
}

#[track_caller]
fn a_channel_waits(target: &Target, port: u16) {
    let gateway = target.gateway();
    let _ = gateway.cli(&["create", "api", "--no-wait"]).ok();
    let ssh = target.ssh().user("api").option("LogLevel=VERBOSE");
    let ssh = ssh.start("echo let in");
    ssh.wait_for_error("Authenticated to", SOON);
    let shown = gateway.cli(&["status", "api", "--json"]).ok().out();
    assert!(shown.contains("\"starting\""), "{shown}");
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let done = ssh.finish(SOON).ok();
    assert_eq!(done.out(), "let in\n");
}

mod a_client_is_in_at_once_and_its_channel_waits_for_the_workspace {
    use super::*;

    fn check(reach: Reach) {
        let port = ports::free();
        let script = waits_for(port);
        let settings = [
            ("DEVGATE_STARTUP_SCRIPT", script.as_str()),
            ("DEVGATE_STARTUP_WAIT", "true"),
        ];
        a_channel_waits(&Target::devgate_with(reach, &settings), port);
    }

    #[test]
    fn over_a_unix_socket() {
        check(Reach::Unix);
    }

    #[test]
    fn over_tls() {
        check(Reach::Dial);
    }

    #[test]
    fn in_a_container() {
        let port = ports::free();
        let script = waits_for(port);
        let settings = [
            ("DEVGATE_STARTUP_SCRIPT", script.as_str()),
            ("DEVGATE_STARTUP_WAIT", "true"),
        ];
        a_channel_waits(Containers::like_this_host_with(&settings).target(), port);
    }
}

/// With a network of the workspace's own: apart from the browsers, as `docker` is.
mod docker {
    use super::*;

    #[test]
    fn a_script_runs_in_a_container() {
        let script = format!("{NOT_FIRST}{RUNS}");
        let it = Containers::start(BUSYBOX, &[("DEVGATE_STARTUP_SCRIPT", script.as_str())]);
        a_script_runs_at_each_start_and_its_log_is_shown(it.target());
    }
}
