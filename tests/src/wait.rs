//! Waiting for something to become true, under a deadline.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a test waits for what should come at once: long enough for a loaded
/// machine, short enough to be reported.
pub const SOON: Duration = Duration::from_secs(20);

/// How often a probe is asked again. Facts such as a file's content or a
/// process's end raise no event that a test could wait on.
const AGAIN: Duration = Duration::from_millis(10);

/// Asks `probe` until it answers, and returns the answer. Panics with `what`
/// after `limit`.
#[track_caller]
pub fn eventually<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain for: {what}"
        );
        sleep(AGAIN);
    }
}

/// Waits until `probe` says yes. Panics with `what` after `limit`.
#[track_caller]
pub fn until(limit: Duration, what: &str, mut probe: impl FnMut() -> bool) {
    eventually(limit, what, || probe().then_some(()));
}

/// Asks `probe` until it answers, and returns the answer. Panics with `what`, and with
/// what it saw last, after `limit`.
#[track_caller]
pub fn eventually_ok<T, S: Debug>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> Result<T, S>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(answer) => return answer,
            Err(seen) => assert!(
                Instant::now() < deadline,
                "waited {limit:?} in vain for: {what}; seen last: {seen:?}"
            ),
        }
        sleep(AGAIN);
    }
}
