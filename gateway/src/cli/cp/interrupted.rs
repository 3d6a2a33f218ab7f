//! What ends a copy before its end.

use std::fs;
use std::future::poll_fn;
use std::task::Poll;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::failure::Failure;

/// Signals that end it, once what isn't worth keeping is removed.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Waits for one of them. What whoever started this has it ignore is ignored, as `nohup` does.
pub(super) async fn interrupted() -> Failure {
    let ignored = ignored();
    let counts = |kind: &Signal| ignored & (1 << (*kind as i32 - 1)) == 0;
    let mut signals: Vec<_> = ENDING
        .into_iter()
        .filter(counts)
        // One that can't be waited for ends this at once, as it does other programs.
        .filter_map(|kind| Some((kind, signal(SignalKind::from_raw(kind as i32)).ok()?)))
        .collect();
    let came = poll_fn(|context| {
        let mut all = signals.iter_mut();
        let came =
            all.find_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind));
        came.map_or(Poll::Pending, Poll::Ready)
    });
    let message = "interrupted; what was copied stays, and of a large file what came: the same \
                   command goes on with it";
    Failure::signalled(came.await, message)
}

/// Returns which signals are ignored, the lowest bit being that of signal 1 (proc(5)).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
