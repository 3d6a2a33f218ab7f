//! Which part of a file is asked for (RFC 9110 §13.1.5, §14).

use http::{HeaderMap, header};

/// A part of a file, from one byte to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Range {
    /// Returns all of a file.
    pub(super) fn all(size: u64) -> Self {
        Self {
            begin: 0,
            end: size,
        }
    }

    /// Returns its length, in bytes.
    pub(super) fn length(self) -> u64 {
        self.end.saturating_sub(self.begin)
    }
}

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Part(Range),
    /// No part of it is what was asked for.
    Impossible,
}

/// Tells what is wanted of a file of this size, with this tag and date.
pub(super) fn wanted(headers: &HeaderMap, tag: &str, date: &str, size: u64) -> Wanted {
    let condition = headers.get(header::IF_RANGE);
    if condition.is_some_and(|condition| condition != tag && condition != date) {
        return Wanted::All;
    }
    let asked = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let Some(asked) = asked.and_then(|asked| asked.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    match part(asked.trim(), size) {
        // Several ranges, or none that can be understood: both may be ignored.
        None => Wanted::All,
        Some(range) if range.length() == 0 => Wanted::Impossible,
        Some(range) => Wanted::Part(range),
    }
}

fn part(text: &str, size: u64) -> Option<Range> {
    let (first, last) = text.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (first, last) {
        ("", last) => Range {
            begin: size.saturating_sub(number(last)?),
            end: size,
        },
        (first, "") => Range {
            begin: number(first)?,
            end: size,
        },
        (first, last) => {
            let (begin, last) = (number(first)?, number(last)?);
            if last < begin {
                return None;
            }
            Range {
                begin,
                end: size.min(last.saturating_add(1)),
            }
        }
    };
    Some(range)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(pairs: &[(header::HeaderName, &'static str)], size: u64) -> Wanted {
        let pairs = pairs.iter().cloned();
        let headers = pairs.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        wanted(&headers.collect(), "\"tag\"", date, size)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        let range = |text| of(&[(header::RANGE, text)], 100);
        let part = |begin, end| Wanted::Part(Range { begin, end });
        assert_eq!(range("bytes=0-0"), part(0, 1));
        assert_eq!(range("bytes=10-"), part(10, 100));
        assert_eq!(range("bytes=90-1000"), part(90, 100));
        assert_eq!(range("bytes=-10"), part(90, 100));
        assert_eq!(range("bytes=-1000"), part(0, 100));
        assert_eq!(range("bytes=99-99999999999999999999999"), part(99, 100));
        for impossible in ["bytes=100-", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(range(impossible), Wanted::Impossible, "{impossible}");
        }
        for ignored in [
            "bytes=5-4",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=x-",
            "bytes=-",
            "5",
        ] {
            assert_eq!(range(ignored), Wanted::All, "{ignored}");
        }
        assert_eq!(of(&[(header::RANGE, "bytes=0-")], 0), Wanted::Impossible);
    }

    #[test]
    fn a_range_counts_only_for_the_file_that_is_meant() {
        let asked = |tag| of(&[(header::RANGE, "bytes=1-2"), (header::IF_RANGE, tag)], 9);
        let part = Wanted::Part(Range { begin: 1, end: 3 });
        assert_eq!(asked("\"tag\""), part);
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), part);
        assert_eq!(asked("\"other\""), Wanted::All);
        assert_eq!(asked("W/\"tag\""), Wanted::All);
    }
}
