//! Pages of lists.

use super::ApiRefused;
use super::wire::{LIMIT, MAX_CURSOR, MAX_LIMIT, Page};

/// Checks how many entries are asked for.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, ApiRefused> {
    let limit = asked.unwrap_or(LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiRefused::Value {
        name: "limit",
        allowed: "1 to 200",
    })
}

/// Returns one page of a list that is sorted by `key`, which no two entries share.
/// What comes or goes between two pages moves nothing else.
pub(super) fn page<T>(
    mut items: Vec<T>,
    key: impl Fn(&T) -> String,
    asked: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<T>, ApiRefused> {
    let most = usize::try_from(limit(asked)?).unwrap_or(usize::MAX);
    if let Some(cursor) = cursor {
        let valid = (1..=MAX_CURSOR).contains(&cursor.len())
            && cursor
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !valid {
            return Err(ApiRefused::Cursor);
        }
        items.retain(|item| key(item).as_str() > cursor);
    }
    items.sort_by_cached_key(&key);
    let more = items.len() > most;
    items.truncate(most);
    let next = items.last().filter(|_| more).map(key);
    Ok(Page { items, next })
}

/// Returns a key that sorts by time, the newest first.
pub(super) fn newest_first(at: time::OffsetDateTime, id: &str) -> String {
    let milliseconds = at.unix_timestamp_nanos() / 1_000_000;
    // Of thirteen digits until the year 2286.
    format!("{:013}.{id}", 9_999_999_999_999_i128 - milliseconds)
}

/// Returns a key that sorts by time, the oldest first.
pub(super) fn oldest_first(at: time::OffsetDateTime, id: &str) -> String {
    let milliseconds = at.unix_timestamp_nanos() / 1_000_000;
    let id: String = id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!("{milliseconds:013}.{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end_whatever_goes_meanwhile() {
        let all: Vec<String> = ["d", "b", "a", "e", "c"].map(str::to_owned).to_vec();
        let first = page(all.clone(), Clone::clone, Some(2), None).unwrap();
        assert_eq!(first.items, ["a", "b"]);
        let left = vec![
            "a".to_owned(),
            "c".to_owned(),
            "d".to_owned(),
            "e".to_owned(),
        ];
        let second = page(left.clone(), Clone::clone, Some(2), first.next.as_deref()).unwrap();
        assert_eq!(second.items, ["c", "d"]);
        let last = page(left, Clone::clone, Some(2), second.next.as_deref()).unwrap();
        assert_eq!((last.items, last.next), (vec!["e".to_owned()], None));
    }

    #[test]
    fn a_page_that_can_not_be_is_refused() {
        let none = || Vec::<String>::new();
        for limit in [0, 201, u32::MAX] {
            assert!(page(none(), Clone::clone, Some(limit), None).is_err());
        }
        for cursor in ["", "a b", "a\0", "ä", &"x".repeat(101)] {
            assert!(page(none(), Clone::clone, None, Some(cursor)).is_err());
        }
    }
}
