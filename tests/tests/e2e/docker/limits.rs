//! One workspace's greed, and the others.

use std::time::{Duration, Instant};

use e2e::docker::{BUSYBOX, Containers};
use e2e::wait::{SOON, until};

const LIMITS: [(&str, &str); 3] = [
    ("DEVGATE_DOCKER_CPUS", "0.5"),
    ("DEVGATE_DOCKER_MEMORY", "128MiB"),
    ("DEVGATE_DOCKER_PIDS", "100"),
];

/// Longest time until a neighbour answers: a loaded machine's, and not that of one which
/// waits for the bomb.
const NEIGHBOUR: Duration = Duration::from_secs(10);

fn start() -> Containers {
    let it = Containers::start(BUSYBOX, &LIMITS);
    let _ = it.target().gateway().cli(&["create", "second"]).ok();
    assert_eq!(
        it.target().ssh().user("second").run("echo up").ok().out(),
        "up\n"
    );
    it
}

fn assert_second_works(it: &Containers) {
    let since = Instant::now();
    let done = it.target().ssh().user("second").run("echo fine").ok();
    assert_eq!(done.out(), "fine\n");
    assert!(since.elapsed() < NEIGHBOUR, "{:?}", since.elapsed());
}

#[test]
fn a_memory_bomb_ends_alone() {
    let it = start();
    let (agent, other) = (it.agent("default"), it.agent("second"));
    for _ in 0..3 {
        // It holds all that it reads of a line that never ends.
        let bomb = it.target().ssh().run("tail -n 1 /dev/zero");
        assert_ne!(bomb.code(), 0, "{bomb:?}");
        assert_second_works(&it);
        assert_eq!(it.target().ssh().run("echo fine").ok().out(), "fine\n");
    }
    assert_eq!((it.agent("default"), it.agent("second")), (agent, other));
}

#[test]
fn the_program_that_memory_ran_out_for_is_named_wherever_one_looks() {
    let it = start();
    let agent = it.agent("default");
    let bomb = it.target().ssh().run("exec tail -n 1 /dev/zero");
    assert_ne!(bomb.code(), 0);
    assert!(bomb.err().contains("memory is used up"), "{bomb:?}");
    let gateway = it.target().gateway();
    let status = |name: &str| {
        let status = gateway.cli(&["status", name, "--json"]).ok();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        status["out_of_memory"].clone()
    };
    until(SOON, "the victim's name", || {
        status("default")["program"] == "tail"
    });
    assert!(status("second").is_null());
    let text = gateway.cli(&["status", "default"]).ok().out();
    assert!(text.contains("tail (") && text.contains("memory"), "{text}");
    let log = gateway.cli(&["logs", "default"]).ok().out();
    assert!(
        log.contains("memory is used up") && log.contains("tail"),
        "{log}"
    );
    assert!(gateway.log().contains("memory is used up"));
    assert_eq!(it.agent("default"), agent);

    let history = gateway.cli(&["history", "default"]).ok().out();
    assert!(history.contains("tail was killed"), "{history}");

    // One that isn't the agent's child dies in its shell's arms.
    let nested = "sh -c 'tail -n 1 /dev/zero; echo status $?'; true";
    let done = it.target().ssh().run(nested).ok();
    assert!(done.out().contains("137"), "{done:?}");
    let events = || {
        let log = gateway.cli(&["logs", "default"]).ok().out();
        log.matches("memory is used up").count()
    };
    until(SOON, "the second kill", || events() == 2);
}

#[test]
fn a_limit_of_processes_that_is_reached_is_told_wherever_one_looks() {
    let it = start();
    let gateway = it.target().gateway();
    let bomb = "i=0; while [ $i -lt 150 ]; do sleep 30 & i=$((i+1)); done";
    let _ = it.target().ssh().run(bomb);
    let said = "100 processes and threads";
    until(SOON, "the status", || {
        gateway
            .cli(&["status", "default"])
            .ok()
            .out()
            .contains(said)
    });
    assert!(!gateway.cli(&["status", "second"]).ok().out().contains(said));
    let log = gateway.cli(&["logs", "default"]).ok().out();
    assert!(log.contains("as many processes and threads"), "{log}");
    until(SOON, "the history", || {
        gateway
            .cli(&["history", "default"])
            .ok()
            .out()
            .contains(said)
    });
    let _ = gateway.cli(&["restart", "default"]).ok();
    let status = gateway.cli(&["status", "default"]).ok().out();
    assert!(!status.contains(said), "{status}");
}

#[test]
fn what_may_run_together_is_counted_by_what_each_may_use() {
    let settings = [
        ("DEVGATE_DOCKER_MEMORY", "128MiB"),
        ("DEVGATE_LIMITS_USER_MEMORY", "200MiB"),
        ("DEVGATE_LIMITS_DISK_INTERVAL", "1s"),
    ];
    let it = Containers::start(BUSYBOX, &settings);
    let gateway = it.target().gateway();
    let refused = gateway.cli(&["create", "second"]);
    assert_eq!(refused.code(), 6, "{refused:?}");
    assert!(
        refused.err().contains("128MiB of 200MiB memory (default)"),
        "{refused:?}"
    );
    let _ = it
        .target()
        .ssh()
        .run("dd if=/dev/zero of=file bs=1M count=9; sync")
        .ok();
    until(SOON, "the home's size", || {
        let limits = gateway.cli(&["limits", "--json"]).ok();
        let limits: serde_json::Value = serde_json::from_slice(&limits.stdout).unwrap();
        limits[0]["own"]["disk_bytes"]["used"].as_u64() >= Some(9 << 20)
    });
}

#[test]
fn a_full_tmp_counts_as_memory_and_is_bounded() {
    let settings = [
        ("DEVGATE_DOCKER_MEMORY", "128MiB"),
        ("DEVGATE_DOCKER_TMP_SIZE", "16MiB"),
    ];
    let it = Containers::start(BUSYBOX, &settings);
    assert_eq!(it.target().ssh().run("echo up").ok().out(), "up\n");
    let agent = it.agent("default");
    let done = it
        .target()
        .ssh()
        .run("dd if=/dev/zero of=/tmp/full bs=1M count=64");
    assert_ne!(done.code(), 0);
    assert!(done.err().contains("No space left"), "{done:?}");
    assert_eq!(it.agent("default"), agent);
}

#[test]
fn a_fork_bomb_stays_in_its_workspace() {
    let it = start();
    let (agent, other) = (it.agent("default"), it.agent("second"));
    let script = "echo up; b() { b | b & }; b; sleep 600";
    let bomb = it.target().ssh().start(script);
    bomb.wait_for("up", SOON);
    let counter = |file: &str| {
        let cgroup = std::fs::read_to_string(format!("/proc/{agent}/cgroup")).unwrap();
        // Version 2 has one line, `0::PATH`; version 1 one a controller.
        let path = cgroup.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            match controllers {
                "pids" => Some(format!("/sys/fs/cgroup/pids{path}")),
                "" if path != "/" => Some(format!("/sys/fs/cgroup{path}")),
                _ => None,
            }
        });
        let text = std::fs::read_to_string(path.unwrap() + file).unwrap();
        let number = text.split_whitespace().next_back().unwrap();
        number.parse::<u32>().unwrap()
    };
    // A bomb that hits the limit may fall apart: what counts is that it was refused.
    until(SOON, "a full workspace", || counter("/pids.events") > 0);
    for _ in 0..5 {
        assert_second_works(&it);
    }
    assert!(counter("/pids.current") <= 100);
    assert_eq!((it.agent("default"), it.agent("second")), (agent, other));
    let _ = it.target().gateway().cli(&["restart", "default"]).ok();
    assert_eq!(it.target().ssh().run("echo fine").ok().out(), "fine\n");
}

#[test]
fn a_burner_of_processors_gets_its_share_and_no_more() {
    let it = start();
    let burner = it.target().ssh().start("echo up; while :; do :; done");
    burner.wait_for("up", SOON);
    let agent = it.agent("default");
    // Ticks of 10 ms (proc(5), `stat`) that all of the workspace's programs have had.
    let used = || {
        let tasks = std::fs::read_dir(format!("/proc/{agent}/task")).unwrap();
        let children = tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        let mut sum: u64 = 0;
        for pid in children.collect::<String>().split_whitespace() {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let fields: Vec<_> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            sum += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
        sum
    };
    let (since, before) = (Instant::now(), used());
    until(SOON, "a second of the burner", || used() > before + 100);
    // Half a processor: a second of it takes two; a period of the quota is 100 ms.
    assert!(
        since.elapsed() > Duration::from_millis(1700),
        "{:?}",
        since.elapsed()
    );
    assert_second_works(&it);
}
