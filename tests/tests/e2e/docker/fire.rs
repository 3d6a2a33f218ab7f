//! Workspaces that come and go while their gateway is killed, and many at once.

use std::thread::{self, sleep};
use std::time::Duration;

use e2e::docker::{BUSYBOX, Containers};
use e2e::wait::eventually_ok;
use serde_json::Value;

/// How long what goes on may take until it is done.
const DONE: Duration = Duration::from_mins(2);

/// How long after a command the gateway is killed, in milliseconds.
const MOMENTS: [u64; 5] = [0, 30, 90, 200, 500];

/// How many workspaces are made at once.
const MANY: usize = 50;

/// Returns the states of all workspaces by name.
#[track_caller]
fn states(it: &Containers) -> Vec<(String, String)> {
    let listed = it.target().gateway().cli(&["list", "--json"]).ok().out();
    let list: Value = serde_json::from_str(&listed).expect("it was asked for JSON");
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let list = list.as_array().unwrap().iter();
    list.map(|one| (text(one, "name"), text(one, "state")))
        .collect()
}

fn say(it: &Containers, workspace: &str, command: &str) -> String {
    let now = it.target().gateway().ready().ssh;
    let ssh = it.target().ssh().user(workspace).via(now);
    ssh.run(command).ok().out()
}

/// Tells whether a workspace is in that state; `None`: whether it is gone.
fn is(it: &Containers, workspace: &str, wanted: Option<&str>) -> Result<(), Option<String>> {
    let states = states(it);
    let state = states.iter().find(|(name, _)| name == workspace);
    let state = state.map(|(_, state)| state.as_str());
    if state == wanted {
        return Ok(());
    }
    Err(state.map(str::to_owned))
}

#[test]
fn what_was_said_before_a_kill_is_done_after_it() {
    let mut it = Containers::start(BUSYBOX, &[]);
    let mut under_fire = |verb: &str, more: &[&str], wanted: Option<&str>| {
        for moment in MOMENTS {
            let name = format!("w{moment}");
            let args = [&[verb, &name, "--no-wait"][..], more].concat();
            let _ = it.target().gateway().cli(&args).ok();
            // Not to wait for something: to be killed anywhere.
            sleep(Duration::from_millis(moment));
            it.gateway_mut().kill();
            // Others take ports that nobody has for a moment.
            it.gateway_mut().start_again_on_port_0();
            eventually_ok(DONE, &format!("{name} after {verb}"), || {
                is(&it, &name, wanted)
            });
            if wanted == Some("running") {
                assert_eq!(say(&it, &name, "echo kept >> file; cat file"), "kept\n");
                let _ = say(&it, &name, "true > file");
            }
            let runs = it.container(&name).map(|id| {
                let asked = ["inspect", "--format", "{{.State.Running}}", &id];
                // One that goes at this moment isn't there.
                it.engine().run(&asked).out()
            });
            assert_eq!(
                runs.as_deref() == Some("true\n"),
                wanted == Some("running"),
                "{verb} {name}"
            );
        }
    };
    under_fire("create", &[], Some("running"));
    under_fire("stop", &[], Some("stopped"));
    under_fire("start", &[], Some("running"));
    under_fire("restart", &[], Some("running"));
    under_fire("delete", &["--purge", "--yes"], None);
    eventually_ok(DONE, "nothing but the first workspace", || {
        let left = [it.all("container"), it.all("volume"), it.images()];
        let done = left.each_ref().map(Vec::len) == [1, 1, 0];
        done.then_some(()).ok_or(left)
    });
}

#[test]
fn fifty_that_are_made_at_once_all_run() {
    let it = Containers::start(BUSYBOX, &[]);
    thread::scope(|scope| {
        for number in 0..MANY {
            let it = &it;
            scope.spawn(move || {
                let name = format!("w{number}");
                let create = ["create", &name, "--no-wait"];
                let _ = it.target().gateway().cli(&create).ok();
            });
        }
    });
    eventually_ok(DONE, "workspaces that run", || {
        let mut states = states(&it);
        assert_eq!(states.len(), MANY + 1);
        states.retain(|(_, state)| state != "running");
        states.is_empty().then_some(()).ok_or(states)
    });
    for number in [0, MANY / 2, MANY - 1] {
        let name = format!("w{number}");
        assert_eq!(
            say(&it, &name, "echo $DEVGATE_WORKSPACE"),
            format!("{name}\n")
        );
    }
    let left = [it.all("container"), it.all("volume")];
    assert_eq!(left.each_ref().map(Vec::len), [MANY + 1; 2]);
}
