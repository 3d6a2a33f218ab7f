//! Programs that are started over the API.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::caller::Caller;
use e2e::docker::{BUSYBOX, Containers};
use e2e::process::is_running;
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};
use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};

/// How many run at once.
const MANY: usize = 1000;

/// Over how many connections.
const CONNECTIONS: usize = 50;

fn pid(process: &Value) -> u32 {
    u32::try_from(process["pid"].as_u64().unwrap()).unwrap()
}

/// Runs something to its end, and returns what is answered.
#[track_caller]
fn outcome(caller: &Caller, request: &Value) -> Value {
    let answer = caller.post("/processes?wait=true", request);
    answer.expect(200).json()
}

fn results(caller: &Caller) {
    let done = outcome(
        caller,
        &json!({ "command": ["printf", "%s|%s", "a b", "$HOME"] }),
    );
    assert_eq!(done["stdout"], "a b|$HOME");
    assert_eq!(done["process"]["exit_code"], 0);
    assert_eq!(done["process"]["state"], "ended");
    let request = json!({
        "script": "pwd; echo $NAME; cat; echo error >&2; exit 7",
        "cwd": "/tmp",
        "env": { "NAME": "näme", "LD_PRELOAD": "/nowhere" },
        "input": "given\n",
        "label": "mine",
    });
    let done = outcome(caller, &request);
    assert_eq!(done["stdout"], "/tmp\nnäme\ngiven\n");
    assert_eq!(done["stderr"], "error\n");
    assert_eq!(done["process"]["exit_code"], 7);
    assert_eq!(done["process"]["label"], "mine");
    assert_eq!(done["process"]["stdout_bytes"], 17);
    // What is asked for comes last, but for what isn't anybody's to set.
    let request = json!({
        "script": "echo $HOME,$USER,$SHELL,$TERM,$DEVGATE_WORKSPACE_ID",
        "env": {
            "HOME": "/tmp/home", "USER": "eve", "SHELL": "/bin/odd", "TERM": "dumb",
            "DEVGATE_WORKSPACE_ID": "other",
        },
    });
    let done = outcome(caller, &request);
    let said = done["stdout"].as_str().unwrap();
    assert!(said.starts_with("/tmp/home,eve,/bin/odd,dumb,"), "{said}");
    assert!(!said.contains("other"), "{said}");
    let done = outcome(caller, &json!({ "script": "kill -9 $$" }));
    assert_eq!(done["process"]["signal"], "KILL");
    assert!(done["process"]["exit_code"].is_null());
    // What goes on in the background has its pipes, and doesn't hold up the end.
    let begun = Instant::now();
    let done = outcome(caller, &json!({ "script": "sleep 1000 & echo there" }));
    assert_eq!(done["stdout"], "there\n");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let done = outcome(caller, &json!({ "script": "seq 100000", "keep_bytes": 7 }));
    assert_eq!(done["stdout"], "100000\n");
    assert_eq!(done["stdout_truncated"], true);
    assert_eq!(done["process"]["dropped_bytes"], 588_888);
}

fn refusals(caller: &Caller) {
    for (request, status, code) in [
        (json!({}), 400, "bad-command"),
        (json!({ "command": [] }), 400, "bad-command"),
        (
            json!({ "command": ["a"], "script": "b" }),
            400,
            "bad-command",
        ),
        (json!({ "command": ["a\u{0}b"] }), 400, "bad-command"),
        (
            json!({ "script": "true", "env": { "A=B": "x" } }),
            400,
            "bad-command",
        ),
        (
            json!({ "script": "true", "env": { "": "x" } }),
            400,
            "bad-command",
        ),
        (
            json!({ "script": "true", "env": { "A": "\u{0}" } }),
            400,
            "bad-command",
        ),
        (
            json!({ "script": "x".repeat(5 * 1024 * 1024) }),
            413,
            "too-large",
        ),
        (
            json!({ "command": ["no-such-program"] }),
            422,
            "cannot-start",
        ),
        (json!({ "command": ["/etc/passwd"] }), 422, "cannot-start"),
        (json!({ "command": ["./nothing"] }), 422, "cannot-start"),
        (
            json!({ "script": "true", "cwd": "/nowhere" }),
            422,
            "cannot-start",
        ),
        (
            json!({ "script": "true", "unknown": 1 }),
            400,
            "bad-request",
        ),
    ] {
        let answer = caller.post("/processes", &request).expect(status);
        assert_eq!(answer.json()["code"], code, "{request}");
    }
    let _ = caller.get("/processes/nothing").expect(404);
    let _ = caller.delete("/processes/nothing").expect(404);
}

fn ends(caller: &Caller) {
    let begun = Instant::now();
    let request = json!({ "script": "sleep 1000 & sleep 1000", "timeout_seconds": 1 });
    let done = outcome(caller, &request);
    assert_eq!(done["process"]["timed_out"], true);
    assert_eq!(done["process"]["signal"], "TERM");
    assert!(begun.elapsed() < Duration::from_secs(30));

    let started = caller.post("/processes", &json!({ "command": ["sleep", "1000"] }));
    let started = started.expect(201).json();
    assert_eq!(started["state"], "running");
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    let waited = caller.get(&format!("{path}?wait_seconds=1")).expect(200);
    assert_eq!(waited.json()["state"], "running");
    let signal = format!("{path}/signal");
    let _ = caller
        .post(&signal, &json!({ "signal": "NOTHING" }))
        .expect(400);
    let _ = caller
        .post(&signal, &json!({ "signal": "USR1" }))
        .expect(204);
    let ended = caller.get(&format!("{path}?wait_seconds=60")).expect(200);
    assert_eq!(ended.json()["signal"], "USR1");
    let again = caller
        .post(&signal, &json!({ "signal": "TERM" }))
        .expect(409);
    assert_eq!(again.json()["code"], "process-ended");
    let _ = caller.delete(&path).expect(204);
    let _ = caller.get(&path).expect(404);
    // It may be waited for a while only.
    let answer = caller.post(
        "/processes?wait=true&wait_seconds=0",
        &json!({ "command": ["sleep", "1000"] }),
    );
    let running = answer.expect(202).json();
    assert_eq!(running["state"], "running");
    let path = format!("/processes/{}", running["id"].as_str().unwrap());
    let _ = caller.delete(&path).expect(204);
}

fn output(caller: &Caller) {
    let request = json!({ "script": "cat; echo done >&2", "stdin": "open" });
    let started = caller.post("/processes", &request).expect(201).json();
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    let bytes: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let input = format!("{path}/input?close=true");
    let body = Bytes::from(bytes.clone());
    let client = caller.client();
    let (read, given) = caller.run(async {
        let follow = format!("{path}/output?follow=true&from=10");
        let reading = client.get(&follow);
        let kind = Some("application/octet-stream");
        let giving = client.send(Method::POST, &input, kind, body);
        tokio::join!(reading, giving)
    });
    let _ = given.expect(204);
    assert_eq!(read.headers["output-offset"], "10");
    assert!(read.body[..] == bytes[10..]);
    let stderr = caller.get(&format!("{path}/output?stream=stderr"));
    assert_eq!(stderr.expect(200).text(), "done\n");
    let rest = caller.get(&format!("{path}/output?from=699990"));
    assert_eq!(rest.headers["output-offset"], "699990");
    assert!(rest.body[..] == bytes[699_990..]);
    let more = caller.run(client.send(Method::POST, &input, None, Bytes::new()));
    let _ = more.expect(409);
}

/// Gives input to one that closes its stdin, and goes on.
fn input_that_is_not_read(caller: &Caller) {
    let request = json!({ "script": "exec sleep 1000 < /dev/null", "stdin": "open" });
    let started = caller.post("/processes", &request).expect(201).json();
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    let client = caller.client();
    let input = format!("{path}/input");
    until(SOON, "input to be refused", || {
        let kind = Some("application/octet-stream");
        let giving = client.send(Method::POST, &input, kind, Bytes::from_static(b"x"));
        let given = caller.run(giving);
        given.status == 409 && given.json()["code"] == "no-stdin"
    });
    let _ = caller.delete(&path).expect(204);
}

fn terminals(caller: &Caller) {
    let request = json!({
        "script": "stty size; echo $TERM; read line; stty size; cat > /dev/null; echo at the end",
        "pty": { "columns": 100, "rows": 30, "term": "dumb" },
    });
    let started = caller.post("/processes", &request).expect(201).json();
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    let output = format!("{path}/output");
    until(SOON, "the first size", || {
        caller.get(&output).text().contains("30 100\r\ndumb\r\n")
    });
    let size = json!({ "columns": 90, "rows": 20 });
    let _ = caller.post(&format!("{path}/resize"), &size).expect(204);
    let client = caller.client();
    let typed = format!("{path}/input?close=true");
    let kind = Some("application/octet-stream");
    let typing = client.send(Method::POST, &typed, kind, Bytes::from_static(b"\n"));
    let _ = caller.run(typing).expect(204);
    let ended = caller.get(&format!("{path}?wait_seconds=60")).expect(200);
    assert_eq!(ended.json()["exit_code"], 0);
    let text = caller.get(&output).text();
    assert!(text.contains("20 90\r\n"), "{text}");
    assert!(text.ends_with("at the end\r\n"), "{text}");
}

fn all(caller: &Caller) {
    results(caller);
    refusals(caller);
    ends(caller);
    output(caller);
    input_that_is_not_read(caller);
    terminals(caller);
}

#[test]
fn processes_do_what_the_api_says_over_a_unix_socket() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    all(&caller);

    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let begun = Instant::now();
            let _ = outcome(&caller, &json!({ "command": ["/bin/true"] }));
            begun.elapsed()
        })
        .collect();
    times.sort();
    // A TLS handshake is in it, and an unoptimised build on a loaded machine.
    assert!(times[25] < Duration::from_millis(200), "{times:?}");
}

#[test]
fn processes_do_what_the_api_says_over_tls() {
    let target = Target::devgate(Reach::Dial);
    all(&Caller::of(target.gateway()));
}

#[test]
fn a_thousand_processes_run_at_once() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let client = caller.client();
    let start = async |connection: usize| {
        let mut http = client.connect().await;
        let mut started = Vec::new();
        for number in (0..MANY).skip(connection).step_by(CONNECTIONS) {
            let script = format!("cat; echo {number} >&2; exit {}", number % 256);
            let request = json!({ "script": script, "stdin": "open", "keep_bytes": 1024 });
            let body = Bytes::from(request.to_string());
            let answer = client
                .send_over(&mut http, Method::POST, "/processes", None, body)
                .await;
            let id = answer.expect(201).json()["id"].as_str().unwrap().to_owned();
            started.push((number, id));
        }
        started
    };
    let started: Vec<_> = caller
        .run(join_all((0..CONNECTIONS).map(start)))
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(count(&caller, "running"), MANY);
    let end = async |some: &[(usize, String)]| {
        let mut http = client.connect().await;
        for (number, id) in some {
            let given = format!("given to {number}");
            let path = format!("/processes/{id}/input?close=true");
            let body = Bytes::from(given.clone());
            let answer = client.send_over(&mut http, Method::POST, &path, None, body);
            let _ = answer.await.expect(204);
            let mut get = async |path: String| {
                let body = Bytes::new();
                let sent = client.send_over(&mut http, Method::GET, &path, None, body);
                sent.await.expect(200)
            };
            let ended = get(format!("/processes/{id}?wait_seconds=100"))
                .await
                .json();
            assert_eq!(ended["exit_code"], number % 256, "{ended}");
            let stdout = get(format!("/processes/{id}/output")).await;
            assert_eq!(stdout.text(), given);
            let stderr = get(format!("/processes/{id}/output?stream=stderr")).await;
            assert_eq!(stderr.text(), format!("{number}\n"));
        }
    };
    let _ = caller.run(join_all(started.chunks(MANY / CONNECTIONS).map(end)));
    assert_eq!(count(&caller, "ended"), MANY);
    let agent = i32::try_from(target.gateway().agent()).unwrap();
    until(SOON, "no process of the agent's", || {
        let all = procfs_children(agent);
        assert!(!all.iter().any(|(_, state)| *state == 'Z'), "{all:?}");
        all.is_empty()
    });
}

/// Counts the processes in a state, page by page.
fn count(caller: &Caller, state: &str) -> usize {
    let mut count = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/processes?state={state}&limit=200{cursor}");
        let page = caller.get(&path).expect(200).json();
        count += page["items"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

fn procfs_children(parent: i32) -> Vec<(i32, char)> {
    procfs::process::all_processes()
        .unwrap()
        .filter_map(|process| process.ok()?.stat().ok())
        .filter(|stat| stat.ppid == parent)
        .map(|stat| (stat.pid, stat.state))
        .collect()
}

#[test]
fn what_is_ended_is_gone_with_all_that_it_started() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    // Neither of the two ends when it is asked to.
    let script = "trap '' TERM HUP; sh -c 'trap \"\" TERM HUP; echo $$; \
                  while :; do sleep 1; done' & while :; do sleep 1; done";
    let started = caller.post("/processes", &json!({ "script": script }));
    let started = started.expect(201).json();
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    let child = eventually(SOON, "the child", || {
        let text = caller.get(&format!("{path}/output")).text();
        text.strip_suffix('\n')?.parse::<u32>().ok()
    });
    let _ = caller.delete(&path).expect(204);
    until(SOON, "the end of both", || {
        !is_running(pid(&started)) && !is_running(child)
    });
    // And one whose client goes while it waits for it.
    let request = json!({ "script": "echo $$ > pid; exec sleep 1000" });
    let file = target.gateway().home().join("pid");
    let client = caller.client();
    let path = "/processes?wait=true&attached=true";
    let attached = caller.run(async {
        let asking = client.post(path, &request);
        let looking = tokio::task::spawn_blocking(move || {
            eventually(SOON, "the process", || {
                let text = std::fs::read_to_string(&file).ok()?;
                text.trim().parse::<u32>().ok()
            })
        });
        tokio::select! {
            answer = asking => panic!("{answer:?}"),
            pid = looking => pid.unwrap(),
        }
    });
    until(SOON, "its end", || !is_running(attached));

    let request = json!({ "command": ["sleep", "1000"] });
    let last = caller.post("/processes", &request).expect(201).json();
    assert!(is_running(pid(&last)));
    let _ = target.gateway().cli(&["stop", "default"]).ok();
    until(SOON, "the end with the workspace", || {
        !is_running(pid(&last))
    });
}

mod docker {
    use super::*;

    #[test]
    fn processes_do_what_the_api_says_in_an_image_with_nothing_but_a_shell() {
        let it = Containers::start(BUSYBOX, &[]);
        let caller = Caller::of(it.target().gateway());
        all(&caller);
        // Process 1 reaps what falls to it.
        let done = outcome(
            &caller,
            &json!({ "script": "ps -o stat,comm | grep -c '^Z'" }),
        );
        assert_eq!(done["stdout"], "0\n");
    }
}

#[test]
fn what_is_asked_for_right_after_a_restart_was_ordered_is_done_after_it() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    for _ in 0..10 {
        // The agent's connection is kept for the next request, and ends with the agent.
        let before = outcome(&caller, &json!({ "command": ["true"] }));
        let _ = caller.post("/restart", &json!({})).expect(202);
        let after = outcome(&caller, &json!({ "command": ["true"] }));
        assert_ne!(before["process"]["id"], after["process"]["id"]);
    }
}
