//! Tells work from idling: by the CPU time of the workspace's programs, and by what they
//! write.
//!
//! Each look compares with the last. Short-lived programs count through their parents,
//! to whom the kernel adds what they used (`cutime` in `proc_pid_stat(5)`, and likewise in
//! `proc_pid_io(5)`); those whose parent doesn't wait for them, as far as they were seen.
//! The agent itself doesn't count.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use devgate_protocol::activity::{Report, Work, WorkKind};
use devgate_protocol::mark::Mark;
use procfs::process::Process;
use rustix::process::{Pid, getpid};
use tracing::debug;

use crate::processes;

/// CPU time by time from which on programs work, in thousandths of one core: 10 %.
///
/// Measured: code-server 4.100 with an open page that nobody touches takes 30 to 50, on a
/// machine that was busy with other things. A build takes a whole core or several.
const BUSY_CPU: u64 = 100;

/// What programs read from disks and write to them together from which on they work, in
/// bytes a second: a download at half a megabit.
///
/// Measured: the same idle editor's logs and state take 400 to 25,000, over ten seconds.
/// What its processes send each other, 50,000 to 75,000, is no measure.
const BUSY_DISK: u64 = 64 * 1024;

/// Least time between two looks: the kernel counts CPU time in hundredths of a second,
/// and in less than that one of them would be work.
const SHORTEST: Duration = Duration::from_millis(900);

/// After how many looks the host is searched for processes that don't descend from the
/// agent.
const SEARCH_EVERY: u32 = 30;

/// Looks again and again.
#[derive(Debug)]
pub(super) struct Meter {
    mark: Mark,
    strays: Vec<Pid>,
    looks: u32,
    last: Option<Counters>,
    cpu: u64,
    disk: u64,
    work: Option<Worked>,
    /// Whether there were two looks to compare.
    compared: bool,
}

/// Work, and when it was done.
#[derive(Debug)]
struct Worked {
    at: Instant,
    kind: WorkKind,
    program: Option<String>,
}

/// What was used up to a moment.
#[derive(Debug)]
struct Counters {
    at: Instant,
    /// CPU time of all, and of those that they have waited for, in ticks.
    ticks: u64,
    /// What all have read from disks and written to them, in bytes.
    disk: u64,
    /// CPU time of each alone, in ticks.
    each: HashMap<Pid, u64>,
}

impl Meter {
    pub(super) fn new(mark: Mark) -> Self {
        Self {
            mark,
            strays: Vec::new(),
            looks: 0,
            last: None,
            cpu: 0,
            disk: 0,
            work: None,
            compared: false,
        }
    }

    /// Looks, unless the last look is less than `apart` ago, and tells what it came to.
    pub(super) fn measure(&mut self, apart: Duration) -> Report {
        let last = self.last.as_ref();
        if last.is_none_or(|last| last.at.elapsed() >= apart.max(SHORTEST)) {
            self.look();
        }
        let last = self.last.as_ref().map(|last| last.at);
        let work = self.work.as_ref().map(|work| Work {
            kind: work.kind,
            // What the last look saw goes on, as far as is known.
            ago: if Some(work.at) == last {
                0
            } else {
                milliseconds(work.at.elapsed())
            },
            program: work.program.clone(),
        });
        Report {
            compared: self.compared,
            looked: last.map_or(0, |last| milliseconds(last.elapsed())),
            work,
            cpu: self.cpu,
            disk: self.disk,
            ..Report::default()
        }
    }

    fn look(&mut self) {
        if self.looks.is_multiple_of(SEARCH_EVERY) {
            self.strays = processes::strays(&self.mark);
        }
        self.looks = self.looks.wrapping_add(1);
        let now = count(&processes::descendants(&self.strays));
        let Some(last) = self.last.take() else {
            self.last = Some(now);
            return;
        };
        self.compared = true;
        let elapsed = milliseconds(now.at.duration_since(last.at)).max(1);
        let (own, busiest) = now.own_since(&last);
        // Each misses something, and neither counts anything twice.
        let ticks = own.max(now.ticks.saturating_sub(last.ticks));
        let per_second = procfs::ticks_per_second().max(1);
        self.cpu = ticks.saturating_mul(1_000_000) / per_second / elapsed;
        self.disk = now.disk.saturating_sub(last.disk).saturating_mul(1000) / elapsed;
        let kind = if self.cpu >= BUSY_CPU {
            Some(WorkKind::Cpu)
        } else if self.disk >= BUSY_DISK {
            Some(WorkKind::Disk)
        } else {
            None
        };
        debug!(cpu = self.cpu, disk = self.disk, ?kind, "looked");
        if let Some(kind) = kind {
            self.work = Some(Worked {
                at: now.at,
                kind,
                program: busiest.and_then(processes::name),
            });
        }
        self.last = Some(now);
    }
}

impl Counters {
    /// Returns what those took that still run, themselves, and which took the most.
    fn own_since(&self, last: &Self) -> (u64, Option<Pid>) {
        let mut sum = 0;
        let mut busiest = (0, None);
        for (&pid, &ticks) in &self.each {
            let before = last.each.get(&pid).copied().unwrap_or_default();
            let took = ticks.saturating_sub(before);
            sum += took;
            if took > busiest.0 {
                busiest = (took, Some(pid));
            }
        }
        (sum, busiest.1)
    }
}

fn count(pids: &[Pid]) -> Counters {
    let mut counters = Counters {
        at: Instant::now(),
        ticks: 0,
        disk: 0,
        each: HashMap::with_capacity(pids.len()),
    };
    // Orphans are the agent's to wait for.
    if let Ok(own) = Process::myself().and_then(|own| own.stat()) {
        counters.ticks += children(own.cutime, own.cstime);
    }
    for &pid in pids.iter().filter(|pid| **pid != getpid()) {
        let Ok(process) = Process::new(pid.as_raw_nonzero().get()) else {
            continue; // it ended meanwhile
        };
        let Ok(stat) = process.stat() else {
            continue;
        };
        let own = stat.utime + stat.stime;
        counters.ticks += own + children(stat.cutime, stat.cstime);
        counters.each.insert(pid, own);
        // Another user's isn't told.
        counters.disk += process.io().map_or(0, |io| io.read_bytes + io.write_bytes);
    }
    counters
}

fn children(user: i64, system: i64) -> u64 {
    u64::try_from(user.saturating_add(system)).unwrap_or_default()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process_group};

    /// A shell that does something for as long as it is held.
    struct Doing(Child);

    impl Doing {
        fn start(script: &str) -> Self {
            let child = Command::new("sh")
                .args(["-c", script])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .process_group(0)
                .spawn();
            Self(child.unwrap())
        }
    }

    impl Drop for Doing {
        fn drop(&mut self) {
            let group = Pid::from_child(&self.0);
            kill_process_group(group, Signal::KILL).unwrap();
            self.0.wait().unwrap();
        }
    }

    /// Looks until something is work.
    fn first_work(script: &str) -> Work {
        let mut meter = Meter::new(Mark::new("none", std::path::Path::new("/none")));
        assert_eq!(
            meter.measure(SHORTEST).work,
            None,
            "nothing to compare with yet"
        );
        let _doing = Doing::start(script);
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            std::thread::sleep(SHORTEST);
            let report = meter.measure(SHORTEST);
            if let Some(work) = report.work {
                return work;
            }
            assert!(Instant::now() < deadline, "{report:?}");
        }
    }

    #[test]
    fn a_program_that_computes_works() {
        let work = first_work("while :; do :; done");
        assert_eq!(work.kind, WorkKind::Cpu);
        assert_eq!(work.program.as_deref(), Some("sh"));
    }

    #[test]
    fn programs_that_live_shortly_work_as_well() {
        // Each is gone before anybody looks.
        let work = first_work("while :; do /bin/true; done");
        assert_eq!(work.kind, WorkKind::Cpu);
    }

    #[test]
    fn a_program_that_only_writes_to_a_disk_works() {
        // Where the test itself is: a folder for temporary files may be memory.
        let test = std::env::current_exe().unwrap();
        let file = tempfile::NamedTempFile::new_in(test.parent().unwrap()).unwrap();
        let script = format!(
            "while :; do head -c 400000 /dev/zero > {}; sleep 0.2; done",
            file.path().display()
        );
        let work = first_work(&script);
        assert!(matches!(work.kind, WorkKind::Disk | WorkKind::Cpu));
    }

    #[test]
    fn programs_that_wait_do_not_work() {
        let mut meter = Meter::new(Mark::new("none", std::path::Path::new("/none")));
        let _doing = Doing::start("sleep 300 & sleep 300 & wait");
        let _ = meter.measure(SHORTEST);
        for _ in 0..3 {
            std::thread::sleep(SHORTEST);
            assert_eq!(meter.measure(SHORTEST).work, None);
        }
    }
}
