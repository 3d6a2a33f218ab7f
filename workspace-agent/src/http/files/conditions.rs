//! What a file must be for a request to be carried out (RFC 9110 §13).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};
use rustix::fs::Stat;

use crate::files::{Condition, etag};
use crate::http::problem::Problem;

/// The last second that a date of HTTP can say: its years have four digits.
const LAST_SECOND: i64 = 253_402_300_799;

/// What of a file a client may know from another time.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) tag: String,
    /// When it was last changed, as HTTP has it.
    pub(super) date: String,
    seconds: i64,
}

impl Version {
    /// Returns that of a file.
    pub(super) fn of(stat: &Stat) -> Self {
        let seconds = stat.st_mtime.clamp(0, LAST_SECOND);
        let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        Self {
            tag: etag(stat),
            date: httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since),
            seconds,
        }
    }
}

/// Whether a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Wanted,
    /// The client has it.
    Known,
    /// It isn't what the client said.
    Refused,
}

/// Tells whether a file is to be read that is this now, in the order of RFC 9110 §13.2.2.
pub(super) fn reading(headers: &HeaderMap, now: &Version) -> Reading {
    let changed_since = |name| seconds(headers, name).map(|since| now.seconds > since);
    let is_other = if headers.contains_key(header::IF_MATCH) {
        !tags(headers, header::IF_MATCH).any(|one| one == "*" || one == now.tag)
    } else {
        changed_since(header::IF_UNMODIFIED_SINCE) == Some(true)
    };
    if is_other {
        return Reading::Refused;
    }
    let is_known = if headers.contains_key(header::IF_NONE_MATCH) {
        tags(headers, header::IF_NONE_MATCH)
            .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == now.tag)
    } else {
        changed_since(header::IF_MODIFIED_SINCE) == Some(false)
    };
    if is_known {
        Reading::Known
    } else {
        Reading::Wanted
    }
}

/// Reads what a file must be before it is changed.
///
/// # Errors
/// Where that would take two conditions at once.
pub(super) fn changing(headers: &HeaderMap) -> Result<Condition, Problem> {
    let is_said = |name| headers.contains_key(name);
    let mut new = tags(headers, header::IF_NONE_MATCH);
    match (is_said(header::IF_MATCH), is_said(header::IF_NONE_MATCH)) {
        (true, false) => {
            let tags: Vec<_> = tags(headers, header::IF_MATCH).collect();
            if tags == ["*"] {
                return Ok(Condition::Present);
            }
            if !tags.iter().all(|tag| is_tag(tag)) {
                return Err(Problem::bad_request(
                    "If-Match is `*`, or tags in quotes as they are told",
                ));
            }
            Ok(Condition::Tagged(
                tags.into_iter().map(str::to_owned).collect(),
            ))
        }
        (false, true)
            if (new.next(), new.next()) == (Some("*"), None)
                && !is_said(header::IF_UNMODIFIED_SINCE) =>
        {
            Ok(Condition::Absent)
        }
        // A date that can't be read says nothing (RFC 9110 §13.1.4).
        (false, false) => Ok(seconds(headers, header::IF_UNMODIFIED_SINCE)
            .map_or(Condition::None, Condition::UnmodifiedSince)),
        _ => Err(Problem::bad_request(
            "a file is changed with one of If-Match, If-None-Match: * and If-Unmodified-Since, or \
             with none",
        )),
    }
}

/// Refuses conditions where none is looked at: whoever sends one relies on it.
pub(super) fn none(headers: &HeaderMap) -> Result<(), Problem> {
    let conditions = [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_UNMODIFIED_SINCE,
    ];
    match conditions.iter().find(|name| headers.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Problem::bad_request(format!(
            "nothing is compared with {name} here: send it to PUT files/content, POST \
             files/append or DELETE files, or leave it out"
        ))),
    }
}

/// Refuses a part of something where all of it is taken (RFC 9110 §14.5).
pub(super) fn whole(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(Problem::bad_request(
            "Content-Range says that this is a part, and it would be taken for all there is: go \
             on with an upload (POST files/uploads), or add to a file's end with POST files/append",
        ));
    }
    Ok(())
}

/// Returns the entity tags of a list, which may be in several headers.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
}

/// Whether a text is an entity tag (RFC 9110 §8.8.3).
fn is_tag(text: &str) -> bool {
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    tag.is_some_and(|tag| !tag.contains('"'))
}

/// Returns a time in seconds since 1970.
fn seconds(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    let text = headers.get(name)?.to_str().ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_file_is_read_on_the_conditions_and_in_the_order_of_the_rfc() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        let now = Version {
            tag: "\"tag\"".to_owned(),
            date: DATE.to_owned(),
            seconds: 784_111_777,
        };
        let of = |pairs: &[_]| reading(&headers(pairs), &now);
        for (pairs, expected) in [
            (&[][..], Reading::Wanted),
            (&[(IF_MATCH, "\"x\", \"tag\"")], Reading::Wanted),
            (
                &[(IF_MATCH, "\"x\""), (IF_MATCH, "\"tag\"")],
                Reading::Wanted,
            ),
            (&[(IF_MATCH, "*")], Reading::Wanted),
            (&[(IF_MATCH, "\"x\"")], Reading::Refused),
            (&[(IF_MATCH, "W/\"tag\"")], Reading::Refused),
            (&[(IF_UNMODIFIED_SINCE, DATE)], Reading::Wanted),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], Reading::Refused),
            (&[(IF_UNMODIFIED_SINCE, "yesterday")], Reading::Wanted),
            // Of two, the tag counts.
            (
                &[(IF_MATCH, "*"), (IF_UNMODIFIED_SINCE, BEFORE)],
                Reading::Wanted,
            ),
            (&[(IF_NONE_MATCH, "\"x\", W/\"tag\"")], Reading::Known),
            (&[(IF_NONE_MATCH, "*")], Reading::Known),
            (&[(IF_NONE_MATCH, "\"x\"")], Reading::Wanted),
            (&[(IF_MODIFIED_SINCE, DATE)], Reading::Known),
            (&[(IF_MODIFIED_SINCE, BEFORE)], Reading::Wanted),
            (&[(IF_MODIFIED_SINCE, "yesterday")], Reading::Wanted),
            (
                &[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, DATE)],
                Reading::Wanted,
            ),
            (
                &[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"tag\"")],
                Reading::Refused,
            ),
        ] {
            assert_eq!(of(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn conditions_of_changes_are_read_as_they_are_sent() {
        let of = |pairs: &[_]| changing(&headers(pairs));
        let tagged =
            |tags: &[&str]| Condition::Tagged(tags.iter().map(|tag| (*tag).to_owned()).collect());
        assert_eq!(of(&[]).unwrap(), Condition::None);
        let two = tagged(&["\"a\"", "\"b\""]);
        assert_eq!(of(&[(header::IF_MATCH, "\"a\", \"b\"")]).unwrap(), two);
        let lines = [(header::IF_MATCH, "\"a\""), (header::IF_MATCH, "\"b\"")];
        assert_eq!(of(&lines).unwrap(), two);
        assert_eq!(of(&[(header::IF_MATCH, "*")]).unwrap(), Condition::Present);
        assert_eq!(
            of(&[(header::IF_NONE_MATCH, "*")]).unwrap(),
            Condition::Absent
        );
        assert_eq!(
            of(&[(header::IF_UNMODIFIED_SINCE, DATE)]).unwrap(),
            Condition::UnmodifiedSince(784_111_777)
        );
        // Of two, the tag counts (RFC 9110 §13.2.2).
        let both = [
            (header::IF_MATCH, "\"a\""),
            (header::IF_UNMODIFIED_SINCE, DATE),
        ];
        assert_eq!(of(&both).unwrap(), tagged(&["\"a\""]));
        assert!(of(&[(header::IF_NONE_MATCH, "\"a\"")]).is_err());
        for none in ["a", "", "\"a\", b", "\"a", "*, \"a\"", "\""] {
            assert!(of(&[(header::IF_MATCH, none)]).is_err(), "{none}");
        }
        assert!(of(&[(header::IF_MATCH, "*"), (header::IF_NONE_MATCH, "*")]).is_err());
    }

    #[test]
    fn a_time_before_1970_has_a_date_too() {
        let file = tempfile::tempfile().unwrap();
        let mut stat = rustix::fs::fstat(&file).unwrap();
        stat.st_mtime = -1;
        assert_eq!(Version::of(&stat).date, "Thu, 01 Jan 1970 00:00:00 GMT");
        stat.st_mtime = i64::MAX;
        assert_eq!(Version::of(&stat).date, "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
