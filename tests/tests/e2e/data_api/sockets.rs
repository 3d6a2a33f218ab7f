//! Programs that are run over a WebSocket.

use std::time::Duration;

use e2e::caller::{Caller, Said, Socket};
use e2e::docker::{BUSYBOX, Containers};
use e2e::memory::anonymous_kib;
use e2e::process::is_running;
use e2e::reach::Reach;
use e2e::target::Target;
use e2e::wait::{SOON, eventually, until};
use serde_json::{Value, json};

/// How much a program writes to a client that doesn't read.
const PIECES: usize = 2000;
const PIECE: usize = 65536;

/// By how much the agent may grow meanwhile, in KiB.
const GROWTH: u64 = 16 * 1024;

/// Runs something, and returns its process.
async fn run(socket: &mut Socket, request: &Value) -> Value {
    socket.say(request).await;
    let mut text = socket.text().await;
    assert!(text["started"].is_object(), "{text}");
    text["started"].take()
}

fn exactly(caller: &Caller) {
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|at| u8::try_from((at.wrapping_mul(2_654_435_761)) >> 24).unwrap())
        .collect();
    let client = caller.client();
    caller.run(async {
        let mut socket = client.socket("/processes/run").await;
        let request = json!({ "script": "cat; echo end >&2; exit 3", "stdin": "open" });
        let _ = run(&mut socket, &request).await;
        let ([stdout, stderr], last) = socket.give(&bytes).await;
        assert!(stdout == bytes, "{} of {}", stdout.len(), bytes.len());
        assert_eq!(stderr, b"end\n");
        assert_eq!(last["ended"]["exit_code"], 3);

        let mut socket = client.socket("/processes/run").await;
        socket.say(&json!({ "command": ["no-such-program"] })).await;
        let (_, last) = socket.rest().await;
        assert_eq!(last["error"]["code"], "cannot-start");
        let mut socket = client.socket("/processes/run").await;
        socket.say(&json!({ "unknown": 1 })).await;
        let (_, last) = socket.rest().await;
        assert_eq!(last["error"]["code"], "bad-request");
    });
}

fn on_a_terminal(caller: &Caller) {
    let client = caller.client();
    caller.run(async {
        let mut socket = client.socket("/processes/run").await;
        let script = "trap 'echo interrupted' INT; echo ready; read line; stty size; echo $line";
        let pty = json!({ "columns": 80, "rows": 24 });
        let _ = run(&mut socket, &json!({ "script": script, "pty": pty })).await;
        let mut seen = String::new();
        let mut step = 0;
        loop {
            match socket.next().await {
                Said::Data(1, data) => seen.push_str(&String::from_utf8_lossy(&data)),
                Said::Text(text) => assert_eq!(text["ended"]["exit_code"], 0, "{seen}"),
                Said::Closed(code) => {
                    assert_eq!(code, Some(1000));
                    break;
                }
                Said::Data(..) => panic!("a terminal has one output"),
            }
            if step == 0 && seen.contains("ready") {
                step = 1;
                let size = json!({ "columns": 50, "rows": 10 });
                socket.say(&json!({ "resize": size })).await;
                socket.data(0, b"typed\r").await;
            }
        }
        assert!(seen.contains("10 50\r\ntyped\r\n"), "{seen}");

        let mut socket = client.socket("/processes/run").await;
        let _ = run(&mut socket, &json!({ "command": ["sleep", "1000"] })).await;
        socket.say(&json!({ "signal": "INT" })).await;
        let (_, last) = socket.rest().await;
        assert_eq!(last["ended"]["signal"], "INT");
    });
}

/// Attaches to one that ran, and to one that runs.
fn attached(caller: &Caller) {
    let client = caller.client();
    let request = json!({ "script": "echo before; cat", "stdin": "open" });
    let started = caller.post("/processes", &request).expect(201).json();
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    caller.run(async {
        let mut socket = client.socket(&format!("{path}/attach?stdout_from=2")).await;
        let text = socket.text().await;
        assert_eq!(text["attached"]["process"]["state"], "running");
        let mut other = client.socket(&format!("{path}/attach")).await;
        socket.data(0, b"more\n").await;
        socket.data(0, b"").await;
        let ([stdout, _], last) = socket.rest().await;
        assert_eq!(stdout, b"fore\nmore\n");
        assert_eq!(last["ended"]["exit_code"], 0);
        let ([stdout, _], _) = other.rest().await;
        assert_eq!(stdout, b"before\nmore\n");
    });
    // From a byte on that isn't written yet.
    let request = json!({ "script": "read line; echo $line", "stdin": "open" });
    let started = caller.post("/processes", &request).expect(201).json();
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    caller.run(async {
        let mut socket = client.socket(&format!("{path}/attach?stdout_from=2")).await;
        assert_eq!(socket.text().await["attached"]["stdout_from"], 2);
        socket.data(0, b"abcd\n").await;
        let ([stdout, _], _) = socket.rest().await;
        assert_eq!(stdout, b"cd\n");
    });
}

#[test]
fn a_process_is_run_over_a_socket_to_the_byte() {
    for reach in [Reach::Unix, Reach::Dial] {
        let target = Target::devgate(reach);
        let caller = Caller::of(target.gateway());
        exactly(&caller);
        on_a_terminal(&caller);
        attached(&caller);
    }
}

#[test]
fn a_client_that_does_not_read_stops_the_program_and_costs_no_memory() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let client = caller.client();
    let progress = target.gateway().home().join("progress");
    let agent = target.gateway().agent();
    let before = anonymous_kib(agent);
    let script = format!(
        "i=0; while [ $i -lt {PIECES} ]; do head -c {PIECE} /dev/zero; i=$((i+1)); \
         echo $i > progress; done"
    );
    let mut socket = caller.run(async {
        let mut socket = client.socket("/processes/run").await;
        let _ = run(&mut socket, &json!({ "script": script })).await;
        socket
    });
    let written = || -> usize {
        let text = std::fs::read_to_string(&progress).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    };
    let mut last = 0;
    let mut since = std::time::Instant::now();
    let stopped = eventually(Duration::from_mins(1), "the program to stop", || {
        let now = written();
        if now != last {
            last = now;
            since = std::time::Instant::now();
        }
        // Nothing tells that a program waits: it has done nothing for long.
        (now > 0 && since.elapsed() > Duration::from_secs(2)).then_some(now)
    });
    assert!(stopped < PIECES / 2, "{stopped}");
    let grown = anonymous_kib(agent).saturating_sub(before);
    assert!(grown < GROWTH, "{grown} KiB");
    let (outputs, ended) = caller.run(socket.rest());
    assert_eq!(outputs[0].len(), PIECES * PIECE);
    assert_eq!(ended["ended"]["exit_code"], 0);
}

#[test]
fn a_process_ends_in_its_time_though_its_client_does_not_read() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let client = caller.client();
    // It doesn't end when it is asked to, and has more to say than is taken.
    let script = "trap '' TERM; yes & yes & yes; wait";
    let request = json!({ "script": script, "timeout_seconds": 1 });
    let (socket, started) = caller.run(async {
        let mut socket = client.socket("/processes/run").await;
        let started = run(&mut socket, &request).await;
        (socket, started)
    });
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    let ended = caller.get(&format!("{path}?wait_seconds=60")).expect(200);
    let ended = ended.json();
    assert_eq!(ended["state"], "ended", "{ended}");
    assert_eq!(ended["timed_out"], true);
    drop(socket);
}

#[test]
fn what_a_client_says_passes_the_input_that_waits() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let client = caller.client();
    let sleeps = json!({ "command": ["sleep", "1000"], "stdin": "open" });
    caller.run(async {
        let mut socket = client.socket("/processes/run").await;
        let _ = run(&mut socket, &sleeps).await;
        // More than a pipe and the agent's queue take.
        for _ in 0..20 {
            socket.data(0, &vec![0; 100_000]).await;
        }
        socket.say(&json!({ "signal": "INT" })).await;
        let (_, last) = socket.rest().await;
        assert_eq!(last["ended"]["signal"], "INT");
    });
}

#[test]
fn a_client_that_counts_what_was_taken_is_always_heard() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let client = caller.client();
    caller.run(async {
        let mut socket = client.socket("/processes/run").await;
        // It reads once it is told to, and nothing more then.
        let script = "exec 2>/dev/null; trap 'head -c 5000000 >/dev/null; echo read' USR1; \
                      trap 'exit 4' USR2; echo ready; while :; do sleep 0.1; done";
        socket
            .say(&json!({ "script": script, "stdin": "open" }))
            .await;
        let first = socket.text().await;
        assert!(first["started"].is_object(), "{first}");
        let window = first["stdin_window"].as_u64().unwrap();
        let Said::Data(1, ready) = socket.next().await else {
            panic!("it isn't ready");
        };
        assert_eq!(ready, "ready\n");
        let piece = vec![0; 1000];
        let (mut sent, mut taken, mut asked) = (0, 0, false);
        while sent < 6_000_000 {
            if sent + 1000 <= taken + window {
                socket.data(0, &piece).await;
                sent += 1000;
                continue;
            }
            if !asked {
                // All that may wait waits, and this is heard nevertheless.
                socket.say(&json!({ "signal": "USR1" })).await;
                asked = true;
            }
            match socket.next().await {
                Said::Text(text) => {
                    let now = text["stdin_taken"].as_u64().expect("it is told");
                    assert!(taken < now && now <= sent, "{taken} {now} {sent}");
                    taken = now;
                }
                said => assert!(
                    matches!(&said, Said::Data(1, read) if read == "read\n"),
                    "{said:?}"
                ),
            }
        }
        assert!(asked && taken > window);
        socket.say(&json!({ "signal": "USR2" })).await;
        let (_, last) = socket.rest().await;
        assert_eq!(last["ended"]["exit_code"], 4);
    });
}

#[test]
fn a_message_that_is_too_long_ends_the_process() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let client = caller.client();
    let sleeps = json!({ "command": ["sleep", "1000"], "stdin": "open" });
    let (said, started) = caller.run(async {
        let mut socket = client.socket("/processes/run").await;
        let started = run(&mut socket, &sleeps).await;
        (socket.answer_to(&vec![0; 5_000_000]).await, started)
    });
    // A client that is still sending may not get to read why.
    assert!(matches!(said, Said::Closed(Some(1009) | None)), "{said:?}");
    let path = format!("/processes/{}", started["id"].as_str().unwrap());
    let ended = caller.get(&format!("{path}?wait_seconds=60")).expect(200);
    assert_eq!(ended.json()["signal"], "HUP");
}

#[test]
fn a_process_ends_with_its_socket_unless_it_was_detached() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let client = caller.client();
    let pid = |process: &Value| u32::try_from(process["pid"].as_u64().unwrap()).unwrap();
    let sleeps = json!({ "command": ["sleep", "1000"] });
    let (bound, asked, said) = caller.run(async {
        let mut bound = client.socket("/processes/run").await;
        let bound = run(&mut bound, &sleeps).await;
        let mut socket = client.socket("/processes/run").await;
        let detached = json!({ "command": ["sleep", "1000"], "detach": true });
        let asked = run(&mut socket, &detached).await;
        let mut socket = client.socket("/processes/run").await;
        let said = run(&mut socket, &sleeps).await;
        socket.say(&json!({ "detach": true })).await;
        // Behind it: it was heard.
        socket.say(&json!({ "signal": "CONT" })).await;
        let looked = client.get("/processes").await;
        drop(looked);
        (bound, asked, said)
    });
    until(SOON, "the end of what was bound", || {
        !is_running(pid(&bound))
    });
    let id = bound["id"].as_str().unwrap();
    let ended = caller.get(&format!("/processes/{id}?wait_seconds=20"));
    assert_eq!(ended.expect(200).json()["signal"], "HUP");
    for detached in [&asked, &said] {
        assert!(is_running(pid(detached)), "{detached}");
        let id = detached["id"].as_str().unwrap();
        let _ = caller.delete(&format!("/processes/{id}")).expect(204);
        until(SOON, "its end", || !is_running(pid(detached)));
    }
}

mod docker {
    use super::*;

    #[test]
    fn a_process_is_run_over_a_socket_in_an_image_with_nothing_but_a_shell() {
        let it = Containers::start(BUSYBOX, &[]);
        let caller = Caller::of(it.target().gateway());
        exactly(&caller);
        on_a_terminal(&caller);
        attached(&caller);
    }
}
