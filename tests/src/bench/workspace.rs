//! A workspace's beginnings: its agent, and its first shell.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use crate::gateway::Gateway;
use crate::memory::pss_kib;

use super::peers::Kind;
use super::report::Better;
use super::shared::Ending;
use super::{Aim, Bench, Row};

pub(super) fn measure(bench: &mut Bench) {
    let rounds = bench.rounds(10);
    eprintln!("workspace …");
    let aims = |limit| {
        [Kind::Unix, Kind::Dial]
            .map(|of| Aim {
                of,
                against: None,
                limit,
            })
            .into()
    };
    let row = |name: &str, unit, limit| Row::new(name, unit, Better::Lower, aims(limit));
    let mut idle = row("agent, idle memory", "MB", 8.0);
    let mut ready = row("agent, time to ready", "ms", 20.0);
    let mut created = row("workspace, create to first shell", "ms", 200.0);
    for peer in &bench.peers {
        let Some(gateway) = peer.gateway() else {
            continue;
        };
        let kind = peer.kind();
        for round in 0..rounds {
            let name = format!("bench-{round}");
            let start = Instant::now();
            let _ = gateway.cli(&["create", &name]).ok();
            let mut command = peer.client("ssh");
            command
                .args(["-l", &name, crate::ssh::HOST, "true"])
                .stdin(Stdio::null());
            Ending::spawn(&mut command).succeed("ssh true");
            created.add(kind, [start.elapsed().as_secs_f64() * 1e3]);
        }
        let agents = gateway.agents();
        // Each has served one command; the largest of them counts.
        let kib = agents.iter().map(|agent| pss_kib(agent.pid)).max();
        let kib = kib.and_then(|kib| u32::try_from(kib).ok());
        idle.add(kind, kib.map(|kib| f64::from(kib) * 1.024e-3));
        ready.add(kind, times_to_ready(gateway));
        for round in 0..rounds {
            let name = format!("bench-{round}");
            let _ = gateway.cli(&["delete", "--yes", &name]).ok();
        }
    }
    for row in [created, ready, idle] {
        bench.report.add(row);
    }
}

/// What the agents say of their own starts, in milliseconds.
fn times_to_ready(gateway: &Gateway) -> Vec<f64> {
    let workspaces = fs::read_dir(gateway.data().join("workspaces")).expect("there are some");
    workspaces
        .flatten()
        .filter_map(|folder| fs::read_to_string(folder.path().join("log/agent.log")).ok())
        .flat_map(|log| {
            log.lines()
                .filter(|line| line.contains("agent ready"))
                .filter_map(milliseconds)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The `elapsed` field of a log line.
fn milliseconds(line: &str) -> Option<f64> {
    let text = line.split("elapsed=").nth(1)?.split_whitespace().next()?;
    let (number, factor) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix("µs") {
        (number, 1e-3)
    } else {
        (text.strip_suffix('s')?, 1e3)
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_a_log_become_milliseconds() {
        let read = |text: &str| milliseconds(&format!("INFO agent ready elapsed={text} x=1"));
        assert_eq!(read("8.5ms"), Some(8.5));
        assert_eq!(read("2s"), Some(2000.0));
        assert!(read("500µs").is_some_and(|ms| (ms - 0.5).abs() < 1e-9));
        assert_eq!(milliseconds("INFO agent ready"), None);
    }
}
