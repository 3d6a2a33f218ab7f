//! Workspaces in containers: how soon they can be used, what many of them cost that do
//! nothing, and what snapshots and clones take, against `docker` by hand.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use procfs::process::Process;
use serde_json::Value;

use crate::docker::{BUSYBOX, Containers, Engine};
use crate::gateway::Gateway;
use crate::memory::pss_kib;
use crate::reach::Reach;
use crate::survivors::Folder;
use crate::target::Target;
use crate::wait::until;

use super::peers::Kind;
use super::report::Better;
use super::{Aim, Bench, Row};

/// What a snapshot's workspace has in its home, in bytes.
const HOME: u32 = 20_000_000;

/// How many clones are made at a time.
const CLONES: usize = 5;

/// How many workspaces do nothing.
const MANY: u32 = 50;

/// The template that keeps workspaces ready, and how long one may take to be.
const TEMPLATE: &str = "warm";
const FILLED: Duration = Duration::from_mins(1);

/// How long they are watched.
const WATCHED: Duration = Duration::from_secs(20);

pub(super) fn measure(bench: &mut Bench) {
    let containers = Containers::start(BUSYBOX, &[]);
    let (folder, reach) = (Folder::new(), Reach::Unix);
    let processes = Target::devgate_in(folder, reach, &[]);
    first_shells(bench, &containers, &processes);
    snapshots(bench, &containers);
    clones(bench, &containers);
    // Its member would count.
    let _ = containers
        .target()
        .gateway()
        .cli(&["templates", "remove", TEMPLATE, "--yes"])
        .ok();
    at_rest(bench, &containers, &processes);
}

/// From nothing to a command's end in a new workspace, or container.
fn first_shells(bench: &mut Bench, containers: &Containers, processes: &Target) {
    let rounds = bench.rounds(10);
    let warm = Aim {
        of: Kind::Warm,
        against: None,
        limit: 1000.0,
    };
    let mut row = against_hand("workspace, create to first shell", 1.5).aiming(warm);
    eprintln!("{} …", row.name());
    keep_one_ready(containers.target());
    for round in 0..rounds {
        let name = format!("bench-{round}");
        row.add(
            Kind::ByHand,
            [timed(|| run_by_hand(containers.engine(), &name))],
        );
        for (kind, target) in [(Kind::Docker, containers.target()), (Kind::Unix, processes)] {
            let first = || {
                let _ = target.gateway().cli(&["create", &name]).ok();
                let _ = target.ssh().user(&name).run("true").ok();
            };
            row.add(kind, [timed(first)]);
            delete(target.gateway(), &name);
        }
        wait_for_a_ready_one(containers.target());
        row.add(
            Kind::Warm,
            [timed(|| {
                let create = ["create", &name, "--template", TEMPLATE];
                let _ = containers.target().gateway().cli(&create).ok();
                let _ = containers.target().ssh().user(&name).run("true").ok();
            })],
        );
        delete(containers.target().gateway(), &name);
        remove_by_hand(containers.engine(), &name);
    }
    bench.report.add(row);
}

/// Has a template keep one workspace ready.
#[track_caller]
fn keep_one_ready(target: &Target) {
    let file = target.path("warm.toml");
    fs::write(&file, "[pool]\nready = 1\n").expect("the folder is writable");
    let file = file.display().to_string();
    let add = ["templates", "add", TEMPLATE, &file];
    let _ = target.gateway().cli(&add).ok();
}

#[track_caller]
fn wait_for_a_ready_one(target: &Target) {
    until(FILLED, "a workspace of the pool", || {
        let listed = target.gateway().cli(&["templates", "list", "--json"]);
        let templates: Value = serde_json::from_slice(&listed.ok().stdout).expect("it is JSON");
        templates[0]["pool"]["ready"] == 1
    });
}

/// A workspace's files, its home included, into an image.
fn snapshots(bench: &mut Bench, containers: &Containers) {
    let mut row = against_hand("snapshot of 20 MB", 2.0);
    eprintln!("{} …", row.name());
    let (engine, gateway) = (containers.engine(), containers.target().gateway());
    let fill = format!("head -c {HOME} /dev/urandom > file");
    let _ = containers.target().ssh().run(fill.clone()).ok();
    run_by_hand(engine, "filled");
    let _ = engine.run(&["exec", "filled", "sh", "-c", &fill]).ok();
    for round in 0..bench.rounds(5) {
        let name = format!("snapshot-{round}");
        let image = format!("devgate-bench/{name}");
        row.add(
            Kind::ByHand,
            [timed(|| {
                let _ = engine.run(&["commit", "filled", &image]).ok();
            })],
        );
        row.add(
            Kind::Docker,
            [timed(|| {
                let _ = gateway.cli(&["snapshots", "create", "default", &name]).ok();
            })],
        );
        let _ = engine.run(&["image", "rm", &image]).ok();
        let _ = gateway.cli(&["snapshots", "delete", &name, "--yes"]).ok();
    }
    bench.report.add(row);
}

/// Several workspaces like one, until all of them run.
fn clones(bench: &mut Bench, containers: &Containers) {
    let mut row = against_hand(&format!("{CLONES} clones of 20 MB"), 3.0);
    eprintln!("{} …", row.name());
    let (engine, gateway) = (containers.engine(), containers.target().gateway());
    let image = "devgate-bench/clones";
    for round in 0..bench.rounds(3) {
        let names: Vec<_> = (1..=CLONES)
            .map(|number| format!("clone-{round}-{number}"))
            .collect();
        row.add(
            Kind::ByHand,
            [timed(|| {
                let _ = engine.run(&["commit", "filled", image]).ok();
                for name in &names {
                    let run = ["run", "--detach", "--name", name, image, "sleep", "1d"];
                    let _ = engine.run(&run).ok();
                }
            })],
        );
        row.add(
            Kind::Docker,
            [timed(|| {
                let (count, prefix) = (CLONES.to_string(), format!("clone-{round}"));
                let clone = ["clone", "default", "--count", &count, "--name", &prefix];
                let _ = gateway.cli(&clone).ok();
            })],
        );
        for name in &names {
            remove_by_hand(engine, name);
            delete(gateway, name);
        }
        let _ = engine.run(&["image", "rm", image]).ok();
    }
    remove_by_hand(engine, "filled");
    bench.report.add(row);
}

/// What workspaces cost in which nothing goes on: the agents, and the gateway.
fn at_rest(bench: &mut Bench, containers: &Containers, processes: &Target) {
    let lower = |name: &str, unit| Row::new(name, unit, Better::Lower, Vec::new());
    let count = bench.size(MANY);
    let mut memory = lower(&format!("{count} workspaces at rest, agents' memory"), "MB");
    let mut whole = lower(
        &format!("{count} workspaces at rest, gateway's memory"),
        "MB",
    );
    let mut cpu = lower(&format!("{count} workspaces at rest, CPU"), "% of one");
    eprintln!("{} …", memory.name());
    for (kind, target) in [(Kind::Docker, containers.target()), (Kind::Unix, processes)] {
        let gateway = target.gateway();
        let names: Vec<_> = (1..count).map(|number| format!("rest-{number}")).collect();
        for name in &names {
            let _ = gateway.cli(&["create", name]).ok();
        }
        let agents: Vec<u32> = match kind {
            Kind::Docker => {
                let first = std::iter::once("default");
                let all = first.chain(names.iter().map(String::as_str));
                all.map(|name| containers.agent(name)).collect()
            }
            _ => gateway.agents().iter().map(|agent| agent.pid).collect(),
        };
        assert_eq!(agents.len(), names.len() + 1);
        let gateways = gateway.ready().pid;
        memory.add(kind, [agents.iter().map(|&agent| megabytes(agent)).sum()]);
        whole.add(kind, [megabytes(gateways)]);
        let spent = || agents.iter().chain([&gateways]).map(|&one| seconds(one));
        let before: f64 = spent().sum();
        sleep(WATCHED);
        let after: f64 = spent().sum();
        cpu.add(kind, [(after - before) / WATCHED.as_secs_f64() * 100.0]);
        for name in &names {
            delete(gateway, name);
        }
    }
    for row in [memory, whole, cpu] {
        bench.report.add(row);
    }
}

fn against_hand(name: &str, limit: f64) -> Row {
    let aim = Aim {
        of: Kind::Docker,
        against: Some(Kind::ByHand),
        limit,
    };
    Row::new(name, "ms", Better::Lower, vec![aim])
}

/// Returns how long something takes, in milliseconds.
fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e3
}

/// Starts a container, and runs a command in it.
#[track_caller]
fn run_by_hand(engine: &Engine, name: &str) {
    let run = ["run", "--detach", "--name", name, BUSYBOX, "sleep", "1d"];
    let _ = engine.run(&run).ok();
    let _ = engine.run(&["exec", name, "true"]).ok();
}

#[track_caller]
fn remove_by_hand(engine: &Engine, name: &str) {
    let _ = engine.run(&["rm", "--force", name]).ok();
}

#[track_caller]
fn delete(gateway: &Gateway, name: &str) {
    let _ = gateway.cli(&["delete", "--purge", "--yes", name]).ok();
}

fn megabytes(process: u32) -> f64 {
    let kib = u32::try_from(pss_kib(process)).unwrap_or(u32::MAX);
    f64::from(kib) * 1.024e-3
}

/// Returns the CPU time that a process has had, in seconds.
fn seconds(process: u32) -> f64 {
    let process = i32::try_from(process).expect("process ids are small");
    let stat = Process::new(process).and_then(|process| process.stat());
    let stat = stat.expect("it runs");
    let ticks = u32::try_from(stat.utime + stat.stime).unwrap_or(u32::MAX);
    let per_second = u32::try_from(procfs::ticks_per_second()).unwrap_or(u32::MAX);
    f64::from(ticks) / f64::from(per_second)
}
