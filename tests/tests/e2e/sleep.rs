//! Workspaces that go to sleep when nothing goes on in them, and are woken by whoever
//! comes.

mod by_the_clock;

use std::time::{Duration, Instant};

use e2e::browser::Browser;
use e2e::caller::Caller;
use e2e::component::built;
use e2e::process::{Running, run};
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};
use serde_json::Value;

/// How long nothing goes on before a workspace sleeps, in most tests. Longer than a
/// loaded machine may be busy with something else.
const AFTER: Duration = Duration::from_secs(5);

/// How long to look that something doesn't fall asleep.
const LONG: Duration = Duration::from_secs(12);

/// Starts a gateway whose workspaces sleep soon.
#[track_caller]
fn sleepy(reach: Reach, more: &[(&str, &str)]) -> Target {
    let settings = [
        &[("DEVGATE_SLEEP_AFTER", "5s"), ("DEVGATE_SLEEP_WARN", "1s")],
        more,
    ]
    .concat();
    let target = Target::devgate_with(reach, &settings);
    target.gateway().agent();
    target
}

#[track_caller]
fn json(target: &Target, args: &[&str]) -> Value {
    let said = target.gateway().cli(args).ok().out();
    serde_json::from_str(&said).expect("it was asked for JSON")
}

#[track_caller]
fn state(target: &Target) -> String {
    let all = json(target, &["list", "--json"]);
    all[0]["state"].as_str().expect("a state").to_owned()
}

#[track_caller]
fn why(target: &Target) -> Value {
    json(target, &["why", "default", "--json"])
}

/// Returns the kinds of what keeps the workspace awake.
#[track_caller]
fn kinds(target: &Target) -> Vec<String> {
    let why = why(target);
    let reasons = why["reasons"].as_array().expect("reasons");
    let kind = |reason: &Value| reason["kind"].as_str().expect("a kind").to_owned();
    reasons.iter().map(kind).collect()
}

#[track_caller]
fn falls_asleep(target: &Target) {
    until(3 * SOON, "the workspace is asleep", || {
        state(target) == "asleep"
    });
}

#[track_caller]
fn wakes(target: &Target) {
    until(SOON, "the workspace runs", || state(target) == "running");
}

/// Logs in with a terminal, and waits until the shell has answered.
#[track_caller]
fn log_in(target: &Target) -> Running {
    let mut shell = target.ssh().args(["-tt"]).start("exec sh");
    shell.write(b"echo here-$((1 + 1))\n");
    shell.wait_for("here-2", SOON);
    shell
}

#[track_caller]
fn a_silent_terminal_goes_to_sleep(reach: Reach) {
    let target = sleepy(reach, &[]);
    let shell = log_in(&target);
    shell.wait_for_error("goes to sleep in", 3 * SOON);
    falls_asleep(&target);
    assert!(
        target.gateway().agents().is_empty(),
        "nothing is left running"
    );
    shell.finish(SOON);
    assert!(why(&target)["sleeps_at"].is_null());
    // Any connection wakes it, and waits for that.
    assert_eq!(target.ssh().run("echo back").ok().out(), "back\n");
    falls_asleep(&target);
    let log = target.gateway().cli(&["start", "default"]).ok().out();
    assert!(log.contains("running"), "{log}");
}

#[test]
fn a_silent_terminal_goes_to_sleep_over_a_unix_socket() {
    a_silent_terminal_goes_to_sleep(Reach::Unix);
}

#[test]
fn a_silent_terminal_goes_to_sleep_over_tls() {
    a_silent_terminal_goes_to_sleep(Reach::Dial);
}

#[test]
fn somebody_who_types_stays() {
    let target = sleepy(Reach::Unix, &[]);
    let mut shell = log_in(&target);
    let mut since = Instant::now();
    while since.elapsed() < LONG {
        let step = Instant::now();
        shell.write(b"true\n");
        assert_eq!(state(&target), "running");
        // A machine that stood still for that long has shown nothing.
        if step.elapsed() > AFTER / 2 {
            since = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(
        kinds(&target).contains(&"input".to_owned()),
        "{}",
        why(&target)
    );
    drop(shell);
    falls_asleep(&target);
}

#[test]
fn a_warning_is_taken_back_by_whoever_types() {
    let target = sleepy(
        Reach::Unix,
        &[
            ("DEVGATE_SLEEP_AFTER", "20s"),
            ("DEVGATE_SLEEP_WARN", "10s"),
        ],
    );
    let mut shell = log_in(&target);
    shell.wait_for_error("press any key", 3 * SOON);
    assert_eq!(why(&target)["warned"], true);
    shell.write(b"true\n");
    until(SOON, "the warning is taken back", || {
        why(&target)["warned"] == false
    });
    assert_eq!(state(&target), "running");
}

#[test]
fn a_build_goes_on_whether_its_processes_live_long_or_shortly() {
    for script in ["while :; do :; done", "while :; do /bin/true; done"] {
        let target = sleepy(Reach::Unix, &[]);
        // Nobody is connected while it runs.
        let start = format!("nohup sh -c '{script}' > /dev/null 2>&1 & echo $!");
        let pid = target.ssh().run(&start).ok().out();
        let since = Instant::now();
        while since.elapsed() < LONG {
            assert_eq!(state(&target), "running", "{script}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let kinds = kinds(&target);
        assert_eq!(kinds, ["cpu"], "{script}: {}", why(&target));
        let pid: u32 = pid.trim().parse().expect("a process id");
        e2e::process::signal(pid, nix::sys::signal::Signal::SIGKILL);
        falls_asleep(&target);
    }
}

#[test]
fn a_lease_outlives_the_gateway_and_ends_when_somebody_says_so() {
    let mut target = sleepy(Reach::Unix, &[]);
    let args = [
        "keep-awake",
        "default",
        "2h",
        "--reason",
        "training",
        "--json",
    ];
    let lease = json(&target, &args);
    target.gateway_mut().kill();
    target.gateway_mut().start_again();
    wakes(&target);
    let since = Instant::now();
    while since.elapsed() < LONG {
        assert_eq!(state(&target), "running");
        std::thread::sleep(Duration::from_millis(200));
    }
    let why = why(&target);
    assert_eq!(why["reasons"][0]["kind"], "lease", "{why}");
    assert_eq!(why["sleeps_at"], lease["until"], "{why}");
    let id = lease["id"].as_str().expect("an id");
    let _ = target
        .gateway()
        .cli(&["keep-awake", "default", "--end", id])
        .ok();
    falls_asleep(&target);
    for wrong in [
        &["keep-awake", "default", "8d"][..],
        &["keep-awake", "default", "soon"],
    ] {
        assert_ne!(target.gateway().cli(wrong).code(), 0, "{wrong:?}");
    }
}

#[test]
fn a_job_holds_a_lease_for_as_long_as_it_runs() {
    let target = sleepy(Reach::Unix, &[]);
    let job = "devgate keep-awake 1h --reason rehearsal -- sh -c 'echo held; read end; exit 7'";
    let mut job = target.ssh().start(job);
    job.wait_for("held", SOON);
    let since = Instant::now();
    while since.elapsed() < LONG {
        assert_eq!(state(&target), "running");
        std::thread::sleep(Duration::from_millis(200));
    }
    let told = why(&target);
    let detail = told["reasons"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("rehearsal"), "{told}");
    job.write(b"\n");
    assert_eq!(job.finish(SOON).code(), 7, "the command's own status");
    until(SOON, "its lease has ended", || {
        !kinds(&target).contains(&"lease".to_owned())
    });
    let _ = target.ssh().run("devgate keep-awake 1h").ok();
    assert!(kinds(&target).contains(&"lease".to_owned()));
    assert_ne!(target.ssh().run("devgate keep-awake 9d").code(), 0);
}

#[test]
fn a_job_holds_a_lease_where_the_servers_own_program_is_found_first() {
    let target = sleepy(Reach::Unix, &[]);
    let programs = built("devgate");
    let programs = programs.parent().expect("a folder").display().to_string();
    let of_server =
        format!("PATH={programs}:$PATH; test $(command -v devgate) = {programs}/devgate");
    let job = "devgate keep-awake 1h --reason=-rehearsal -- sh -c 'echo held; read end; exit 7'";
    let mut job = target.ssh().start(format!("{of_server} && {job}"));
    job.wait_for("held", SOON);
    until(SOON, "its lease is told", || {
        why(&target).to_string().contains("-rehearsal")
    });
    job.write(b"\n");
    let job = job.finish(SOON);
    assert_eq!(job.code(), 7, "the command's own status: {job:?}");
    assert!(!job.err().contains("warning"), "{job:?}");
    until(SOON, "its lease has ended", || {
        !kinds(&target).contains(&"lease".to_owned())
    });
    let _ = target
        .ssh()
        .run(format!("{of_server} && devgate keep-awake 1h"))
        .ok();
    until(SOON, "the lease for a time is told", || {
        kinds(&target).contains(&"lease".to_owned())
    });
    // Elsewhere there is nothing to keep awake by a command.
    let refused = target.gateway().cli(&["keep-awake", "1h", "--", "true"]);
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(
        refused.err().contains("only a program in a workspace"),
        "{refused:?}"
    );
}

#[test]
fn who_asks_for_git_status_wakes_a_workspace_as_who_lists_files_does() {
    for path in ["/git/status", "/files/list?path=."] {
        let target = sleepy(Reach::Unix, &[]);
        let caller = Caller::of(target.gateway());
        falls_asleep(&target);
        let answer = caller.get(path);
        // There is no repository; that it is the workspace's own agent that says so counts.
        let expected = if path == "/git/status" { 404 } else { 200 };
        let answer = answer.expect(expected);
        if expected == 404 {
            assert_eq!(answer.json()["code"], "no-repository");
        }
        assert_eq!(state(&target), "running", "{path}");
    }
}

#[test]
fn what_sleeps_stays_asleep_over_the_gateways_death_and_for_what_tries_again() {
    let mut target = sleepy(Reach::Unix, &[]);
    // As an editor: it has a program at the other end, and sends nothing.
    let held = "echo up; exec sleep 1000";
    let open = target.ssh().start(held);
    open.wait_for("up", SOON);
    falls_asleep(&target);
    open.finish(SOON);
    for _ in 0..3 {
        let again = target.ssh().run(held);
        assert_eq!(again.code(), 255, "{again:?}");
        assert!(again.err().contains("went to sleep"), "{again:?}");
    }
    assert_eq!(state(&target), "asleep");
    target.gateway_mut().kill();
    target.gateway_mut().start_again();
    until(SOON, "the workspace is still asleep", || {
        state(&target) == "asleep"
    });
    assert!(target.gateway().agents().is_empty());
    assert_eq!(target.ssh().run("echo back").ok().out(), "back\n");
}

#[test]
fn a_stop_is_respected_and_sleep_by_command_is_not_a_stop() {
    let target = Target::devgate(Reach::Unix);
    let _ = target.ssh().run("true").ok();
    let said = target.gateway().cli(&["sleep", "default"]).ok().out();
    assert!(said.contains("asleep"), "{said}");
    assert_eq!(target.ssh().run("echo back").ok().out(), "back\n");
    let _ = target.gateway().cli(&["sleep", "default"]).ok();
    let _ = target.gateway().cli(&["stop", "default"]).ok();
    let refused = target.ssh().run("echo never");
    assert_eq!(
        (refused.code(), refused.out().as_str()),
        (255, ""),
        "{refused:?}"
    );
    assert_ne!(target.gateway().cli(&["sleep", "default"]).code(), 0);
    // Off, unless it is asked for.
    assert!(why(&target)["policy"]["after_seconds"].is_null());
}

#[test]
fn a_page_that_somebody_opens_wakes_a_workspace_and_the_dashboard_does_not() {
    let target = sleepy(Reach::Unix, &[("DEVGATE_HTTP_APPLICATIONS", "path")]);
    let browser = Browser::signed_in(target.gateway(), target.folder());
    let workspaces = browser.get("/api/v1/workspaces");
    let id = workspaces["items"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    falls_asleep(&target);
    // What the dashboard's pages ask for.
    for path in ["statistics", "terminals", "editor", "ports", "why-running"] {
        let mut look = browser.curl();
        look.arg(format!(
            "{}/api/v1/workspaces/{id}/{path}",
            browser.origin()
        ));
        let _ = run(&mut look, b"", SOON);
    }
    let shown = browser.get(&format!("/api/v1/workspaces/{id}/why-running"));
    assert_eq!(shown["state"], "asleep", "{shown}");
    let mut page = browser.curl();
    page.args(["--header", "Accept: text/html"]).arg(format!(
        "{}/@{}/default/apps/{}/",
        browser.origin(),
        browser.owner(),
        e2e::ports::free()
    ));
    // Nothing listens there: that is what it says once it runs.
    let _ = run(&mut page, b"", SOON);
    wakes(&target);
    let events = browser.get("/api/v1/events?limit=200");
    let events = events["items"].as_array().expect("events").clone();
    assert!(
        events
            .iter()
            .any(|event| event["kind"] == "workspace-sleep-soon"),
        "{events:?}"
    );
}

#[test]
fn a_gateway_that_starts_again_neither_forgets_nor_hurries() {
    let mut target = sleepy(
        Reach::Unix,
        &[("DEVGATE_SLEEP_AFTER", "1h"), ("DEVGATE_SLEEP_WARN", "1m")],
    );
    let idle_since = |target: &Target| {
        eventually(SOON, "it is known since when", || {
            why(target)["idle_since"].as_str().map(str::to_owned)
        })
    };
    // It is written down with the first look, which takes a moment on a busy machine: a
    // later gateway knows what an earlier one saw.
    let second = |time: &str| time.get(..19).map(str::to_owned);
    let is_kept = (0..5).any(|_| {
        std::thread::sleep(2 * AFTER);
        target.gateway_mut().kill();
        let killed = now();
        target.gateway_mut().start_again();
        let after = idle_since(&target);
        second(&after) <= second(&killed)
    });
    assert!(is_kept, "each gateway took its own start for use");
    wakes(&target);
    let why = why(&target);
    assert!(
        why["reasons"]
            .as_array()
            .is_some_and(|all| all.iter().any(|reason| reason["kind"] == "gateway")),
        "{why}"
    );
}

/// Returns the time, to the second, as the API writes it.
fn now() -> String {
    let mut date = std::process::Command::new("date");
    date.args(["-u", "+%Y-%m-%dT%H:%M:%S"]);
    let printed = date.output().expect("date runs").stdout;
    String::from_utf8(printed)
        .expect("it is text")
        .trim()
        .to_owned()
}
