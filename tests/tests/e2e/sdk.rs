//! The SDKs: their examples, as people run them with the packages, and their own tests.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use e2e::api::Api;
use e2e::clients::large;
use e2e::ports;
use e2e::process::{Finished, Running, run};
use e2e::reach::Reach;
use e2e::sdk::Sdk;
use e2e::target::Target;
use nix::sys::signal::Signal;
use serde_json::json;

/// How long an example may take.
const LIMIT: Duration = Duration::from_mins(2);

/// How long an SDK's own tests may take, on a loaded machine.
const CHECKS: Duration = Duration::from_mins(4);

/// The workspace that the examples make.
const NAME: &str = "sdk";

/// An SDK, and a gateway that its examples talk to.
struct Trial {
    sdk: Sdk,
    target: Target,
    api: Api,
}

impl Trial {
    #[track_caller]
    fn new(sdk: Sdk) -> Self {
        let target = Target::devgate(Reach::Unix);
        let api = Api::of(&target);
        Self { sdk, target, api }
    }

    #[track_caller]
    fn run(&self, example: &str, args: &[&str]) -> Finished {
        let mut command = self.sdk.example(&self.target, &self.api, example, args);
        run(&mut command, b"", LIMIT)
    }

    #[track_caller]
    fn start(&self, example: &str, args: &[&str]) -> Running {
        Running::start(&mut self.sdk.example(&self.target, &self.api, example, args))
    }

    /// Makes the workspace with a project in it, and returns the project's folder.
    #[track_caller]
    fn project(&self) -> PathBuf {
        let made = self.run("create", &[NAME]).ok().out();
        assert!(made.contains("sdk is running: ssh "), "{made}");
        let listed = self.api.ask(&["/workspaces?name=sdk"]).json(200);
        let home = listed["items"][0]["home"].as_str().unwrap();
        PathBuf::from(home).join("project")
    }
}

#[track_caller]
fn check_files_and_builds(sdk: Sdk) {
    let trial = Trial::new(sdk);
    let project = trial.project();
    let file = large(&trial.target);
    let said = trial.run("files", &[NAME, &file.display().to_string()]);
    let said = said.ok().out();
    for line in [
        "somebody else was faster",
        "found Makefile",
        "build.sh:2: set -e",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let sent = fs::read(&file).unwrap();
    assert!(fs::read(project.join("uploaded")).unwrap() == sent);
    assert!(fs::read(file.with_extension("back")).unwrap() == sent);
    let script = fs::read_to_string(project.join("build.sh")).unwrap();
    assert_eq!(script, "#!/bin/sh\nset -e\nmake\n");

    let built = trial.run("build", &[NAME]).ok().out();
    let lines = "compiling 1\ncompiling 2\ncompiling 3\nended with 0\n";
    assert_eq!(built, lines);
    let result = fs::read_to_string(project.join("result")).unwrap();
    assert_eq!(result, "done\n");

    let failed = trial.run("build", &[NAME, "echo wrong >&2; exit 3"]);
    assert_eq!(failed.code(), 3, "{failed:?}");
    assert_eq!(failed.err(), "wrong\n");
    // What it writes is there while it runs, and Ctrl-C reaches it.
    let endless = "trap 'echo bye; exit 7' INT; echo ready; while :; do sleep 0.1; done";
    let running = trial.start("build", &[NAME, endless]);
    running.wait_for("ready", LIMIT);
    running.signal(Signal::SIGINT);
    let ended = running.finish(LIMIT);
    assert_eq!(ended.code(), 7, "{ended:?}");
    assert_eq!(ended.out(), "ready\nbye\nended with 7\n");
}

#[track_caller]
fn check_clones(sdk: Sdk) {
    let trial = Trial::new(sdk);
    let project = trial.project();
    let _ = trial.run("files", &[NAME]).ok();
    let script = "git init -q -b trunk && git -c user.name=a -c user.email=a@localhost \
                  commit -q --allow-empty -m first";
    let _ = trial.run("build", &[NAME, script]).ok();
    let url = format!("file://{}", project.display());
    let said = trial.run("clone", &[NAME, &url]).ok().out();
    for line in ["cloned trunk, clean\n", " is ok\n", "processors: "] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let again = trial.run("clone", &[NAME, &url]);
    assert_ne!(again.code(), 0, "{again:?}");
    assert!(again.err().contains("already exists"), "{again:?}");
}

#[track_caller]
fn check_watch_over_a_restart(sdk: Sdk) {
    let mut trial = Trial::new(sdk);
    let project = trial.project();
    fs::create_dir(&project).unwrap();
    let watching = trial.start("watch", &[NAME]);
    watching.wait_for("watching\n", LIMIT);
    let touch = |name: &str| fs::write(project.join(name), name).unwrap();
    touch("first");
    watching.wait_for("created", LIMIT);
    trial.target.gateway_mut().kill();
    watching.wait_for("connecting again", LIMIT);
    touch("meanwhile");
    fs::rename(project.join("first"), project.join("second")).unwrap();
    trial.target.gateway_mut().start_again();
    touch("stop");
    let ended = watching.finish(LIMIT);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let said = ended.out();
    let events: Vec<_> = said
        .lines()
        .filter_map(|line| {
            let (number, what) = line.split_once(' ')?;
            Some((number.parse::<usize>().ok()?, what))
        })
        .collect();
    let numbers: Vec<_> = events.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=events.len()).collect::<Vec<_>>(), "{said}");
    for what in ["created", "renamed"] {
        assert!(
            events.iter().any(|(_, event)| event.starts_with(what)),
            "{said}"
        );
    }
    for name in ["first", "meanwhile", "stop"] {
        let created = format!("created {}", project.join(name).display());
        let times = events.iter().filter(|(_, event)| *event == created).count();
        assert_eq!(times, 1, "{created}: {said}");
    }
}

/// A file comes up and down whole although the gateway is killed meanwhile and comes back.
#[track_caller]
fn check_files_over_a_restart(sdk: Sdk) {
    let mut trial = Trial::new(sdk);
    let project = trial.project();
    let file = large(&trial.target);
    let running = trial.start("files", &[NAME, &file.display().to_string()]);
    running.wait_for("sent ", LIMIT);
    trial.target.gateway_mut().kill();
    trial.target.gateway_mut().start_again();
    let ended = running.finish(LIMIT);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let sent = fs::read(&file).unwrap();
    assert!(fs::read(project.join("uploaded")).unwrap() == sent);
    assert!(fs::read(file.with_extension("back")).unwrap() == sent);
}

/// Kills the gateway, meets at its place whoever comes in the meantime, and starts it again.
#[track_caller]
fn restart_once_missed(target: &mut Target, meanwhile: impl FnOnce()) {
    let gateway = target.gateway_mut();
    gateway.kill();
    let place = TcpListener::bind(gateway.ready().http).unwrap();
    meanwhile();
    drop(place.accept().unwrap());
    drop(place);
    gateway.start_again();
}

/// Runs a script, once it is told to.
const RUN_WHEN_TOLD: &str = r#"
import { once } from "node:events";
import { Devgate } from "devgate";
const devgate = new Devgate();
const { processes } = await devgate.workspaces.named("sdk");
console.log("ready");
await once(process.stdin, "data");
const run = await processes.run({ script: "echo here; echo run >>runs" });
for await (const { stream, data } of run) process[stream].write(data);
await devgate.close();
process.exit((await run.ended).exit_code);
"#;

/// The same in Python.
const RUN_WHEN_TOLD_PY: &str = r#"
import sys
from devgate import Devgate
with Devgate() as devgate:
    processes = devgate.workspaces.named("sdk").processes
    print("ready", flush=True)
    sys.stdin.readline()
    with processes.run(script="echo here; echo run >>runs") as run:
        for output in run:
            print(output.data.decode(), end="", flush=True)
    sys.exit(run.process.exit_code)
"#;

/// A program is run once the gateway is there again, and once; one that goes on by itself is
/// followed over a restart without a byte missing or twice.
#[track_caller]
fn check_programs_over_a_restart(sdk: Sdk) {
    let mut trial = Trial::new(sdk);
    let project = trial.project();
    let home = project.parent().unwrap().to_owned();
    let text = match sdk {
        Sdk::TypeScript => RUN_WHEN_TOLD,
        Sdk::Python => RUN_WHEN_TOLD_PY,
    };
    let mut running = Running::start(&mut sdk.program(&trial.target, &trial.api, text));
    running.wait_for("ready", LIMIT);
    restart_once_missed(&mut trial.target, || running.write(b"now\n"));
    let ended = running.finish(LIMIT);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(ended.out(), "ready\nhere\n");
    assert_eq!(fs::read_to_string(home.join("runs")).unwrap(), "run\n");

    fs::create_dir(&project).unwrap();
    let script = "echo first; until test -e next; do sleep 0.1; done; echo second
        until test -e last; do sleep 0.1; done; echo third; exit 3";
    let following = trial.start("follow", &[NAME, script]);
    following.wait_for("first", LIMIT);
    restart_once_missed(&mut trial.target, || {
        fs::write(project.join("next"), "").unwrap();
    });
    following.wait_for("second", LIMIT);
    fs::write(project.join("last"), "").unwrap();
    let ended = following.finish(LIMIT);
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert_eq!(ended.out(), "first\nsecond\nthird\n");
    assert!(ended.err().contains("attaching again"), "{ended:?}");
}

#[track_caller]
fn check_ports_snapshots_and_deletion(sdk: Sdk) {
    let trial = Trial::new(sdk);
    let project = trial.project();
    let _ = trial.run("files", &[NAME]).ok();
    let port = ports::free().to_string();
    let said = trial.run("port", &[NAME, &port]).ok().out();
    assert!(said.contains("members can open https://"), "{said}");
    assert!(said.contains("answered 200: all:"), "{said}");
    // It is private again.
    let listed = trial.api.ask(&["/workspaces?name=sdk"]).json(200);
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let ports = trial
        .api
        .ask(&[&format!("/workspaces/{id}/ports")])
        .json(200);
    let shared = |port: &serde_json::Value| port["visibility"] != "private";
    assert!(
        !ports["items"].as_array().unwrap().iter().any(shared),
        "{ports}"
    );

    let said = trial.run("snapshot", &[NAME]).ok().out();
    assert!(said.contains("restored, sdk is running"), "{said}");
    assert!(said.contains("Makefile is there: true"), "{said}");
    assert!(project.join("Makefile").is_file());
    let snapshots = trial.api.ask(&["/snapshots"]).json(200);
    assert_eq!(snapshots["items"], json!([]));

    let said = trial.run("delete", &[NAME]).ok().out();
    assert_eq!(said, "sdk is gone\n");
    assert!(!project.exists());
}

/// A program that was handed a token for one thing does that and no other.
#[track_caller]
fn check_a_narrowed_token(sdk: Sdk) {
    let trial = Trial::new(sdk);
    let workspace = &trial.api.workspace;
    let whole = trial.api.clone();
    let actions = ["files-read", "files-write", "processes"];
    let to = json!({"workspace": workspace, "actions": actions});
    let builder = Trial {
        api: whole.narrowed(&to),
        ..trial
    };
    let said = builder.run("files", &["default"]).ok().out();
    assert!(said.contains("found Makefile"), "{said}");
    let built = builder.run("build", &["default", "echo built"]).ok().out();
    assert!(built.starts_with("built\n"), "{built}");
    let to = json!({"workspace": workspace, "actions": ["files-read", "files-write"]});
    let narrow = Trial {
        api: whole.narrowed(&to),
        ..builder
    };
    for (example, args) in [("build", ["default"]), ("create", ["another"])] {
        let refused = narrow.run(example, &args);
        assert_ne!(refused.code(), 0, "{refused:?}");
        assert!(refused.err().contains("Denied"), "{refused:?}");
    }
}

#[track_caller]
fn check_its_own_tests(sdk: Sdk) {
    for mut command in sdk.checks() {
        let done = run(&mut command, b"", CHECKS);
        assert_eq!(done.code(), 0, "{command:?}: {done:?}");
    }
}

#[track_caller]
fn check_types(sdk: Sdk) {
    let done = run(&mut sdk.checks_of_types(), b"", CHECKS);
    assert_eq!(done.code(), 0, "{done:?}");
}

macro_rules! of_both {
    ($($name:ident: $check:ident,)+) => {
        $(mod $name {
            use super::*;

            #[test]
            fn in_typescript() {
                $check(Sdk::TypeScript);
            }

            #[test]
            fn in_python() {
                $check(Sdk::Python);
            }
        })+
    };
}

of_both! {
    examples_write_files_and_build: check_files_and_builds,
    examples_clone_a_repository_and_show_what_is_used: check_clones,
    a_watch_goes_on_over_a_restart_of_the_gateway: check_watch_over_a_restart,
    files_are_sent_and_fetched_over_a_restart_of_the_gateway: check_files_over_a_restart,
    programs_are_run_and_followed_over_a_restart_of_the_gateway: check_programs_over_a_restart,
    examples_open_ports_take_snapshots_and_delete: check_ports_snapshots_and_deletion,
    a_narrowed_token_does_what_it_is_for_and_no_more: check_a_narrowed_token,
    the_types_of_its_package_hold_in_a_strict_project: check_types,
    its_own_tests_pass_and_what_is_generated_is_what_the_document_gives: check_its_own_tests,
}
