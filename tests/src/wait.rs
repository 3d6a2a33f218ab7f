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

/// How long nothing has to happen between two looks at what may stand still.
const STILL: Duration = Duration::from_millis(300);

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

/// Waits until a count stands still, and returns it. Panics with `what` after `limit`.
///
/// It doesn't stand still before it is `at_least`, which is more than what stands before
/// the part that is to hold it back: so what hasn't begun isn't taken for what is held.
/// Nothing tells that nothing happens any more, so it has to be the same at several looks.
#[track_caller]
pub fn stands_still(
    limit: Duration,
    what: &str,
    at_least: u64,
    mut read: impl FnMut() -> u64,
) -> u64 {
    let (mut last, mut looks) = (0, 0);
    eventually(limit, what, || {
        sleep(STILL);
        let now = read();
        looks = if now == last { looks + 1 } else { 0 };
        last = now;
        (now >= at_least && looks >= 5).then_some(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_begun_does_not_stand_still() {
        let mut counts = [0; 6].into_iter().chain([7, 7, 9]).chain([20; 7]);
        let still = stands_still(SOON, "a count", 8, || counts.next().unwrap());
        assert_eq!(still, 20);
    }
}
