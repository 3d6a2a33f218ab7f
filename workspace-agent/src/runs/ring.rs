//! The end of what a program wrote, kept for whoever asks.
//!
//! Invariant: what somebody holds isn't dropped. A ring that is held takes only so much
//! more ([`Ring::has_room`]), and whoever fills it waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much a holder may be behind before nothing more is taken, in bytes.
const WINDOW: u64 = 256 * 1024;

/// How much a ring keeps in any case, in bytes, where that is asked for.
const LEAST: usize = 64 * 1024;

/// How much memory all rings together take before each keeps [`LEAST`] alone, in bytes.
const MOST: usize = 256 * 1024 * 1024;

/// The memory that all rings take together. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// Whether they take more than there is room for.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MOST
    }
}

/// The end of one output.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    /// Number of the byte that comes next.
    end: u64,
    keep: usize,
    /// From where on a holder needs everything.
    held: Option<u64>,
    /// What the budget has been told of.
    counted: usize,
    budget: Budget,
}

impl Ring {
    /// Returns an empty one that keeps the last `keep` bytes.
    pub(super) fn new(keep: usize, budget: Budget) -> Self {
        Self {
            bytes: VecDeque::new(),
            end: 0,
            keep,
            held: None,
            counted: 0,
            budget,
        }
    }

    /// Returns how much has come.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the number of the first byte that is kept: as many were dropped.
    pub(super) fn start(&self) -> u64 {
        self.end - as_u64(self.bytes.len())
    }

    /// Keeps what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.end += as_u64(bytes.len());
        // Before it is trimmed: what it grew by is in the way of all.
        self.count();
        self.trim();
    }

    /// Whether the holder, if there is one, is near enough for more to be taken.
    pub(super) fn has_room(&self) -> bool {
        self.held.is_none_or(|held| self.end - held < WINDOW)
    }

    /// Needs everything from there on; `None` lets go.
    pub(super) fn hold(&mut self, from: Option<u64>) {
        self.held = from;
        self.trim();
    }

    /// Takes no more memory than what is kept needs, as no more comes.
    pub(super) fn settle(&mut self) {
        self.trim();
        self.bytes.shrink_to_fit();
        self.count();
    }

    /// Copies at most `most` bytes from number `from` on, or from the first that is kept, to
    /// the end of `target`; returns the first one's number.
    pub(super) fn read(&self, from: u64, most: usize, target: &mut Vec<u8>) -> u64 {
        let start = from.clamp(self.start(), self.end);
        let skipped = usize::try_from(start - self.start()).unwrap_or(usize::MAX);
        let end = skipped.saturating_add(most).min(self.bytes.len());
        let (mut first, mut second) = self.bytes.as_slices();
        first = first.get(..end).unwrap_or(first);
        second = second
            .get(..end.saturating_sub(first.len()))
            .unwrap_or(second);
        let of_second = skipped.saturating_sub(first.len());
        target.extend_from_slice(first.get(skipped..).unwrap_or_default());
        target.extend_from_slice(second.get(of_second..).unwrap_or_default());
        start
    }

    /// Drops what isn't to be kept, and gives its memory back.
    pub(super) fn trim(&mut self) {
        let keep = if self.budget.is_exceeded() {
            self.keep.min(LEAST)
        } else {
            self.keep
        };
        let free = self.held.map_or(u64::MAX, |held| {
            held.saturating_sub(self.end - as_u64(self.bytes.len()))
        });
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        let dropped = self.bytes.len().saturating_sub(keep).min(free);
        self.bytes.drain(..dropped);
        // Draining gives nothing back. What is soon needed again stays.
        let needed = self.bytes.len().max(self.keep.min(LEAST));
        if self.bytes.capacity() > 2 * needed {
            self.bytes.shrink_to(needed);
        }
        self.count();
    }

    /// Tells the budget what it takes now.
    fn count(&mut self) {
        let (now, before) = (self.bytes.capacity(), self.counted);
        self.counted = now;
        if now > before {
            self.budget.0.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.budget.0.fetch_sub(before - now, Ordering::Relaxed);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ring: &Ring, from: u64, most: usize) -> (u64, Vec<u8>) {
        let mut target = Vec::new();
        (ring.read(from, most, &mut target), target)
    }

    #[test]
    fn the_end_is_kept_and_its_place_is_known() {
        let budget = Budget::default();
        let mut ring = Ring::new(10, budget.clone());
        for round in 0..5_u8 {
            let bytes: Vec<u8> = (0..7).map(|at| round * 7 + at).collect();
            ring.push(&bytes);
        }
        assert_eq!((ring.start(), ring.end()), (25, 35));
        assert_eq!(read(&ring, 0, 3), (25, vec![25, 26, 27]));
        assert_eq!(read(&ring, 30, 100), (30, vec![30, 31, 32, 33, 34]));
        assert_eq!(read(&ring, 35, 100), (35, vec![]));
        assert_eq!(read(&ring, 99, 100), (35, vec![]));
        assert_eq!(budget.0.load(Ordering::Relaxed), ring.bytes.capacity());
        drop(ring);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_held_is_not_dropped_and_stops_what_comes() {
        let mut ring = Ring::new(10, Budget::default());
        ring.hold(Some(0));
        let piece = vec![7; 100 * 1024];
        let mut pieces = 0_u64;
        while ring.has_room() {
            ring.push(&piece);
            pieces += 1;
        }
        assert_eq!(pieces, 3);
        assert_eq!(ring.start(), 0);
        ring.hold(Some(100 * 1024));
        assert!(ring.has_room());
        assert_eq!(ring.start(), 100 * 1024);
        ring.hold(None);
        assert_eq!(ring.end() - ring.start(), 10);
    }

    #[test]
    fn where_too_much_is_kept_each_keeps_less() {
        let budget = Budget::default();
        let mut ring = Ring::new(1024 * 1024, budget.clone());
        ring.push(&vec![0; 500_000]);
        assert_eq!(ring.start(), 0);
        budget.0.fetch_add(MOST, Ordering::Relaxed);
        ring.push(b"x");
        assert_eq!(ring.end() - ring.start(), as_u64(LEAST));
        // What nobody writes to any more as well.
        let mut quiet = Ring::new(1024 * 1024, budget.clone());
        budget.0.fetch_sub(MOST, Ordering::Relaxed);
        quiet.push(&vec![0; 500_000]);
        assert_eq!(quiet.start(), 0);
        budget.0.fetch_add(MOST, Ordering::Relaxed);
        quiet.trim();
        assert_eq!(quiet.end() - quiet.start(), as_u64(LEAST));
    }

    #[test]
    fn memory_is_counted_and_given_back() {
        let budget = Budget::default();
        let mut ring = Ring::new(10, budget.clone());
        ring.hold(Some(0));
        ring.push(&vec![0; 10_000_000]);
        assert!(budget.0.load(Ordering::Relaxed) >= 10_000_000);
        ring.hold(None);
        assert!(ring.bytes.capacity() <= 2 * LEAST);
        assert_eq!(budget.0.load(Ordering::Relaxed), ring.bytes.capacity());
        let mut ring = Ring::new(1024 * 1024, budget.clone());
        for _ in 0..300 {
            ring.push(&vec![0; LEAST]);
        }
        assert!(ring.bytes.capacity() <= 2 * 1024 * 1024 + LEAST);
        ring.settle();
        assert!(ring.bytes.capacity() < 1024 * 1024 + LEAST);
        drop(ring);
        let mut small = Ring::new(1, budget.clone());
        small.push(&vec![0; 100_000]);
        assert!(small.bytes.capacity() < 1000);
    }
}
