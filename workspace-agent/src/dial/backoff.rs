//! How long to wait before the next attempt.

use std::time::Duration;

use rand::RngExt;

/// Upper bound of the first wait.
const FIRST: Duration = Duration::from_millis(100);

/// Upper bound of any wait.
const LONGEST: Duration = Duration::from_secs(15);

/// Exponential growth with full jitter: agents that lost one gateway at the same
/// moment come back spread out.
#[derive(Debug)]
pub(super) struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: FIRST }
    }
}

impl Backoff {
    /// Returns the next wait.
    pub(super) fn next(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(LONGEST);
        rand::rng().random_range(Duration::ZERO..=bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_differ() {
        let mut backoff = Backoff::default();
        assert!(backoff.next() <= FIRST);
        let waits: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits.iter().any(|wait| *wait > LONGEST / 4));
    }
}
