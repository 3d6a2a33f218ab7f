//! The heads of a connection's requests as they came: hyper drops a `Content-Length` that
//! stands beside a `Transfer-Encoding` without a word, and two lengths are how requests are
//! smuggled (RFC 9112 §11.2).
//!
//! A connection is closed behind its first request with `Transfer-Encoding`, so all bodies
//! before that have lengths, and it is found by counting. Nothing is looked at behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Longest line that is looked at, in bytes: as long as a head may be.
const MAX_LINE: usize = super::serve::MAX_HEAD;

/// What is known of a connection's heads. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    two_lengths: AtomicBool,
    over: AtomicBool,
}

impl Seen {
    /// Whether the request with `Transfer-Encoding` has a `Content-Length`, too. To be asked
    /// once that request is there.
    pub(super) fn two_lengths(&self) -> bool {
        self.0.two_lengths.load(Ordering::Relaxed)
    }

    /// Takes note that what comes isn't HTTP any more.
    pub(super) fn end(&self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Looks at what is read of a connection.
#[derive(Debug, Default)]
pub(super) struct Heads {
    seen: Seen,
    place: Place,
    /// What has come of a line of a head.
    line: Vec<u8>,
}

#[derive(Debug)]
enum Place {
    /// Before or in a head.
    Head(Head),
    /// In a body of which so many bytes are to come, at least one.
    Body(u64),
    /// Behind the last that counts.
    Over,
}

/// What is known of a head that isn't whole.
#[derive(Debug, Default)]
struct Head {
    /// Whether its first line has come.
    begun: bool,
    length: Option<Length>,
    encoded: bool,
}

#[derive(Clone, Copy, Debug)]
enum Length {
    Known(u64),
    /// hyper refuses it.
    Unreadable,
}

impl Default for Place {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

impl Heads {
    /// Returns what is known of the heads that were read.
    pub(super) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Looks at what was read.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        if self.seen.0.over.load(Ordering::Relaxed) {
            self.stop();
        }
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Over => return,
                Place::Body(left) => {
                    let here = usize::try_from(*left).map_or(bytes.len(), |it| it.min(bytes.len()));
                    *left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                    if *left == 0 {
                        self.place = Place::default();
                    }
                    bytes = bytes.split_at(here).1;
                }
                Place::Head(head) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    if self.line.len() + part.len() > MAX_LINE {
                        return self.stop();
                    }
                    self.line.extend_from_slice(part);
                    bytes = rest.strip_prefix(b"\n").unwrap_or(rest);
                    if end.is_some() {
                        let next = head.take(&self.line, &self.seen);
                        self.line.clear();
                        if let Some(next) = next {
                            // A connection may be idle for long.
                            self.line = Vec::new();
                            self.place = next;
                        }
                    }
                }
            }
        }
    }

    fn stop(&mut self) {
        self.place = Place::Over;
        self.line = Vec::new();
    }
}

impl Head {
    /// Takes a line without its end, and returns where the head's end leads.
    fn take(&mut self, line: &[u8], seen: &Seen) -> Option<Place> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            // Empty lines before a request are passed over (RFC 9112 §2.2).
            return self.begun.then(|| self.end(seen));
        }
        if !self.begun {
            self.begun = true;
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encoded = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
            let number = std::str::from_utf8(value).ok().map(str::parse);
            self.length = Some(match number {
                Some(Ok(number)) => Length::Known(number),
                Some(Err(_)) | None => Length::Unreadable,
            });
        }
        None
    }

    fn end(&self, seen: &Seen) -> Place {
        match (self.encoded, self.length) {
            (true, length) => {
                let both = length.is_some();
                seen.0.two_lengths.store(both, Ordering::Relaxed);
                Place::Over
            }
            (false, Some(Length::Unreadable)) => Place::Over,
            (false, None | Some(Length::Known(0))) => Place::default(),
            (false, Some(Length::Known(length))) => Place::Body(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells what is known of a text, which is read whole and byte by byte.
    fn two_lengths(text: &str) -> bool {
        let mut whole = Heads::default();
        whole.read(text.as_bytes());
        let mut slow = Heads::default();
        for byte in text.as_bytes() {
            slow.read(&[*byte]);
        }
        assert_eq!(whole.seen().two_lengths(), slow.seen().two_lengths());
        whole.seen().two_lengths()
    }

    #[test]
    fn two_lengths_are_seen_in_any_order_and_behind_other_requests() {
        let before = "\r\n\r\nPOST /a HTTP/1.1\r\nHost: x\r\ncontent-length:  5 \r\n\r\n\r\n\r\nT\
                      GET / HTTP/1.1\nHost: x\n\n\
                      PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
        for (lines, both) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", true),
            (
                "transfer-encoding: chunked\r\nHost: x\r\nCONTENT-LENGTH: 5",
                true,
            ),
            ("Transfer-Encoding: chunked\r\nContent-Length: +5", true),
            ("Transfer-Encoding: chunked", false),
            ("Content-Length: 5", false),
            ("X: Transfer-Encoding: chunked\r\nContent-Length: 5", false),
        ] {
            for before in ["", before] {
                let text = format!("{before}POST / HTTP/1.1\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n");
                assert_eq!(two_lengths(&text), both, "{text}");
            }
        }
    }

    #[test]
    fn a_body_is_no_head_and_nothing_counts_behind_the_last() {
        let both = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        let length = both.len();
        let body = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{both}");
        assert!(!two_lengths(&body));
        assert!(two_lengths(&format!("{body}{both}")));
        let last = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(!two_lengths(&format!("{last}{both}")));
        let mut upgraded = Heads::default();
        upgraded.seen().end();
        upgraded.read(both.as_bytes());
        assert!(!upgraded.seen().two_lengths());
    }
}
