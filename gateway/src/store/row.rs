//! Reading columns into checked values.

use std::str::FromStr;

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

/// Returns now, and what stands for it in a column: milliseconds since 1970.
pub(super) fn now() -> (OffsetDateTime, i64) {
    let now = OffsetDateTime::now_utc();
    let milliseconds = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    // Rounded like what is stored, so that both compare equal.
    let rounded = now
        .replace_nanosecond(now.nanosecond() / 1_000_000 * 1_000_000)
        .unwrap_or(now);
    (rounded, milliseconds)
}

pub(super) fn unreadable(column: &'static str, value: &str) -> StoreError {
    StoreError::Unreadable {
        column,
        value: value.chars().take(MAX_QUOTED).collect(),
    }
}
