//! Which part of a workspace's log is read.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::drivers::{Follow, Logs};

/// Longest line that is looked at as one, in bytes; the rest of it goes with it.
const MAX_LINE: usize = 64 * 1024;

/// Most bytes of lines that are held until their end is known.
const MAX_HELD: usize = 64 << 20;

/// Which part of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogPart {
    /// How many of the last lines.
    pub lines: usize,
    /// From this time on.
    pub since: Option<OffsetDateTime>,
    /// Up to this time.
    pub until: Option<OffsetDateTime>,
    /// Whether what is written later follows; never where `until` ends it.
    pub follow: Follow,
}

impl LogPart {
    /// Tells whether it takes more than counting lines.
    fn is_timed(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// Returns what to ask the driver for.
    pub(super) fn of_driver(&self) -> (usize, Follow) {
        match (self.is_timed(), self.until) {
            (false, _) => (self.lines, self.follow),
            (true, None) => (usize::MAX >> 1, self.follow),
            (true, Some(_)) => (usize::MAX >> 1, Follow::No),
        }
    }

    /// Takes this part of what the driver gave.
    pub(super) fn of(self, logs: Logs) -> Logs {
        if !self.is_timed() {
            return logs;
        }
        let timed = self.timed(lines(logs));
        if self.follow == Follow::Yes && self.until.is_none() {
            return Box::pin(timed);
        }
        Box::pin(stream::once(last(timed, self.lines)).flat_map(stream::iter))
    }

    /// Takes the lines of that time. A line without a time belongs to the one before.
    fn timed<S>(self, lines: S) -> impl Stream<Item = io::Result<Bytes>> + Send + use<S>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let mut is_in = self.since.is_none();
        lines.filter(move |line| {
            if let Ok(line) = line
                && let Some(time) = time_of(line)
            {
                is_in = self.since.is_none_or(|since| time >= since)
                    && self.until.is_none_or(|until| time <= until);
            }
            let takes = is_in || line.is_err();
            async move { takes }
        })
    }
}

/// Returns the time with which a line begins, where it does (RFC 3339).
fn time_of(line: &[u8]) -> Option<OffsetDateTime> {
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let text = std::str::from_utf8(line.get(..end)?).ok()?;
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Keeps the last lines.
async fn last(
    lines: impl Stream<Item = io::Result<Bytes>> + Send,
    most: usize,
) -> Vec<io::Result<Bytes>> {
    let mut kept = VecDeque::new();
    let mut held = 0;
    let mut lines = std::pin::pin!(lines);
    while let Some(line) = lines.next().await {
        held += line.as_ref().map_or(0, Bytes::len);
        kept.push_back(line);
        while kept.len() > most || held > MAX_HELD {
            let Some(gone) = kept.pop_front() else {
                break;
            };
            held -= gone.as_ref().map_or(0, Bytes::len);
        }
    }
    kept.into()
}

/// Cuts chunks into lines, with their ends.
fn lines(logs: Logs) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let begin = (logs, BytesMut::new(), false);
    stream::unfold(begin, async |(mut logs, mut buffer, mut is_over)| {
        loop {
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let cut = match end {
                Some(end) => Some(end + 1),
                None if buffer.len() >= MAX_LINE || is_over => Some(buffer.len()),
                None => None,
            };
            match cut {
                Some(0) => return None,
                Some(cut) => {
                    let line = buffer.split_to(cut).freeze();
                    return Some((Ok(line), (logs, buffer, is_over)));
                }
                None => match logs.next().await {
                    Some(Ok(chunk)) => buffer.extend_from_slice(&chunk),
                    Some(Err(error)) => return Some((Err(error), (logs, buffer, is_over))),
                    None => is_over = true,
                },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn part(part: LogPart, chunks: &[&'static str]) -> String {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))
            .collect();
        let logs: Logs = Box::pin(stream::iter(chunks));
        let taken: Vec<_> = part.of(logs).map(Result::unwrap).collect().await;
        String::from_utf8(taken.concat()).unwrap()
    }

    fn at(second: u8) -> OffsetDateTime {
        let text = format!("2026-11-29T10:00:{second:02}Z");
        OffsetDateTime::parse(&text, &Rfc3339).unwrap()
    }

    const LOG: [&str; 4] = [
        "2026-11-29T10:00:01.5Z first\n2026-11-29T10:00",
        ":02Z second\n  of two lines\n",
        "2026-11-29T11:00:03+01:00 third\n",
        "2026-11-29T10:00:04Z fourth",
    ];

    #[tokio::test]
    async fn lines_of_a_time_are_taken_with_those_that_belong_to_them() {
        for (since, until, lines, expected) in [
            (
                Some(at(2)),
                Some(at(2)),
                100,
                "2026-11-29T10:00:02Z second\n  of two lines\n",
            ),
            (
                Some(at(2)),
                None,
                2,
                "2026-11-29T11:00:03+01:00 third\n2026-11-29T10:00:04Z fourth",
            ),
            (None, Some(at(1)), 100, ""),
            (None, Some(at(2)), 1, "  of two lines\n"),
            (Some(at(5)), None, 100, ""),
        ] {
            let wanted = LogPart {
                lines,
                since,
                until,
                follow: Follow::No,
            };
            assert_eq!(part(wanted, &LOG).await, expected, "{wanted:?}");
        }
    }

    #[tokio::test]
    async fn what_follows_is_taken_as_it_comes() {
        let wanted = LogPart {
            lines: 0,
            since: Some(at(3)),
            until: None,
            follow: Follow::Yes,
        };
        let taken = part(wanted, &LOG).await;
        assert!(taken.starts_with("2026-11-29T11:00:03"), "{taken}");
        assert!(taken.ends_with("fourth"), "{taken}");
    }
}
