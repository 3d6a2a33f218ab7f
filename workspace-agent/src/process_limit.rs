//! Processes and threads that couldn't be made because the workspace has as many as it may.
//!
//! The kernel counts them for the container's control group and tells nobody. Each time that
//! begins it is logged, and told to a gateway.

use std::fs;
use std::time::Duration;

use devgate_protocol::control::FromAgent;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::init;
use crate::notices::Notices;

/// How often the count is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How long the limit isn't reached before that is told again.
const QUIET: Duration = Duration::from_mins(1);

/// Where a container's control group is, in version 2 and 1: what counts, and the limit.
const FILES: [(&str, &str); 2] = [
    ("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids.max"),
    (
        "/sys/fs/cgroup/pids/pids.events",
        "/sys/fs/cgroup/pids/pids.max",
    ),
];

/// Watches this process's container until `stop`; outside of one, nothing: the counts would be
/// the host's.
pub(crate) async fn watch(notices: Notices, stop: CancellationToken) {
    let mut files = FILES.into_iter().filter(|_| init::is_first_process());
    let found = files.find_map(|(events, limit)| Some((events, limit, refused(events)?)));
    let Some((events, limit, mut counted)) = found else {
        return;
    };
    let mut last: Option<Instant> = None;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(now) = refused(events).filter(|now| *now > counted) else {
            continue;
        };
        counted = now;
        let before = last.replace(Instant::now());
        if before.is_some_and(|before| before.elapsed() < QUIET) {
            continue;
        }
        let limit = fs::read_to_string(limit).ok();
        let limit = limit.and_then(|limit| limit.trim().parse().ok());
        warn!(
            limit,
            "the workspace has as many processes and threads as it may: no more can be started"
        );
        notices.tell(FromAgent::ProcessLimit { limit });
    }
}

/// Reads how many processes and threads of a control group couldn't be made.
fn refused(path: &str) -> Option<u64> {
    parse(&fs::read_to_string(path).ok()?)
}

fn parse(text: &str) -> Option<u64> {
    let count = text.lines().find_map(|line| line.strip_prefix("max "))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_counted() {
        assert_eq!(parse("max 12\n"), Some(12));
        assert_eq!(parse("max 0\nlimit 3\n"), Some(0));
        assert_eq!(parse(""), None);
    }
}
