//! What a watch has seen, kept for those who come again.

use std::collections::VecDeque;

use serde::Serialize;

/// Most events that are kept, and how much of them, in bytes.
const MOST: usize = 65_536;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What an event takes beside its paths, in bytes.
const EVENT: usize = size_of::<Event>();

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Created,
    Modified,
    Removed,
    Renamed,
    /// Something was missed.
    Overflow,
}

/// Something that happened, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) kind: Kind,
    pub(crate) path: String,
    /// The path percent-encoded, where it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw_to: Option<String>,
    pub(crate) folder: bool,
}

impl Event {
    /// Returns one that says that something was missed.
    pub(super) fn overflow(sequence: u64, root: &str) -> Self {
        Self {
            sequence,
            kind: Kind::Overflow,
            path: root.to_owned(),
            raw_path: None,
            to: None,
            raw_to: None,
            folder: true,
        }
    }
}

/// The last events of a watch. Their numbers follow one another.
#[derive(Debug, Default)]
pub(super) struct Log {
    events: VecDeque<Event>,
    bytes: usize,
    last: u64,
}

impl Log {
    /// Returns the number of the last one; 0: there was none.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Keeps one more, with the next number.
    pub(super) fn push(&mut self, mut event: Event) {
        self.last += 1;
        event.sequence = self.last;
        self.bytes += cost(&event);
        self.events.push_back(event);
        while self.events.len() > MOST || self.bytes > MOST_BYTES {
            let dropped = self.events.pop_front();
            self.bytes -= dropped.as_ref().map_or(0, cost);
        }
    }

    /// Returns at most `most` of those after number `since`. Where the next one isn't kept
    /// any more, the first says so, with the number of the last that is missing.
    pub(super) fn after(&self, since: u64, most: usize, root: &str) -> Vec<Event> {
        let kept = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        let missing = self.last.saturating_sub(kept);
        let mut events = Vec::new();
        if since < missing {
            events.push(Event::overflow(missing, root));
        }
        let seen = since.max(missing) - missing;
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        events.extend(self.events.iter().skip(seen).take(most).cloned());
        events
    }
}

fn cost(event: &Event) -> usize {
    let others = [&event.raw_path, &event.to, &event.raw_to];
    let others = others.into_iter().flatten().map(String::len);
    EVENT + event.path.len() + others.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(path: String) -> Event {
        Event {
            sequence: 0,
            kind: Kind::Created,
            path,
            raw_path: None,
            to: None,
            raw_to: None,
            folder: false,
        }
    }

    #[test]
    fn events_are_numbered_and_kept_and_what_is_missing_is_told() {
        let mut log = Log::default();
        assert!(log.after(0, 10, "/").is_empty());
        for number in 1..=MOST + 2 {
            log.push(event(format!("/{number}")));
        }
        let first = log.after(0, 2, "/");
        let numbers: Vec<_> = first.iter().map(|event| event.sequence).collect();
        assert_eq!(numbers, [2, 3, 4]);
        assert_eq!(first[0].kind, Kind::Overflow);
        assert_eq!(first[1].path, "/3");
        assert_eq!(log.after(2, 1, "/")[0].path, "/3");
        let last = log.last();
        assert_eq!(log.after(last - 1, 10, "/").len(), 1);
        assert!(log.after(last, 10, "/").is_empty());
        assert!(log.after(last + 5, 10, "/").is_empty());
    }

    #[test]
    fn long_paths_are_fewer() {
        let mut log = Log::default();
        let path = "x".repeat(MOST_BYTES / 10);
        for _ in 0..20 {
            log.push(event(path.clone()));
        }
        assert!(log.events.len() < 11);
        assert_eq!(log.after(0, 100, "/")[0].kind, Kind::Overflow);
    }
}
