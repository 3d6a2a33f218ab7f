//! Reading columns into checked values.

use std::str::FromStr;

use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::StoreError;

/// Longest value that an error quotes, in characters.
const MAX_QUOTED: usize = 80;

/// Reads a text column into a checked type.
pub(super) fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| unreadable(column, &text))
}

/// Reads a column of milliseconds since 1970.
pub(super) fn time(row: &AnyRow, column: &'static str) -> Result<OffsetDateTime, StoreError> {
    let milliseconds: i64 = row.try_get(column)?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .map_err(|_| unreadable(column, &milliseconds.to_string()))
}

/// Reads a column of milliseconds since 1970 that may be NULL.
pub(super) fn optional_time(
    row: &AnyRow,
    column: &'static str,
) -> Result<Option<OffsetDateTime>, StoreError> {
    let milliseconds: Option<i64> = row.try_get(column)?;
    milliseconds.map(|_| time(row, column)).transpose()
}

/// Returns now, and what stands for it in a column: milliseconds since 1970.
pub(super) fn now() -> (OffsetDateTime, i64) {
    let now = OffsetDateTime::now_utc();
    (instant(now), milliseconds(now))
}

/// Returns what stands for a time in a column: milliseconds since 1970.
pub(super) fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Returns a time rounded like what is stored, so that both compare equal, in UTC.
pub(super) fn instant(at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.replace_nanosecond(at.nanosecond() / 1_000_000 * 1_000_000)
        .unwrap_or(at)
}

/// Returns what stands for a value in a column of JSON.
pub(super) fn json<T: Serialize>(column: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Unwritable { column, source })
}

pub(super) fn unreadable(column: &'static str, value: &str) -> StoreError {
    StoreError::Unreadable {
        column,
        value: value.chars().take(MAX_QUOTED).collect(),
    }
}
