//! Measures what the workspace uses.

use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Instant;

use devgate_protocol::mark::Mark;
use procfs::process::Process;
use procfs::{Current, Meminfo};
use rustix::fs::statvfs;
use rustix::process::{Pid, getpid};
use serde::Serialize;
use time::OffsetDateTime;

use super::Sample;
use crate::processes;

/// After how many samples the host is searched for processes that don't descend from
/// the agent.
const SEARCH_EVERY: u32 = 30;

/// Memory limit of a container, where there is one.
const MEMORY_LIMIT: &str = "/sys/fs/cgroup/memory.max";

/// The network that stays on the host.
const LOOPBACK: &str = "lo";

/// What there is to use.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Totals {
    cpu_count: usize,
    memory_total: u64,
    disk_total: u64,
}

/// Measures again and again; rates are those since the last time.
#[derive(Debug)]
pub(super) struct Meter {
    mark: Mark,
    home: PathBuf,
    strays: Vec<Pid>,
    samples: u32,
    last: Option<Counters>,
}

#[derive(Debug)]
struct Counters {
    at: Instant,
    cpu_ticks: u64,
    received: u64,
    sent: u64,
}

/// What processes use together.
#[derive(Debug, Default)]
struct Usage {
    cpu_ticks: u64,
    memory: u64,
    processes: u64,
}

impl Meter {
    pub(super) fn new(mark: Mark, home: PathBuf) -> Self {
        Self {
            mark,
            home,
            strays: Vec::new(),
            samples: 0,
            last: None,
        }
    }

    /// Takes a sample; the first look only counts.
    pub(super) fn sample(&mut self) -> Option<Sample> {
        if self.samples.is_multiple_of(SEARCH_EVERY) {
            self.strays = processes::strays(&self.mark);
        }
        self.samples = self.samples.wrapping_add(1);
        let usage = usage(&processes::descendants(&self.strays));
        let (received, sent) = network();
        let now = Counters {
            at: Instant::now(),
            cpu_ticks: usage.cpu_ticks,
            received,
            sent,
        };
        let disk_bytes = self.disk().0;
        let last = self.last.replace(now);
        let (last, now) = (last?, self.last.as_ref()?);
        let seconds = now.at.duration_since(last.at).as_secs_f64().max(0.001);
        // The time of a process that nobody waited for vanishes with it.
        let ticks = now.cpu_ticks.saturating_sub(last.cpu_ticks);
        let cpu_seconds = float(ticks) / float(procfs::ticks_per_second().max(1));
        let rate = |now: u64, last: u64| whole(float(now.saturating_sub(last)) / seconds);
        Some(Sample {
            time: OffsetDateTime::now_utc(),
            cpu_percent: (cpu_seconds / seconds * 1000.0).round() / 10.0,
            memory_bytes: usage.memory,
            disk_bytes,
            received_bytes_per_second: rate(now.received, last.received),
            sent_bytes_per_second: rate(now.sent, last.sent),
            processes: usage.processes,
        })
    }

    pub(super) fn totals(&self) -> Totals {
        let host = Meminfo::current().map_or(0, |memory| memory.mem_total);
        let limit = fs::read_to_string(MEMORY_LIMIT)
            .ok()
            .and_then(|limit| limit.trim().parse().ok());
        Totals {
            cpu_count: available_parallelism().map_or(1, NonZero::get),
            memory_total: limit.map_or(host, |limit: u64| limit.min(host)),
            disk_total: self.disk().1,
        }
    }

    /// Returns what is used of the home directory's file system, and its size.
    fn disk(&self) -> (u64, u64) {
        statvfs(&self.home).map_or((0, 0), |disk| {
            let used = disk.f_blocks.saturating_sub(disk.f_bfree);
            (
                used.saturating_mul(disk.f_frsize),
                disk.f_blocks.saturating_mul(disk.f_frsize),
            )
        })
    }
}

fn usage(pids: &[Pid]) -> Usage {
    let page = procfs::page_size();
    let mut usage = Usage::default();
    // Of processes that have ended, their parent knows the time; of orphans it is the
    // agent, which itself doesn't count.
    if let Ok(own) = process(getpid()).and_then(|own| own.stat()) {
        usage.cpu_ticks += children(own.cutime, own.cstime);
    }
    for &pid in pids {
        let Ok((stat, memory)) =
            process(pid).and_then(|process| Ok((process.stat()?, process.statm()?)))
        else {
            continue; // it ended meanwhile
        };
        usage.cpu_ticks += stat.utime + stat.stime + children(stat.cutime, stat.cstime);
        usage.memory += memory.resident.saturating_sub(memory.shared) * page;
        usage.processes += 1;
    }
    usage
}

fn process(pid: Pid) -> procfs::ProcResult<Process> {
    Process::new(pid.as_raw_nonzero().get())
}

fn children(user: i64, system: i64) -> u64 {
    u64::try_from(user.saturating_add(system)).unwrap_or_default()
}

/// Returns the bytes received and sent so far, those that stayed on the host left out.
fn network() -> (u64, u64) {
    procfs::net::dev_status()
        .into_iter()
        .flatten()
        .filter(|(name, _)| name != LOOPBACK)
        .fold((0, 0), |(received, sent), (_, device)| {
            (received + device.recv_bytes, sent + device.sent_bytes)
        })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are for charts: more than 2^53 isn't told apart there"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion from floats saturates"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn a_busy_process_and_one_that_ended_are_counted() {
        let mut meter = Meter::new(
            Mark::new("none", std::path::Path::new("/none")),
            std::env::temp_dir(),
        );
        assert!(meter.sample().is_none(), "there is no rate yet");
        let mut busy = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let sample = meter.sample().unwrap();
            assert!(sample.processes >= 1);
            if sample.cpu_percent > 0.0 && sample.memory_bytes > 0 {
                break;
            }
            assert!(Instant::now() < deadline, "{sample:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let before = usage(&processes::descendants(&[])).cpu_ticks;
        busy.kill().unwrap();
        busy.wait().unwrap();
        let after = usage(&processes::descendants(&[])).cpu_ticks;
        assert!(after >= before, "{after} < {before}");
        let totals = meter.totals();
        assert!(totals.cpu_count > 0 && totals.memory_total > 0 && totals.disk_total > 0);
    }
}
